"""The routes of the HTTP interface, which check requests and call the services."""
