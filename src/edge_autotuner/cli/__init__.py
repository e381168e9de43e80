"""The command line: one file per command; parse, call, map errors to exit codes."""
