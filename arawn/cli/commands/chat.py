"""Talk, in a prompt that keeps the conversation.

Enter sends; Alt-Enter, Ctrl-J or a backslash before Enter makes a line. Commands begin with a slash: /help lists them.
Every message and every answer is saved while it comes: arawn chat -c goes on where you were.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from arawn.cli import overrides
from arawn.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from arawn.cli.context import Context


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
    if not (os.isatty(0) and os.isatty(1)):
        raise UsageError(
            "chat needs a terminal for both its input and its output", hints=['in a script: arawn ask "your question"']
        )
    from arawn.cli.repl.loop import Chat

    return Chat(context).run()
