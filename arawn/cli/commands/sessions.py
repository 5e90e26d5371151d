"""``arawn sessions``: saved conversations."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Argument, Option

from arawn.answers.record import usage_fields
from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.help import examples
from arawn.cli.output import Output, Styled
from arawn.cli.report.tables import print_table
from arawn.errors import UsageError
from arawn.store import export as formats
from arawn.store.database import Database
from arawn.store.sessions import LAST, Sessions
from arawn.values import as_dict

if TYPE_CHECKING:
    from arawn.store.records import SessionInfo

HEADER = ("id", "name", "last used", "turns", "model", "cost", "title")
_SHOWN = 20
_FORMATS = {
    "markdown": formats.to_markdown,
    "md": formats.to_markdown,
    "json": formats.to_json,
    "html": formats.to_html,
}
_ENDINGS = {".json": "json", ".html": "html", ".htm": "html"}

app = options.new_app(
    invoke_without_command=True,
    help="""Find, show, export and delete conversations.

    A SESSION is "last", a name, an id, or at least four letters an id begins with. To go on with one: arawn chat -s
    SESSION. Without a command the newest are listed.
    """,
    epilog=examples("arawn sessions", "arawn sessions search retry after", "arawn sessions export last -o notes.md"),
)
_sessions = options.names_of("sessions")
Which = Annotated[str, Argument(metavar="SESSION", help="which", autocompletion=_sessions)]
WhichOrNewest = Annotated[
    str, Argument(metavar="[SESSION]", help="which; else the newest", autocompletion=_sessions, show_default=False)
]


@app.callback()
def sessions(ctx: typer.Context, json: options.AsJson = False) -> None:
    """List the newest where no command says otherwise."""
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, limit=None, everything=False, as_json=json)


@app.command(
    "list", cls=Command, epilog=examples("arawn sessions list -n 5", "arawn sessions list --json | jq .[0].id")
)
def list_(
    ctx: typer.Context,
    limit: options.Limit = None,
    everything: Annotated[bool, Option("--all", help="all of them; with --json that is so anyway")] = False,
    json: options.AsJson = False,
) -> None:
    """List the newest sessions."""
    _list(ctx.obj, limit=limit, everything=everything, as_json=json)


@app.command(cls=Command, epilog=examples("arawn sessions show", "arawn sessions show 7f3a --json"))
def show(ctx: typer.Context, session: WhichOrNewest = LAST, json: options.AsJson = False) -> None:
    """Print a session."""
    with _opened(ctx.obj) as kept:
        _write(ctx.obj.output, kept, session, "json" if json else "markdown")


@app.command(cls=Command, epilog=examples("arawn sessions search budget", 'arawn sessions search "C++" -n 5'))
def search(
    ctx: typer.Context,
    words: Annotated[list[str], Argument(metavar="WORD...", help="what to look for")],
    limit: options.Limit = None,
    json: options.AsJson = False,
) -> None:
    """Find the messages that have all these words, or words that begin with them."""
    output: Output = ctx.obj.output
    with _opened(ctx.obj) as kept:
        hits = kept.search(" ".join(words), limit or _SHOWN)
    if json:
        output.data(dumps([as_dict(hit) for hit in hits], ensure_ascii=False))
        return
    if not hits:
        output.note("nothing was found")
    before = ""
    for hit in hits:
        if hit.session != before:
            output.line(Styled(hit.session, "bold"), f"  {hit.title}")
        before = hit.session
        output.line(f"  {hit.turn} {hit.role}: {hit.before}", Styled(hit.found, "good"), hit.after)


@app.command(
    cls=Command, epilog=examples("arawn sessions export last -o talk.html", "arawn sessions export 7f3a --format json")
)
def export(
    ctx: typer.Context,
    session: WhichOrNewest = LAST,
    form: Annotated[
        Literal["markdown", "md", "json", "html"] | None,
        Option("--format", help="else as FILE ends, and Markdown without"),
    ] = None,
    output: Annotated[
        str | None, Option("-o", "--output", metavar="FILE", help="write to FILE, whole or not at all")
    ] = None,
    json: options.AsJson = False,
) -> None:
    """Write a session as Markdown, JSON or one HTML page."""
    context: Context = ctx.obj
    ending = os.path.splitext(output or "")[1].lower()
    if output:
        context.output.hold_for(output)
    with _opened(context) as kept:
        _write(context.output, kept, session, form or ("json" if json else _ENDINGS.get(ending, "markdown")))
    context.output.release(complete=True)


@app.command(cls=Command, epilog=examples("arawn sessions rename last holiday-plan"))
def rename(
    ctx: typer.Context,
    session: Which,
    name: Annotated[str, Argument(metavar="NAME", help='its new name; "" takes the name away')],
    json: options.AsJson = False,
) -> None:
    """Give a session a name."""
    with _opened(ctx.obj) as kept:
        found = kept.resolve(session)
        kept.rename(found.id, name)
        _print_which(ctx.obj.output, kept, found.id, as_json=json)


@app.command(cls=Command, epilog=examples("arawn sessions delete 7f3a 81bc"))
def delete(
    ctx: typer.Context,
    sessions: Annotated[list[str], Argument(metavar="SESSION...", help="which", autocompletion=_sessions)],
    json: options.AsJson = False,
) -> None:
    """Delete sessions, from the disk too."""
    with _opened(ctx.obj) as kept:
        found = list(dict.fromkeys(kept.resolve(word).id for word in sessions))
        kept.delete(*found)
    if json:
        ctx.obj.output.data(dumps({"deleted": found}))


@app.command(cls=Command, epilog=examples("arawn sessions branch last --turn 3"))
def branch(
    ctx: typer.Context,
    session: Which,
    turn: Annotated[
        int | None, Option("--turn", parser=options.positive_int, metavar="N", help="up to its N-th turn; else all")
    ] = None,
    json: options.AsJson = False,
) -> None:
    """Begin a session with the turns of another."""
    with _opened(ctx.obj) as kept:
        found = kept.resolve(session)
        numbers = sorted({entry.turn for entry in kept.load(found.id).entries})
        count = turn or len(numbers)
        if count > len(numbers):
            raise UsageError(f"the session has no turn {count}: it has {len(numbers)}")
        made = kept.branch(found.id, numbers[count - 1] if numbers else 0)
        _print_which(ctx.obj.output, kept, made, as_json=json)


@app.command(cls=Command, epilog=examples("arawn sessions purge --days 90"))
def purge(
    ctx: typer.Context,
    days: Annotated[
        float | None,
        Option("--days", parser=options.positive_float, metavar="N", help="how long; else [sessions] keep_days"),
    ] = None,
    json: options.AsJson = False,
) -> None:
    """Delete the sessions that were not used for long, except those with a name."""
    context: Context = ctx.obj
    days = days or context.settings.value("sessions.keep_days")
    if days is None:
        raise UsageError(
            "how old may a session be?",
            hints=["arawn sessions purge --days 90", "or for always: arawn config set sessions.keep_days 90"],
        )
    with _opened(context) as kept:
        count = kept.purge(days)
    if json:
        context.output.data(dumps({"deleted": count}))
    else:
        context.output.note(f"deleted: {count} session{'' if count == 1 else 's'} not used for {days:g} days")


@contextmanager
def _opened(context: Context) -> Iterator[Sessions]:
    """Open the store."""
    with Database.of_user(context.environ) as database:
        yield Sessions(database)
        for warning in database.warnings:
            context.output.warning(warning)


def _list(context: Context, *, limit: int | None, everything: bool, as_json: bool) -> None:
    output = context.output
    everything = everything or (as_json and not limit)
    most = limit or _SHOWN
    with _opened(context) as kept:
        found = kept.recent(-1 if everything else most + 1)
    shown = found if everything else found[:most]
    if as_json:
        output.data(dumps([_fields(info) for info in shown], ensure_ascii=False))
    elif shown:
        print_table(output, HEADER, map(_cells, shown))
        if len(found) > len(shown):
            output.note("there are older ones: --all shows them")
    else:
        output.note("there is no session yet: arawn ask begins one")


def _write(output: Output, kept: Sessions, session: str, form: str) -> None:
    text = _FORMATS[form](kept.load(kept.resolve(session).id))
    if form == "json":
        output.data(text.removesuffix("\n"))
    else:
        output.answer(text)
        output.end_answer()


def _print_which(output: Output, kept: Sessions, session: str, *, as_json: bool) -> None:
    """Print which session it is now."""
    if as_json:
        output.data(dumps(_fields(kept.resolve(session)), ensure_ascii=False))
    else:
        output.line(session)


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
