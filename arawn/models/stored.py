"""Where the table of models that the user has stored is: a file of the data folder, read by ``catalog``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.folders import data_folder

if TYPE_CHECKING:
    from collections.abc import Mapping


def stored_table(environ: Mapping[str, str]) -> str:
    """Return the path of the stored table, whether or not there is one."""
    return f"{data_folder(environ)}/models.jsonl"
