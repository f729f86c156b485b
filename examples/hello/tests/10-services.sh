# Exit status 0 is good, 77 is "not here", all else is bad. What is said is shown where a test is bad.
test "$(hostname)" = hello
rc-service dropbear status
