Component "c.example.org"
	component_secret = "hunter2"
