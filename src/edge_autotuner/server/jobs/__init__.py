"""Tuning jobs: kept in the database, done by worker processes, on data that clients have uploaded."""
