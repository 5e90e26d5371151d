"""For all tests: Ctrl-C counts, also where they run in the background of a script, which would ignore it."""

from __future__ import annotations

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
