"""Every command that a message of arawn names exists, with the options that stand there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from arawn.cli.app import app
from arawn.cli.context import Context
from arawn.cli.groups import Group
from arawn.cli.output import Output
from arawn.config.lines import split_key
from arawn.config.schema import find

PACKAGE = Path(__file__).parents[2] / "arawn"
COMMAND = re.compile(r"""(?<![\w./-])arawn((?: +[^\s·,;()<>|`"#]+)+)""")
PLACEHOLDER = "X"
OTHERS = {"completion_scripts.py": "scripts of shells, where the words of the user follow", "__main__.py": "no message"}
PROSE = {"and", "configuration", "reads"}
"""Words after the program's name that make a sentence of it."""


def texts_of(tree):
    """Yield the strings of a module as its user reads them, with a placeholder for what is filled in."""
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and has_docstring(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else PLACEHOLDER for part in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner | docs:
            yield node.value


def has_docstring(node):
    return ast.get_docstring(node) is not None


def commands():
    """Return the words of each command, and the file that names it."""
    found = {}
    for path in (path for path in sorted(PACKAGE.rglob("*.py")) if path.name not in OTHERS):
        for text in texts_of(ast.parse(path.read_text(encoding="utf-8"))):
            for line in re.sub(r"\n +", " ", text).splitlines():
                for match in COMMAND.finditer(re.sub(r'( --?[\w-]+) "[^"]*"', rf"\1 {PLACEHOLDER}", line)):
                    words = match[1].rstrip(".:").replace("'", "").replace("…", PLACEHOLDER).split()
                    if words[-1] == PLACEHOLDER and not words[-2:][0].startswith("-"):
                        words.pop()  # what comes last may be anything
                    if words and words[0] not in PROSE:
                        found.setdefault(tuple(words), path.name)
    return found


def parse(words):
    """Read a command line without running it, and return the command it runs.

    Raises for a command or an option that does not exist.
    """
    command = get_command(app)
    ctx = command.context_class(command, info_name="arawn", obj=Context(Output({})))
    while True:
        if not isinstance(command, Group):
            command.make_parser(ctx).parse_args(list(words))
            return command
        command.parse_args(ctx, list(words))
        rest = [*ctx._protected_args, *ctx.args]
        if command.invoke_without_command and not rest:
            return command
        if not rest:
            raise LookupError(f"{command.name} needs a command")
        name, command, words = command.resolve_command(ctx, rest)
        ctx = command.context_class(command, info_name=name, parent=ctx, obj=ctx.obj)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_a_command_that_a_message_names_can_be_run(words):
    if words[0] in {"help", "--help"}:  # the page is shown while the command is looked for
        with pytest.raises(typer.Exit) as shown:
            parse(words)
        assert shown.value.exit_code == 0
    else:
        assert parse(words).callback is not None


KEYS = [words[2] for words in commands() if words[:1] == ("config",) and words[1] in ("get", "set", "unset")]


@pytest.mark.parametrize("key", [key for key in KEYS if "." in key and not key.startswith(PLACEHOLDER)])
def test_a_key_that_a_message_names_is_one(key):
    assert key.endswith(f".{PLACEHOLDER}") or find(split_key(key)) is not None


@pytest.mark.parametrize("words", ["nosuch", "config nosuch", "ask --nosuch", "config", "config set -x", "ask -b"])
def test_a_command_that_does_not_exist_would_be_noticed(words):
    with pytest.raises(Exception, match=r"no command|needs a command|--nosuch|-x|-b"):
        parse(words.split())


def test_there_are_commands_to_check():
    assert len(commands()) > 100
    assert {("doctor", "-b", PLACEHOLDER), ("config", "show", "--secrets")} <= set(commands())
