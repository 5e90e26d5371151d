"""Whether a process of this machine still runs."""

from __future__ import annotations

import os


def alive(process: int) -> bool:
    """Say whether a process still runs; where nobody can tell without disturbing it, as on Windows, it does."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # it is there, and somebody else's
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Say whether a process has ended and only waits for its parent to look; Linux tells, others count it as alive."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[:1] == [b"Z"]
    except OSError:
        return False
