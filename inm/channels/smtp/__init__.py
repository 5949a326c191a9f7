"""E-mail over SMTP: the route, the message, one connection, the pool, and what the server's answers mean."""
