"""Small runs, datasets, networks and the command line."""
