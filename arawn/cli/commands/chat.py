"""``arawn chat``: a conversation in a prompt."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command, examples
from arawn.errors import UsageError

if TYPE_CHECKING:
    from arawn.store.records import Transcript
    from arawn.store.sessions import Sessions

app = options.new_app()


@app.command(
    cls=Command,
    epilog=examples(
        "arawn chat",
        'arawn chat -m opus "How do I read a file line by line?"',
        "arawn chat -c    # continues the newest conversation",
    ),
)
def chat(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None, Argument(metavar="[PROMPT]...", help="the first question", show_default=False)
    ] = None,
    file: Annotated[
        list[str] | None,
        Option(
            "-f",
            "--file",
            metavar="FILE",
            help="attach a file to the first message; repeatable",
            rich_help_panel=options.QUESTION,
        ),
    ] = None,
    system: options.System = None,
    go_on: options.Continue = False,
    session: options.Session = None,
    private: Annotated[
        bool,
        Option("--private", help="save neither the conversation nor what is typed", rich_help_panel=options.QUESTION),
    ] = False,
    cache: options.UseCache = False,
    no_cache: options.NoCache = False,
    fallback: options.Fallback = None,
) -> int:
    """Talk, in a prompt that keeps the conversation.

    Enter sends; Alt-Enter, Ctrl-J or a backslash before Enter makes a new line. Commands begin with a slash: /help
    lists them. Every message and every answer is saved while it arrives: -c continues where you were.
    """
    context: Context = ctx.obj
    options.exclusive({"-c": go_on, "-s": session, "--private": private})
    context.overrides |= options.overrides(cache=cache, no_cache=no_cache, fallback=fallback)
    if not (os.isatty(0) and os.isatty(1)):
        raise UsageError(
            "chat needs a terminal for both its input and its output", hints=['in a script: arawn ask "your question"']
        )
    from arawn.cli.repl.loop import Chat, ChatParts
    from arawn.engine.assembly import Engine
    from arawn.store.sessions import Sessions

    settings, database = context.settings, context.database
    engine = Engine.asynchronous(settings, database=database)
    sessions = None if private else Sessions(database)
    earlier = _find(sessions, session or "", newest=go_on)
    parts = ChatParts(
        output=context.output,
        environ=context.environ,
        settings=settings,
        database=database,
        engine=engine,
        choice=context.choose(engine, last_used=earlier.last_asked if earlier else None),
        sessions=sessions,
        earlier=earlier,
        session_name=session or "",
        system=system or "",
        files=file or [],
        question=" ".join(words or []),
        warn_backend=lambda name: context.caution(settings.backend(name)),
    )
    return Chat(parts).run()


def _find(sessions: Sessions | None, name: str, *, newest: bool) -> Transcript | None:
    """Return the conversation to continue; None for a new one. Raises UsageError if there is none to continue."""
    from arawn.store.sessions import LAST

    if sessions is None or not (newest or name):
        return None
    info = sessions.resolve(LAST) if newest or name == LAST else sessions.find(name)
    return sessions.load(info.id) if info else None
