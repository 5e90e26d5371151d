"""``arawn completions``: tab completion for a shell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Argument, Option

from arawn.cli import options
from arawn.cli.completion_scripts import script
from arawn.cli.context import Context
from arawn.cli.groups import Command
from arawn.cli.help import examples
from arawn.errors import UsageError
from arawn.files import write_output

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEEDS = {
    "bash": "it needs the package bash-completion; without it, add to .bashrc:  source <(arawn completions bash)",
    "zsh": "it needs in .zshrc, before compinit:  fpath=(~/.zfunc $fpath)",
}

app = options.new_app()


@app.command(
    cls=Command,
    epilog=examples(
        "arawn completions bash --install     (or: source <(arawn completions bash))",
        "arawn completions zsh --install",
        "arawn completions powershell >> $PROFILE",
    ),
)
def completions(
    ctx: typer.Context,
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"], Argument(metavar="SHELL", help="bash, zsh, fish or powershell")
    ],
    install: Annotated[bool, Option("--install", help="write it to your home instead of printing it")] = False,
) -> None:
    """Print the completion script of a shell, or install it where that shell looks for it."""
    context: Context = ctx.obj
    if not install:
        context.output.answer(script(shell))
        return
    path = _place_of(shell, context.environ)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    write_output(path, script(shell).encode())
    context.output.line(f"written to {path}; new shells have it")
    if shell in _NEEDS:
        context.output.line(f"  {_NEEDS[shell]}")


def _place_of(shell: str, environ: Mapping[str, str]) -> str:
    """Return the file a shell looks for. Raises UsageError for one that looks nowhere."""
    home = os.path.expanduser("~")
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    places = {
        "bash": f"{environ.get('BASH_COMPLETION_USER_DIR') or f'{data}/bash-completion'}/completions/arawn",
        "zsh": f"{home}/.zfunc/_arawn",
        "fish": f"{config}/fish/completions/arawn.fish",
    }
    if shell not in places:
        raise UsageError(
            f"{shell} has no folder for completions",
            hints=["add the script to your profile: arawn completions powershell >> $PROFILE"],
        )
    return places[shell]
