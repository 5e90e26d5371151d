"""``python -m benchmarks [NAME …]``: run the benchmarks and print what they found, beside the goals."""

from __future__ import annotations

import argparse
import platform
import sys
from datetime import UTC, datetime
from importlib import import_module

from benchmarks.peers import Peers
from benchmarks.place import place
from benchmarks.report import as_json, as_table

NAMES = ("startup", "one_shot", "streaming", "events", "first_token", "chat", "markdown", "batch", "calls", "stack")


def main() -> None:
    """Run what is asked for. The exit code is 1 where a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; without any, all")
    parser.add_argument("--rounds", type=int, default=21, help="how often each contender runs (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    peers, rows = Peers(), []
    with place(arguments.rounds) as where:
        for name in arguments.names or NAMES:
            rows += import_module(f"benchmarks.{name}").rows(where, peers)
    if arguments.json:
        print(as_json(rows))
    else:
        print(as_table(rows))
        versions = f"Python {platform.python_version()}, {peers.versions()}"
        print(f"\n{datetime.now(UTC):%Y-%m-%d}, {versions}; medians of {arguments.rounds} rounds, in turns.")
    sys.exit(any(row.reached is False for row in rows))


if __name__ == "__main__":
    main()
