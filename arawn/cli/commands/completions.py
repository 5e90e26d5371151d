"""Print the completion script of a shell, or install it where that shell looks for it.

bash        arawn completions bash --install     (or: source <(arawn completions bash))
zsh         arawn completions zsh --install
fish        arawn completions fish --install
powershell  arawn completions powershell >> $PROFILE
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from arawn.cli import bash, fish, powershell, tree, zsh
from arawn.errors import UsageError
from arawn.files import write_output

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Mapping

    from arawn.cli.context import Context

SHELLS: dict[str, Callable[[tree.Command], str]] = {
    "bash": bash.script,
    "zsh": zsh.script,
    "fish": fish.script,
    "powershell": powershell.script,
}
_NEEDS = {
    "bash": "it needs the package bash-completion; without it, add to .bashrc:  source <(arawn completions bash)",
    "zsh": "it needs in .zshrc, before compinit:  fpath=(~/.zfunc $fpath)",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what ``completions`` takes."""
    parser.add_argument("shell", choices=tuple(SHELLS), metavar="SHELL", help=", ".join(SHELLS))
    parser.add_argument("--install", action="store_true", help="write it to your home instead of printing it")


def run(context: Context) -> int:
    """Print or install."""
    shell = context.arguments.shell
    if not context.arguments.install:
        context.output.answer(script(shell))
        return 0
    path = _place_of(shell, context.environ)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    write_output(path, script(shell).encode())
    context.output.line(f"written to {path}; new shells have it")
    if shell in _NEEDS:
        context.output.line(f"  {_NEEDS[shell]}")
    return 0


def script(shell: str) -> str:
    """Return the completion script of one of SHELLS."""
    return SHELLS[shell](tree.root())


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
