"""The routes of the HTTP interface; they check what comes in and call the services."""
