"""Look at kept conversations, search, export, name, branch and delete them.

A SESSION is "last", a name, an id, or at least four letters an id begins with. To go on with one: arawn ask -s SESSION.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from arawn.answers.record import usage_fields
from arawn.cli.commands.ask import positive_float, positive_int
from arawn.cli.output import Styled
from arawn.cli.report.tables import print_table
from arawn.errors import UsageError
from arawn.store import export
from arawn.store.database import Database
from arawn.store.sessions import LAST, Sessions
from arawn.values import as_dict

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from arawn.cli.context import Context
    from arawn.store.records import SessionInfo

HEADER = ("id", "name", "last used", "turns", "model", "cost", "title")
_SHOWN = 20
_FORMATS = {
    "markdown": export.to_markdown,
    "md": export.to_markdown,
    "json": export.to_json,
    "html": export.to_html,
}
_ENDINGS = {".json": "json", ".html": "html", ".htm": "html"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``sessions`` takes."""
    from arawn.cli.parser import global_options

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared: dict[str, Any] = {"parents": [global_options()]}

    def add(name: str, text: str) -> ArgumentParser:
        made: ArgumentParser = actions.add_parser(name, help=text, description=text, **shared)
        made.add_argument("--json", action="store_true", help="print JSON")
        return made

    listing = add("list", "list the newest sessions")
    listing.add_argument("-n", "--limit", type=positive_int, metavar="N", help=f"so many; else {_SHOWN}")
    listing.add_argument("--all", action="store_true", help="all of them; with --json that is so anyway")
    show = add("show", "print a session")
    show.add_argument("session", nargs="?", default=LAST, metavar="SESSION", help="which; else the newest")
    search = add("search", "find the messages that have all these words, or words that begin with them")
    search.add_argument("words", nargs="+", metavar="WORD", help="what to look for")
    search.add_argument("-n", "--limit", type=positive_int, metavar="N", help=f"so many; else {_SHOWN}")
    writing = add("export", "write a session as Markdown, JSON or one HTML page")
    writing.add_argument("session", nargs="?", default=LAST, metavar="SESSION", help="which; else the newest")
    writing.add_argument("--format", choices=_FORMATS, help="else as FILE ends, and Markdown without")
    writing.add_argument("-o", "--output", metavar="FILE", help="write to FILE, whole or not at all")
    rename = add("rename", "give a session a name")
    rename.add_argument("session", metavar="SESSION", help="which")
    rename.add_argument("name", metavar="NAME", help='its new name; "" takes the name away')
    delete = add("delete", "delete sessions, from the disk too")
    delete.add_argument("sessions", nargs="+", metavar="SESSION", help="which")
    branch = add("branch", "begin a session with the turns of another")
    branch.add_argument("session", metavar="SESSION", help="which")
    branch.add_argument("--turn", type=positive_int, metavar="N", help="up to its N-th turn; else all")
    purge = add("purge", "delete the sessions that were not used for long, save those with a name")
    purge.add_argument("--days", type=positive_float, metavar="N", help="how long; else [sessions] keep_days")


def run(context: Context) -> int:
    """Do what was asked."""
    actions = {
        "list": _list,
        "show": _show,
        "search": _search,
        "export": _export,
        "rename": _rename,
        "delete": _delete,
        "branch": _branch,
        "purge": _purge,
    }
    with Database.of_user(context.environ) as database:
        actions[context.arguments.action](context, Sessions(database))
        for warning in database.warnings:
            context.output.warning(warning)
    return 0


def _list(context: Context, sessions: Sessions) -> None:
    arguments, output = context.arguments, context.output
    everything = arguments.all or (arguments.json and not arguments.limit)
    limit = arguments.limit or _SHOWN
    found = sessions.recent(-1 if everything else limit + 1)
    shown = found if everything else found[:limit]
    if arguments.json:
        output.data(json.dumps([_fields(info) for info in shown], ensure_ascii=False))
    elif shown:
        print_table(output, HEADER, map(_cells, shown))
        if len(found) > len(shown):
            output.note("there are older ones: --all shows them")
    else:
        output.note("there is no session yet: arawn ask begins one")


