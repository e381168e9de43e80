"""Becomes the broker Mosquitto, which keeps nothing here; prints "ready PORT" when it can be connected to."""

from __future__ import annotations

import argparse
import os
import socket
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Start it, and let a child say when it is there: this process is the broker, so that it can be killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for any free one")
    port = parser.parse_args().port
    if port == 0:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
    handle, name = tempfile.mkstemp(suffix=".conf")
    os.write(handle, f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type none\n".encode())
    if os.fork() == 0:
        wait_and_say(port)
        Path(name).unlink()
        return
    os.execvp("mosquitto", ["mosquitto", "-c", name])


def wait_and_say(port: int) -> None:
    """Try to connect until it works."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            print(f"ready {port}", flush=True)
            return


if __name__ == "__main__":
    main()
