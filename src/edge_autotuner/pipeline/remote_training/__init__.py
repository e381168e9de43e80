"""Training at a service: describes a run, sends its files, and fetches what the training made."""
