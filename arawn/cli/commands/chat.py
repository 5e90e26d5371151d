"""Talk, in a prompt that keeps the conversation.

Enter sends; Alt-Enter, Ctrl-J or a backslash before Enter makes a new line. Commands begin with a slash: /help lists
them. Every message and every answer is saved while it arrives: arawn chat -c continues where you were.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from arawn.cli import overrides
from arawn.cli.context import names_backend
from arawn.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

    from arawn.cli.context import Context
    from arawn.store.records import Transcript
    from arawn.store.sessions import Sessions


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``chat`` takes."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("-c", "--continue", dest="go_on", action="store_true", help="go on with the newest session")
    which.add_argument(
        "-s", "--session", metavar="NAME", help="go on with this session: its name, id or how that begins; or begin it"
    )
    which.add_argument(
        "--private", action="store_true", help="keep nothing: neither the conversation nor what is typed"
    )
    parser.add_argument("--system", metavar="TEXT", help="the system prompt")
    parser.add_argument(
        "-f",
        "--file",
        action="append",
        default=[],
        metavar="FILE",
        help="attach a file to the first message; repeatable",
    )
    overrides.add_arguments(parser)


def run(context: Context) -> int:
    """Talk until the user leaves."""
    arguments = context.arguments
    return chat(
        context,
        newest=arguments.go_on,
        session_name=arguments.session or "",
        private=arguments.private,
        system=arguments.system or "",
        files=arguments.file,
    )


def chat(
    context: Context,
    *,
    newest: bool = False,
    session_name: str = "",
    private: bool = False,
    system: str = "",
    files: Sequence[str] = (),
) -> int:
    """Talk until the user leaves; return the exit code.

    ``newest`` continues the newest conversation, ``session_name`` that of this name or id, or begins one of that name.
    Raises UsageError if there is no terminal or no such conversation.
    """
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
    earlier = _find(sessions, session_name, newest=newest)
    parts = ChatParts(
        output=context.output,
        environ=context.environ,
        settings=settings,
        database=database,
        engine=engine,
        choice=context.choose(engine, usual=earlier.last_asked if earlier else None),
        sessions=sessions,
        earlier=earlier,
        session_name=session_name,
        system=system,
        files=files,
        names_backend=lambda name: names_backend(engine, name),
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
