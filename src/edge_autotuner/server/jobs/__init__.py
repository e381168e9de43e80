"""Tuning jobs: stored in the database, run by worker processes, on data that clients have uploaded."""
