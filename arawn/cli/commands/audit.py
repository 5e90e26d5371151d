"""Show who changed what, and when: budgets, backends, other configuration, secrets, trust in project files.

What "arawn config" and "arawn secrets" change is written down with its value before and after, keys masked, where
nothing can be changed or removed afterwards. What is changed by hand in a file is not.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from arawn import dates
from arawn.cli.commands.ask import positive_int
from arawn.cli.report.tables import print_table
from arawn.store.audit import ACTIONS, Audit
from arawn.store.database import Database

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from typing import Any

    from arawn.cli.context import Context
    from arawn.store.audit import Entry

HEADER = ("time", "who", "action", "what", "change")
_SHOWN = 50
_WIDEST = 48


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``audit`` takes."""
    dates.add_since(parser, dates.EVER)
    parser.add_argument("--action", choices=ACTIONS, help="only changes of this kind")
    parser.add_argument("-n", "--limit", type=positive_int, metavar="N", help=f"the last N; else {_SHOWN}")
    parser.add_argument("--json", action="store_true", help="print a JSON array, without -n of all")


def run(context: Context) -> int:
    """Show the entries, the newest last."""
    arguments, output = context.arguments, context.output
    limit = arguments.limit or (-1 if arguments.json else _SHOWN)
    since = dates.since(arguments.since or dates.EVER, time.time())
    found = _entries(context, since, limit + 1 if limit > 0 else limit)
    shown = found[-limit:] if limit > 0 else found
    if arguments.json:
        output.data(json.dumps([_fields(entry) for entry in shown], ensure_ascii=False))
    elif shown:
        if len(found) > len(shown):
            output.note(f"there are older ones: -n {2 * limit} shows more")
        print_table(output, HEADER, map(_cells, shown))
    else:
        output.note("no such change is written down" if since or arguments.action else "nothing was changed yet")
    return 0


def _entries(context: Context, since: float, limit: int) -> list[Entry]:
    with Database.of_user(context.environ) as database:
        if not os.path.exists(database.path):
            return []
        found = Audit(database).entries(since, limit, action=context.arguments.action or "")
        for warning in database.warnings:
            context.output.warning(warning)
    return found


def _fields(entry: Entry) -> dict[str, Any]:
    change = entry.change
    return {
        "time": dates.stamp(entry.at),
        "who": entry.who,
        "action": change.action,
        "subject": change.subject,
        "before": change.before,
        "after": change.after,
    }


def _cells(entry: Entry) -> tuple[str, ...]:
    change = entry.change
    values = f"{_short(change.before)} → {_short(change.after)}"
    return dates.local(entry.at), entry.who, change.action, change.subject, values


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return value if len(value) <= _WIDEST else value[: _WIDEST - 1] + "…"
