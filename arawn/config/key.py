"""The description of one key of the configuration: its path, type, meaning, example and limits."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal[
    "string",
    "text",
    "strings",
    "integer",
    "number",
    "boolean",
    "map",
    "table",
    "url",
    "proxy",
    "path",
    "file",
    "reference",
    "header",
]


class Key(NamedTuple):
    """One key. ``doc`` is its meaning in a sentence.

    ``default`` and ``example`` are values as TOML has them; ``above`` and ``minimum`` are the lower bounds of a number,
    without and with the bound itself.
    """

    path: str
    kind: Kind
    doc: str
    example: object
    default: object = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    project: bool = False

    @property
    def secret(self) -> bool:
        """Whether it holds a secret or the reference to one."""
        return self.kind == "reference"
