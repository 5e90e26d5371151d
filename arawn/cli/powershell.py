"""The completion script of PowerShell. Where it offers nothing, PowerShell offers files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.cli import tree
from arawn.cli.shells import fill

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arawn.cli.tree import Command, Option, Place


def script(root: Command) -> str:
    """Return the script."""
    values = tree.values(root)
    return fill(
        _SCRIPT,
        "PowerShell",
        takers=[f"$takers = {_list(values)}"],
        steps=[f"$steps = {_list(tree.steps(root))}"],
        values=_value_cases(values),
        shared=[_flags(root.shared)],
        options=_option_cases(root),
        places=_place_cases(root),
    )


def _value_cases(values: dict[str, Place]) -> Iterator[str]:
    return (f"'{flag}' {{ {source} }}" for flag, place in values.items() if (source := _source(place)))


def _option_cases(root: Command) -> Iterator[str]:
    for command in root.walk():
        if own := command.own(root):
            yield f"'{command.line}' {{ {_flags(own)} }}"


def _place_cases(root: Command) -> Iterator[str]:
    for command in root.walk():
        for number, place in command.numbered:
            if source := _source(place):
                yield f"'{command.line}:{'*' if place.many else number}' {{ {source} }}"


def _source(place: Place) -> str:
    if place.choices:
        return _list(place.choices)
    return f"arawn __complete {place.kind} $word 2>$null" if place.kind not in ("", "values", tree.FILES) else ""


def _flags(options: Iterable[Option]) -> str:
    return _list(flag for option in options for flag in option.flags)


def _list(words: Iterable[str]) -> str:
    return ", ".join("'" + word.replace("'", "''") + "'" for word in words)


_SCRIPT = r"""@HEADER@

Register-ArgumentCompleter -Native -CommandName arawn -ScriptBlock {
    param($word, $ast, $cursor)
    @TAKERS@
    @STEPS@

    # What stands before the cursor: the command, the number of its words, and the option that waits for a value.
    $words = @($ast.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object { "$_" })
    $command = ''
    $count = 0
    $option = ''
    foreach ($each in $words) {
        if ($option) { $option = '' }
        elseif ($takers -ccontains $each) { $option = $each }
        elseif ($each -like '-?*') { }
        elseif ($steps -ccontains "${count}:$command $each") { $command = "$command $each".Trim() }
        else { $count++ }
    }
    $head = ''
    if (-not $option -and $word -match '^(--[^=]+)=(.*)$') {
        $option = $Matches[1]
        $head = "$option="
        $word = $Matches[2]
    }

    $found = if ($option) {
        switch -CaseSensitive ($option) {
            @VALUES@
        }
    }
    elseif ($word -like '-*') {
        @SHARED@
        switch ($command) {
            @OPTIONS@
        }
    }
    else {
        switch -Wildcard ("${command}:$count") {
            @PLACES@
        }
    }
    $found | Where-Object { $_ -and $_.StartsWith($word) } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new("$head$_", $_, 'ParameterValue', $_)
    }
}
"""
