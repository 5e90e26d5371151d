"""``python -m benchmarks.reliability [NAME …]``: try the rows of the scoreboard and print a line of JSON for each."""

from __future__ import annotations

import argparse
import signal
import sys
from importlib import import_module

NAMES = (
    "splits",
    "cuts",
    "upstreams",
    "redirects",
    "clocks",
    "floods",
    "files",
    "writers",
    "answers",
    "budget",
    "ledger",
    "herd",
    "limits",
)


def main() -> None:
    """Run what is asked for. The exit code is 1 where a case went wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; without any, all")
    parser.add_argument("--times", type=int, default=100, help="random tries of each recording (default %(default)s)")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no row {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, also by children
    wrong = 0
    for name in arguments.names or NAMES:
        score = import_module(f"benchmarks.reliability.{name}").score(arguments.times)
        print(score.line(), flush=True)
        wrong += score.wrong
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
