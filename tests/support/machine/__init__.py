"""Ports, mounts, browsers and process state of the machine that tests run on."""
