"""``arawn chat``: a conversation in a prompt."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from typer import Argument, Option

from arawn.cli import options
from arawn.cli.context import Context
from arawn.cli.groups import Command, examples
from arawn.errors import UsageError

app = options.new_app()


@app.command(
    cls=Command,
    epilog=examples(
        "arawn chat",
        'arawn chat -m opus "How do I read a file line by line?"',
        "arawn chat -c    # the newest, continued",
    ),
)
def chat(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None, Argument(metavar="[PROMPT]...", help="the first question", show_default=False)
    ] = None,
    file: Annotated[
        list[str] | None,
        Option("-f", "--file", metavar="FILE", help="attach a file to the first message; repeatable"),
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

    Enter sends; Alt-Enter, Ctrl-J or a backslash before Enter makes a line. Commands begin with a slash: /help lists
    them. Every message and every answer is saved while it comes.
    """
    context: Context = ctx.obj
    options.exclusive({"-c": go_on, "-s": session, "--private": private})
    context.overrides |= options.overrides(cache=cache, no_cache=no_cache, fallback=fallback)
    if not (os.isatty(0) and os.isatty(1)):
        raise UsageError(
            "chat needs a terminal for both its input and its output", hints=['in a script: arawn ask "your question"']
        )
    from arawn.cli.repl.loop import Chat

    return Chat(context).run()
