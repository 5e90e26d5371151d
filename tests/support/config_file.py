"""``CONFIG``, a configuration file with comments and blanks of its own, and ``change`` for one of its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.config.edit import set_value

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
#:schema https://example.org/arawn.schema.json

[llm]
backend = "groq"      # fast
model   = 'llama-3.3' # cheap

# The backends.

[backends.groq]
api_key = "$env:GROQ_API_KEY"
extra = { seed = 1 }

# About budgets:
# limit = 5

[budget]
limit = 20
# the end
"""


def change(file: Path, key: str, value: object) -> str:
    set_value(str(file), key, value)
    return file.read_bytes().decode()
