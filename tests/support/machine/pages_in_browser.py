"""Pages as a browser lays them out: Chromium, driven through a pipe, with the width of a phone or of a desk."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PHONE_PX, DESK_PX = 390, 1400
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions",
    "--no-first-run", "--disable-background-networking", "--allow-file-access-from-files", "--remote-debugging-pipe",
    "about:blank",
)  # fmt: skip

TOO_WIDE = """
(() => {
  const limit = document.documentElement.clientWidth, found = [];
  for (const element of document.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    if (box.width === 0 || box.height === 0 || box.right + scrollX <= limit + 1) continue;
    let parent = element, scrolls = false;
    while ((parent = parent.parentElement) && parent !== document.body) {
      const style = getComputedStyle(parent);
      if (style.overflowX !== "visible") { scrolls = parent.getBoundingClientRect().right <= limit + 1; break; }
    }
    if (!scrolls && getComputedStyle(element).position !== "fixed") found.push(element.outerHTML.slice(0, 120));
  }
  return document.documentElement.scrollWidth > limit + 1 ? found.slice(0, 3).concat("scrolls") : [];
})()
"""
"""What makes the page scroll sideways; elements inside something that scrolls by itself do not."""


class Browser:
    """A running Chromium with one page."""

    def __init__(self, process: subprocess.Popen[bytes], read_fd: int, write_fd: int) -> None:
        self._process, self._reader, self._writer = process, os.fdopen(read_fd, "rb"), os.fdopen(write_fd, "wb")
        self._n_calls = 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def show(self, url: str, *, width_px: int, is_dark: bool = False) -> None:
        """Load a page at a width and wait until it is there."""
        size = {"width": width_px, "height": 900, "deviceScaleFactor": 1, "mobile": width_px <= PHONE_PX}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=url)
        self._wait_for("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """Return what JavaScript in the page says."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self, path: Path, *, max_height_px: int = 6000) -> None:
        """Write the whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], max_height_px), "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the DevTools protocol."""
        self._n_calls += 1
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": self._n_calls, "method": method, "params": parameters, **session}
        self._writer.write(json.dumps(message).encode() + b"\0")
        self._writer.flush()
        while (reply := self._next()).get("id") != self._n_calls:
            pass
        assert "error" not in reply, reply
        return reply["result"]

    def close(self) -> None:
        """End the browser."""
        self._process.kill()
        self._process.wait()
        self._reader.close()
        self._writer.close()

    def _wait_for(self, event: str) -> None:
        while self._next().get("method") != event:
            pass

    def _next(self) -> Any:
        text = bytearray()
        while (byte := self._reader.read(1)) != b"\0":
            assert byte, "Chromium has ended"
            text += byte
        return json.loads(text)


@contextmanager
def browser() -> Iterator[Browser]:
    """Give a browser; skip the test where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed (scripts/test_servers)")
    to_child, from_us = os.pipe()
    to_us, from_child = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # Chromium reads at descriptor 3 and writes at 4
        command = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
        arguments = [str(to_child), str(from_child), chromium, f"--user-data-dir={profile}", *_FLAGS]
        process = subprocess.Popen(
            ["bash", "-c", command, "bash", *arguments], pass_fds=(to_child, from_child), stderr=subprocess.DEVNULL
        )
        os.close(to_child)
        os.close(from_child)
        running = Browser(process, to_us, from_us)
        try:
            yield running
        finally:
            running.close()
