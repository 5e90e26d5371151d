"""How long a process's claim in the store counts: while the process runs, and not longer than a call can last.

Rows of the ledger, permits and probes of circuits are claims: the process that made one ends it. A process that was
killed ends nothing, so each row names its process, and who reads the row later asks the system whether it still runs.
Process numbers are given again, so a claim also expires. Times are those of the monotonic clock, which all processes
of a machine share; it begins anew with the machine, so a time in its future is from before a restart and expired too.
"""

from __future__ import annotations

import os

LONGEST_CALL = 3_600.0
"""Seconds a call without a time limit of its own can last.

So long a claim counts whose process seems to run, and so long a server that is paid by the hour may work for one call:
a reservation has to cover the longest stream that can run.
"""


def is_running(process: int) -> bool:
    """Say whether a process runs; where the system cannot say without disturbing it, as on Windows, it does."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # it runs, as another user
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Say whether a process has ended and only waits for its parent to look; only Linux tells."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[:1] == [b"Z"]
    except OSError:
        return False
