"""``arawn audit``: who changed what, and when."""

from __future__ import annotations

import os
import time
from json import dumps
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from arawn import dates
from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.help import examples
from arawn.cli.report.tables import print_table
from arawn.store.audit import Action, Audit
from arawn.store.database import Database

if TYPE_CHECKING:
    from arawn.store.audit import Entry

HEADER = ("time", "who", "action", "what", "change")
_SHOWN = 50
_WIDEST = 48

app = options.new_app()


@app.command(cls=Command, epilog=examples("arawn audit --since 7d", "arawn audit --action budget --json"))
def audit(
    ctx: typer.Context,
    since: options.Since = None,
    action: Annotated[Action | None, Option("--action", help="only changes of this kind")] = None,
    limit: options.Limit = None,
    json: Annotated[bool, Option("--json", help="print a JSON array, without -n of all")] = False,
) -> None:
    """Show who changed what, and when: budgets, backends, other configuration, secrets, trust in project files.

    What "arawn config" and "arawn secrets" change is recorded with its value before and after, keys masked, in a log to
    which entries can only be added. What is changed by hand in a file is not. The newest 50 are shown, the newest last.
    """
    context: Context = ctx.obj
    most = limit or (-1 if json else _SHOWN)
    begin = dates.since(since or dates.EVER, time.time())
    with Database.of_user(context.environ) as database:
        found = []
        if os.path.exists(database.path):
            found = Audit(database).entries(begin, most + 1 if most > 0 else most, action=action or "")
        for warning in database.warnings:
            context.output.warning(warning)
    shown = found[-most:] if most > 0 else found
    if json:
        context.output.data(dumps([_fields(entry) for entry in shown], ensure_ascii=False))
    elif shown:
        if len(found) > len(shown):
            context.output.note(f"there are older ones: -n {2 * most} shows more")
        print_table(context.output, HEADER, map(_cells, shown))
    else:
        context.output.note("no such change is written down" if since or action else "nothing was changed yet")


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
