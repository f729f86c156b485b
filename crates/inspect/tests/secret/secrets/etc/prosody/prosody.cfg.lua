storage = "sql"
sql = { driver = "MySQL", database = "prosody", username = "prosody", password = "hunter2", host = "localhost" }
