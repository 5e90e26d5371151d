"""The completion script of fish: a line for each option and place, on the condition that its command was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli import tree
from arawn.cli.shells import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arawn.cli.tree import Command, Option, Place


def script(root: Command) -> str:
    """Return the script."""
    return fill(
        _SCRIPT,
        "fish",
        takers=[f"case {' '.join(tree.values(root))}"],
        steps=[f"case {' '.join(map(_quoted, tree.steps(root)))}"],
        shared=(f"complete -c arawn{_option(option)}" for option in root.shared),
        commands=(line for command in root.walk() for line in _command(command, root)),
    )


def _command(command: Command, root: Command) -> Iterator[str]:
    for option in command.own(root):
        yield f"{_at(command, '*')}{_option(option)}"
    for child in command.commands:
        yield f"{_at(command, '0')} -a {child.path[-1]} -d {_quoted(child.help)}"
    for number, place in enumerate(command.places):
        if source := _source(place):
            yield f"{_at(command, '*' if place.many else str(number))}{source}"


def _at(command: Command, place: str) -> str:
    return f"complete -c arawn -n \"__arawn_at '{command.line}:{place}'\""


def _option(option: Option) -> str:
    flags = "".join(f" -l {flag[2:]}" if flag.startswith("--") else f" -s {flag[1:]}" for flag in option.flags)
    value = f" -r{_source(option.value) or ' -f'}" if option.value else ""
    return f"{flags}{value} -d {_quoted(option.help)}"


def _source(place: Place) -> str:
    if place.choices:
        return f" -f -a {_quoted(' '.join(place.choices))}"
    if place.kind == tree.FILES:
        return " -F"
    return f" -f -a '(__arawn_ask {place.kind})'" if place.kind else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPT = r"""@HEADER@

# Names from the configuration. Nothing else starts arawn.
function __arawn_ask -a kind
    arawn __complete $kind '' (commandline -opc)[2..] 2>/dev/null
end

# Whether "command:number of its words before the cursor" is like the pattern; in an option it is "command:option".
function __arawn_at -a pattern
    set -l command ''
    set -l count 0
    set -l value no
    for word in (commandline -opc)[2..]
        if test $value = yes
            set value no
            continue
        end
        switch $word
            @TAKERS@
                set value yes
            case '-?*'
            case '*'
                switch "$count:$command $word"
                    @STEPS@
                        set command (string trim "$command $word")
                    case '*'
                        set count (math $count + 1)
                end
        end
    end
    string match -q -- '-*' (commandline -ct); and set count option
    string match -q -- $pattern "$command:$count"
end

complete -c arawn -e
complete -c arawn -f
@SHARED@
@COMMANDS@
"""
