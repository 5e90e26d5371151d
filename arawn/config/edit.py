"""Changes one key of a configuration file and leaves every other byte as it is.

tomlkit edits, tomllib verifies: the new text is written only if it parses to the old data with that one difference.
The file is read, changed and written under a lock.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from arawn.config.decode import parse
from arawn.config.lines import join_key, split_key
from arawn.config.sources import CONFIG_FILE_LIMIT
from arawn.errors import ConfigError, UsageError
from arawn.files import open_private_lock, read_file, write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    Recording = Callable[[Sequence[str], Any, Any], AbstractContextManager[None]]
    """A context manager around the change; it gets the key, and its value before and after (None: not set)."""


def unrecorded(*_: object) -> AbstractContextManager[None]:
    """Record nothing."""
    return nullcontext()


def set_value(path: str, key: str, value: object, *, recording: Recording = unrecorded) -> None:
    """Set a dotted key to a bool, int, float, str, list or dict; a missing file or table is created.

    The file is written within ``recording``, and only where the value differs. Raises UsageError
    for a bad key, ConfigError for a file that is no TOML or cannot be written, or whose structure has no place for the
    key.
    """
    keys = _keys(key)
    with _editing(path, key) as document:
        before = _lookup(document.data, keys)
        if canonical(before) == canonical(value):
            return
        expected = deepcopy(document.data)
        _parent(document, expected, keys)[keys[-1]] = value
        text = _with_value(document, keys, value)
        with recording(keys, before, value):
            _store(document, key, text, expected)


def unset_value(path: str, key: str, *, recording: Recording = unrecorded) -> None:
    """Remove a dotted key, a value or a table. Raises as ``set_value`` does, and ConfigError when it is not there."""
    keys = _keys(key)
    with _editing(path, key) as document:
        before = _lookup(document.data, keys)
        if before is None:
            raise ConfigError(f"{key} is not set in {path}")
        expected = deepcopy(document.data)
        del _parent(document, expected, keys)[keys[-1]]
        text = _without(document, keys)
        with recording(keys, before, None):
            _store(document, key, text, expected)


def parse_value(text: str) -> object:
    """Read a value as typed on a command line: a TOML literal if it is one, else the text itself.

    Dates, inf and nan stay text, as no setting wants them and names may look like them.
    """
    import tomllib

    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # ValueError also for a number of 5,000 digits
        return text
    value = table["value"]
    if len(table) > 1 or not isinstance(value, bool | int | float | str | list | dict):
        return text
    return text if isinstance(value, float) and not isfinite(value) else value


def toml_text(value: object) -> str:
    """Return a value as TOML has it in one line."""
    text: str = _item(value).as_string()
    return text


def canonical(value: Any) -> Any:
    """Return a form for comparison: 1, 1.0 and true differ, nan equals nan, an empty table equals a missing one."""
    if isinstance(value, dict):
        return {key: form for key, item in value.items() if (form := canonical(item)) != {}}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    return type(value).__name__, repr(value)


def _keys(key: str) -> tuple[str, ...]:
    try:
        return split_key(key)
    except ValueError as error:
        hint = 'parts with other signs than letters, digits, - and _ go in quotes: models."llama3:8b".context_window'
        raise UsageError(str(error), hints=(hint,)) from None


@dataclass(frozen=True, slots=True)
class _Document:
    """A file as it is now. ``text`` has plain newlines where the file has ``newline`` throughout, and no ``mark``."""

    path: str
    text: str
    data: dict[str, Any]
    newline: str
    mark: str  # a byte order mark, or nothing


@contextmanager
def _editing(path: str, key: str) -> Iterator[_Document]:
    """Lock the file while it is read and changed; an edit that tomlkit cannot make becomes a ConfigError."""
    try:
        with open_private_lock(path):
            yield _load(path)
    except (RecursionError, ValueError):
        raise _unsafe(path, key) from None


def _unsafe(path: str, key: str) -> ConfigError:
    hint = "change it by hand: arawn config edit"
    return ConfigError(f"{path}: {key} cannot be changed without touching more than it", hints=(hint,))


def _load(path: str) -> _Document:
    try:
        content = read_file(path, CONFIG_FILE_LIMIT) if os.path.exists(path) else b""
    except UsageError as error:
        raise ConfigError(error.message, hints=error.hints) from error
    data, text = parse(content, path)
    mark = "\ufeff" if content.startswith(b"\xef\xbb\xbf") else ""
    if "\r\n" in text and text.count("\r\n") == text.count("\n"):
        return _Document(path, text.replace("\r\n", "\n"), data, "\r\n", mark)
    return _Document(path, text, data, "\n", mark)


def _store(document: _Document, key: str, text: str, expected: dict[str, Any]) -> None:
    """Write the new text, if it parses to the expected data."""
    if not _holds(text, expected):
        raise _unsafe(document.path, key)
    try:
        data = (document.mark + text.replace("\n", document.newline)).encode()
    except UnicodeEncodeError:
        raise UsageError(f"the value for {key} is not valid Unicode text") from None
    write_private(document.path, data)


def _holds(text: str, expected: dict[str, Any]) -> bool:
    import tomllib

    try:
        return bool(canonical(tomllib.loads(text)) == canonical(expected))
    except ValueError:
        return False


def _lookup(data: dict[str, Any], keys: Sequence[str]) -> object:
    value: object = data
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def _parent(document: _Document, data: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """Return the table in ``data`` that holds the last key, created where it is missing."""
    for depth, key in enumerate(keys[:-1], start=1):
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            raise ConfigError(f"{document.path}: {join_key(tuple(keys[:depth]))} is no table, so it has no keys")
    return data


def _with_value(document: _Document, keys: Sequence[str], value: object) -> str:
    """Return the text with the key set; a new key goes to the end of its table."""
    import tomlkit
    from tomlkit.container import OutOfOrderTableProxy
    from tomlkit.items import AoT, Table

    text = document.text
    is_new = _lookup(document.data, keys) is None
    if is_new and text and not text.endswith("\n"):
        text += "\n"
    root = tomlkit.parse(text)
    table: Any = root
    for depth, key in enumerate(keys[:-1], start=2):
        if key not in table:
            table[key] = tomlkit.table(is_super_table=depth < len(keys))
        table = table[key]
    if isinstance(table.get(keys[-1]), AoT | Table | OutOfOrderTableProxy):
        raise ConfigError(f"{document.path}: {join_key(tuple(keys))} is a table; name a key in it")
    table[keys[-1]] = _item(value)
    edited = tomlkit.dumps(root)
    return _moved_up(text, edited) if is_new else edited


def _without(document: _Document, keys: Sequence[str]) -> str:
    """Return the text with the key removed, keeping the comments between its table and the next."""
    import tomlkit

    root = tomlkit.parse(document.text)
    table: Any = root
    for key in keys[:-1]:
        table = table[key]
    del table[keys[-1]]
    old, new = document.text.split("\n"), tomlkit.dumps(root).split("\n")
    at, count = _first_difference(old, new), len(old) - len(new)
    start = _before_trivia(old, at + count)
    kept = old[max(start, at) : at + count]
    if new[:at] + old[at : at + count] + new[at:] == old and any(line.strip() for line in kept):
        new[at:at] = kept
    return "\n".join(new)


def _item(value: object) -> Any:
    """Write tables and lists inside one key inline: a header in their place would end the table they belong to."""
    import tomlkit

    if isinstance(value, dict):
        table = tomlkit.inline_table()
        for key, item in value.items():
            table[key] = _item(item)
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        array.extend(_item(item) for item in value)
        return array
    return tomlkit.item(value)


def _moved_up(text: str, edited: str) -> str:
    """Put added lines before the comments that end their table, since those belong to what follows.

    tomlkit appends them after. Nothing moves over the comment that opens a file, and no table over one that ends it.
    """
    old, new = text.split("\n"), edited.split("\n")
    at, count = _first_difference(old, new), len(new) - len(old)
    added = new[at : at + count]
    start = _before_trivia(old, at)
    is_table = any(line.startswith("[") for line in added)
    is_last = not any(line.strip() for line in old[at:])
    if old[:at] + added + old[at:] != new or start == 0 or (is_table and is_last):
        return edited
    block = [line for line in added if line.strip()]
    if is_table:
        block = ["", *block] if not old[start].strip() else ["", *block, ""]
    return "\n".join(old[:start] + block + old[start:])


def _first_difference(old: list[str], new: list[str]) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(old), len(new)))


def _before_trivia(lines: list[str], end: int) -> int:
    """Step back from ``end`` over blank lines and comments."""
    while end and _is_trivia(lines[end - 1]):
        end -= 1
    return end


def _is_trivia(line: str) -> bool:
    """Return whether a line is blank or a comment; one with three quotes may be the end of a string instead."""
    return not line.partition("#")[0].strip() and '"""' not in line and "'''" not in line
