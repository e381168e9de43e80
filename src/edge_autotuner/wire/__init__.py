"""Messages between a node and the service, with their limits: imported by both sides, imports neither."""
