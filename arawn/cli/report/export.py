"""Reports for programs: a line of JSON, or CSV with the same names."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from arawn.cli.output import Output

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def write_json(output: Output, value: object) -> None:
    """Write a value as one line of JSON."""
    output.data(dumps(value, ensure_ascii=False))


def write_csv(output: Output, rows: Iterable[Mapping[str, Any]], *, like: Mapping[str, Any]) -> None:
    """Write rows with the fields of ``like`` as RFC 4180 has it, with a header; what is in a field stands flat.

    A text that a spreadsheet would run as a formula gets an apostrophe before it: some are written by a model.
    """
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n" if output.paints else "\r\n")
    writer.writerow(_flat(like))
    writer.writerows([_csv(value) for value in _flat(row).values()] for row in rows)
    output.answer(text.getvalue())


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    return flat


def _csv(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return str(value).lower() if isinstance(value, bool) else value