def _show(context: Context, sessions: Sessions) -> None:
    _write(context, sessions, "json" if context.arguments.json else "markdown")


def _export(context: Context, sessions: Sessions) -> None:
    arguments, output = context.arguments, context.output
    ending = os.path.splitext(arguments.output or "")[1].lower()
    if arguments.output:
        output.hold_for(arguments.output)
    _write(context, sessions, arguments.format or ("json" if arguments.json else _ENDINGS.get(ending, "markdown")))
    output.release(complete=True)


def _write(context: Context, sessions: Sessions, form: str) -> None:
    transcript = sessions.load(sessions.resolve(context.arguments.session).id)
    text = _FORMATS[form](transcript)
    if form == "json":
        context.output.data(text.removesuffix("\n"))
    else:
        context.output.answer(text)
        context.output.end_answer()


def _search(context: Context, sessions: Sessions) -> None:
    arguments, output = context.arguments, context.output
    hits = sessions.search(" ".join(arguments.words), arguments.limit or _SHOWN)
    if arguments.json:
        output.data(json.dumps([as_dict(hit) for hit in hits], ensure_ascii=False))
        return
    if not hits:
        output.note("nothing was found")
    told = ""
    for hit in hits:
        if hit.session != told:
            output.line(Styled(hit.session, "bold"), f"  {hit.title}")
        told = hit.session
        output.line(f"  {hit.turn} {hit.role}: {hit.before}", Styled(hit.found, "good"), hit.after)


def _rename(context: Context, sessions: Sessions) -> None:
    found = sessions.resolve(context.arguments.session)
    sessions.rename(found.id, context.arguments.name)
    _tell(context, sessions, found.id)


def _delete(context: Context, sessions: Sessions) -> None:
    found = list(dict.fromkeys(sessions.resolve(word).id for word in context.arguments.sessions))
    sessions.delete(*found)
    if context.arguments.json:
        context.output.data(json.dumps({"deleted": found}))


def _branch(context: Context, sessions: Sessions) -> None:
    arguments = context.arguments
    found = sessions.resolve(arguments.session)
    numbers = sorted({entry.turn for entry in sessions.load(found.id).entries})
    count = arguments.turn or len(numbers)
    if count > len(numbers):
        raise UsageError(f"the session has no turn {count}: it has {len(numbers)}")
    made = sessions.branch(found.id, numbers[count - 1] if numbers else 0)
    _tell(context, sessions, made)


def _purge(context: Context, sessions: Sessions) -> None:
    days = context.arguments.days or context.settings.value("sessions.keep_days")
    if days is None:
        raise UsageError(
            "how old may a session be?",
            hints=["arawn sessions purge --days 90", "or for always: arawn config set sessions.keep_days 90"],
        )
    count = sessions.purge(days)
    if context.arguments.json:
        context.output.data(json.dumps({"deleted": count}))
    else:
        context.output.note(f"deleted: {count} session{'' if count == 1 else 's'} not used for {days:g} days")


def _tell(context: Context, sessions: Sessions, session: str) -> None:
    """Print which session it is now."""
    if context.arguments.json:
        context.output.data(json.dumps(_fields(sessions.resolve(session)), ensure_ascii=False))
    else:
        context.output.line(session)


def _fields(info: SessionInfo) -> dict[str, Any]:
    """Return a session as JSON; times are seconds since the epoch."""
    return {
        "id": info.id,
        "name": info.name,
        "title": info.title,
        "created": info.created,
        "updated": info.updated,
        "backend": info.backend,
        "model": info.model,
        "turns": info.turns,
        "usage": usage_fields(info.usage),
        "cost": None if info.cost is None else float(info.cost),
        "parent": info.parent,
        "branched_at": info.branched_at,
        "last_text": info.last_text,
    }


def _cells(info: SessionInfo) -> tuple[str, ...]:
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(info.updated))
    cost = "-" if info.cost is None else f"${info.cost:.4f}"
    return info.id, info.name or "-", used, str(info.turns), f"{info.backend}/{info.model}", cost, info.title
