"""File systems of a test's own: a mount namespace that nothing else on the machine sees."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def shell_in_mount_namespace(folder: Path) -> list[str]:
    """Return a command that takes a shell script, which may mount a tmpfs on the folder; skip where it may not."""
    unshare = shutil.which("unshare")
    shell = [unshare or "", "--mount", "--map-root-user", "sh", "-c"]
    probe = [*shell, f'mount -t tmpfs tmpfs "{folder}"']
    if unshare is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs a mount namespace of its own (unshare --mount)")
    return shell
