"""`python -m benchmarks.capture.memory CLIP`: memory of decoding and gating in a process of its own, as JSON.

imports_mb  resident after everything is imported
peak_mb     the largest resident size while it ran: what the process of one camera takes
added_mb    the difference: what one more camera in the same process would take
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.capture.contenders import decode_and_gate
from benchmarks.machine import memory_mb, one_core


def main(clip: Path) -> None:
    """Print the three sizes in MB of 10^6 bytes."""
    with one_core():
        imports_mb = memory_mb("VmRSS")
        for _ in decode_and_gate(clip):
            pass
        peak_mb = memory_mb("VmHWM")
    print(json.dumps({"imports_mb": imports_mb, "peak_mb": peak_mb, "added_mb": peak_mb - imports_mb}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
