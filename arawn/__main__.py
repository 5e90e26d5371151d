"""The entry point. What needs no configuration is answered before anything is imported."""

from __future__ import annotations

import gc
import os
import sys

_GARBAGE_AFTER = 100_000
"""New objects before a collection; at Python's 700, searching those of imports for cycles costs an ask 4 ms."""


def main() -> None:
    """Run arawn with the process's arguments, and leave with its exit code."""
    argv = sys.argv[1:]
    if argv in (["--version"], ["-V"]):
        from arawn import __version__

        sys.stdout.write(f"arawn {__version__}\n")
        return
    gc.set_threshold(_GARBAGE_AFTER)
    from arawn.cli.signals import die_quietly

    die_quietly()
    if os.environ.get("_ARAWN_COMPLETE"):
        from arawn.cli.app import complete

        complete()
    from arawn.cli.app import run

    run(argv)


if __name__ == "__main__":
    main()
