"""The completion script of zsh: a function for each command, its options and places as ``_arguments`` reads them."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from arawn.cli import tree
from arawn.cli.shells import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arawn.cli.tree import Command, Option, Place

_SPECIAL = str.maketrans({"\\": "\\\\", "[": "\\[", "]": "\\]", ":": "\\:"})


def script(root: Command) -> str:
    """Return the script."""
    return fill(
        _SCRIPT,
        "zsh",
        functions=(line for command in root.walk() for line in _function(command, root)),
        shared=(line for option in root.shared for line in _option(option)),
    )


def _function(command: Command, root: Command) -> Iterator[str]:
    """Write the function of a command; one with subcommands hands on to theirs."""
    name = "_".join(("_arawn_command", *command.path))
    own = [line for option in command.own(root) for line in _option(option)]
    until = ""
    yield f"{name}() {{"
    if command.commands:
        own += ["'1: :->command'", "'*:: :->words'"]
        until = " -A '-*'"
        yield "  local line state"
        yield "  local -a commands=("
        yield from (f"    {quote(f'{child.path[-1]}:{child.help}')}" for child in command.commands)
        yield "  )"
    else:
        own += [_numbered(number, place) for number, place in command.numbered]
    yield " \\\n    ".join([f"  _arguments -C -s -S{until} $shared", *own])
    if command.commands:
        yield "  case $state in"
        yield "    command) _describe command commands ;;"
        yield f"    words) (( $+functions[{name}_$line[1]] )) && {name}_$line[1] ;;"
        yield "  esac"
    yield "}\n"


def _option(option: Option) -> Iterator[str]:
    """Write an option as ``(what it excludes)--name=[help]:value:source``, for each of its spellings."""
    value = f":{_values(option.value)}" if option.value else ""
    for flag in option.flags:
        others = " ".join(rival for rival in option.rivals if rival != flag)
        before = f"({others})" if others else "" if option.rivals else "*"
        mark = "" if not value else "=" if flag.startswith("--") else "+"
        yield quote(f"{before}{flag}{mark}[{option.help.translate(_SPECIAL)}]{value}")


def _numbered(number: int, place: Place) -> str:
    return quote(f"{'*' if place.many else number + 1}:{_values(place)}")


def _values(place: Place) -> str:
    """Write the name of a place and the source of its words; a space stands for words that cannot be completed."""
    source = f"_arawn_ask {place.kind}" if place.kind else " "
    if place.choices:
        source = f"({' '.join(place.choices)})"
    elif place.kind == tree.FILES:
        source = "_files"
    return f"{place.name.translate(_SPECIAL)}:{source}"


_SCRIPT = r"""#compdef arawn
@HEADER@

# Offer names from the configuration; the kind comes after options for compadd. Nothing else starts arawn.
_arawn_ask() {
  [[ $PREFIX == -* ]] && return 1
  local -a names=(${(f)"$(arawn __complete $@[-1] '' "${typed[@]}" 2>/dev/null)"})
  compadd "${@[1,-2]}" -a names
}

@FUNCTIONS@
_arawn() {
  local curcontext=$curcontext
  local -a typed=("${(@Q)words[2,CURRENT-1]}")
  local -a shared=(
    @SHARED@
  )
  _arawn_command
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _arawn "$@"; else compdef _arawn arawn; fi
"""
