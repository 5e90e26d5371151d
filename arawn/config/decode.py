"""Decodes and checks a TOML file: syntax, unknown keys, wrong values, and the keys an untrusted file may set."""

from __future__ import annotations

import re
import tomllib
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from arawn.config.key import Key
from arawn.config.lines import find_places, join_key, shown
from arawn.config.schema import key_tree
from arawn.config.settings import ROLES, table_at
from arawn.errors import ConfigError
from arawn.secrets import FORMS, MARKS
from arawn.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from arawn.config.lines import Path
    from arawn.config.schema import Node
    from arawn.config.settings import Tree

# Patterns are compiled on their first use: most runs need none of them.
_AT = r"(?s)(.*) \(at (?:line (\d+), column (\d+)|end of document)\)"
_REFERENCE = r"\$(?:env:[A-Za-z_][A-Za-z0-9_]*|keyring:\S+|file:.+|cmd:.*\S.*)"
_URL = r"(?i:https?)://(?:\[[0-9A-Fa-f:.]+(?:%[^\s/?#@\[\]\\]+)?\]|[^\s/?#@:\[\]\\]+)(?::\d{1,5})?(?:/[^\s?#\\]*)?"
_PROXY = r"(?:(?i:https?|socks|socks5h?)://[^\s/]+/?)?"  # an empty one means none
_LARGEST_NUMBER = 2**63 - 1
ENDING_DAYS = 60
"""Days before the retirement of a model, from which on it is warned of."""
_HEADER = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


class Problem(Value):
    """Something wrong in a file: ``file`` is its path, or the name of a variable; line and column are 0 if unknown."""

    file: str
    key: str
    message: str
    line: int = 0
    column: int = 0
    warning: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        if not self.key:
            return f"{place}:{self.column}: {self.message}"
        return f"{place}: {self.key:.200}: {self.message}"


class _Finding(NamedTuple):
    path: Path
    message: str
    warning: bool = False


def parse(content: bytes, file: str) -> tuple[Tree, str]:
    """Return the tree of a TOML file and its text; a byte-order mark is skipped.

    Raises ConfigError with one line, ``file:line:column: what``.
    """
    parsed = parse_or_problem(content, file)
    if isinstance(parsed, Problem):
        raise ConfigError(str(parsed))
    return parsed


def parse_or_problem(content: bytes, file: str) -> tuple[Tree, str] | Problem:
    """Like ``parse``, but return the error instead of raising it."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        what = f"expected UTF-8, got the byte 0x{content[error.start]:02x}; save the file as UTF-8"
        return Problem(file, "", what, line, column)
    try:
        return tomllib.loads(text), text
    except RecursionError:
        return Problem(file, "", "nested too deeply", 1, 1)
    except ValueError as error:
        return _syntax_problem(str(error), text, file)


def problems(tree: Tree, text: str, file: str) -> list[Problem]:
    """Return the errors in the tree of a file, in the order of its lines; unknown keys are warnings."""
    return sorted(_placed(list(_check(tree, key_tree(), ())), text, file), key=lambda problem: problem.line)


def first_problem(tree: Tree, text: str, file: str) -> Problem | None:
    """Return the first error, or None; an untrusted file with one error is ignored whatever its others."""
    findings = islice(_check(tree, key_tree(), ()), 1)
    return next(iter(_placed(list(findings), text, file)), None)


def unfinished_backends(tree: Tree, text: str, file: str, known: Collection[str]) -> list[Problem]:
    """Return a warning for each new backend without an adapter: mostly a built-in one, misspelt."""
    found = [
        _Finding(("backends", name), f"no adapter, and no built-in backend{_guess(name, known)}", warning=True)
        for name, table in _tables(tree, "backends")
        if name not in known and "adapter" not in table
    ]
    return _placed(found, text, file)


def undefined_backends(tree: Tree, text: str, file: str, known: Collection[str]) -> list[Problem]:
    """Return a problem per role whose backend is not defined; for embeddings, which chat does not need, a warning."""
    defined = {*known, *(name for name, _ in _tables(tree, "backends"))}
    found = []
    for path in ROLES.values():
        name = table_at(tree, path).get("backend")
        if isinstance(name, str) and name not in defined:
            what = f"no backend {shown(name)}{_guess(name, defined)}; defined: {', '.join(sorted(defined))}"
            found.append(_Finding((*path, "backend"), what, warning=path == ("embeddings",)))
    return _placed(found, text, file)


def ending_models(tree: Tree, text: str, file: str, today: str, stored: str) -> list[Problem]:
    """Return a warning for each model that is named and is retired, or will be within ENDING_DAYS of a day.

    ``stored`` is the path of the user's table of models.
    """
    from arawn.models.catalog import find, successor_hint
    from arawn.models.prices import day_number

    found = []
    for path, backend, model in _named_models(tree):
        facts = find(backend, model, stored)
        if facts is not None and facts.retires and day_number(facts.retires) - day_number(today) <= ENDING_DAYS:
            found.append(_Finding(path, successor_hint(backend, model, today, stored)[0], warning=True))
    return _placed(found, text, file)


def _named_models(tree: Tree) -> Iterator[tuple[Path, str, str]]:
    """Yield where a file names a model, the backend it is of, and its id."""
    for path in ROLES.values():
        role = table_at(tree, path)
        yield (*path, "model"), *_target(role.get("backend"), role.get("model"))
    for name, table in _tables(tree, "backends"):
        yield ("backends", name, "model"), *_target(name, table.get("model"))
    for section in ("tiers", "aliases"):
        for name, target in table_at(tree, (section,)).items():
            yield (section, name), *_target(None, target)


def _target(backend: object, model: object) -> tuple[str, str]:
    """Return backend and model; without a backend, the model names it: ``backend/model``."""
    if not isinstance(model, str):
        return "", ""
    if isinstance(backend, str):
        return backend, model
    first, _, rest = model.partition("/")
    return first, rest


def value_problems(tree: Tree, source: Callable[[Path], str]) -> list[Problem]:
    """Return the errors in values that come from no file; ``source`` names the origin of each."""
    return [
        Problem(source(finding.path), join_key(finding.path), finding.message, warning=finding.warning)
        for finding in _check(tree, key_tree(), ())
    ]


def permitted(tree: Tree) -> tuple[Tree, list[str]]:
    """Return the part of a tree that an untrusted file may set, and the dotted keys of the rest."""
    return _permitted(tree, key_tree(), ())


def typed(key: Key, text: str) -> Any:
    """Convert the text of an environment variable to the type of its key; text that does not convert stays text."""
    if key.kind == "boolean":
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower(), text)
    if key.kind in ("integer", "number"):
        return int(text) if re.fullmatch(r"\s*[+-]?\d{1,18}\s*", text) else _float_or_text(text)
    if key.kind == "strings":
        return [word.strip() for word in text.split(",") if word.strip()]
    if key.kind not in ("map", "table"):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _float_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _placed(findings: list[_Finding], text: str, file: str) -> list[Problem]:
    if not findings:
        return []
    found = []
    for finding, place in zip(findings, find_places(text, [each.path for each in findings]), strict=True):
        line, column = (place.line, place.column) if place else (0, 0)
        found.append(Problem(file, join_key(finding.path), finding.message, line, column, finding.warning))
    return found


def _tables(tree: Tree, section: str) -> list[tuple[str, Tree]]:
    return [(name, table) for name, table in table_at(tree, (section,)).items() if isinstance(table, dict)]


def _syntax_problem(message: str, text: str, file: str) -> Problem:
    match = re.fullmatch(_AT, message)
    what = match[1] if match else message
    line = int(match[2]) if match and match[2] else text.count("\n") + 1
    column = int(match[3]) if match and match[3] else len(text) - (text.rfind("\n") + 1) + 1
    if not match:
        line, column, what = 1, 1, "a number with too many digits" if "digits" in message else message
    return Problem(file, "", "".join(c if c.isprintable() else ascii(c)[1:-1] for c in what), line, column)


def _check(tree: Tree, nodes: Mapping[str, Node], at: Path) -> Iterator[_Finding]:
    for name, value in tree.items():
        path = (*at, name)
        node = nodes.get(name, nodes.get("*"))
        if node is None or (isinstance(node, dict) and name not in nodes and not isinstance(value, dict)):
            yield _Finding(path, _unknown(name, nodes, at), warning=True)
        elif isinstance(node, Key):
            if message := _wrong(node, value):
                yield _Finding(path, message)
        else:
            yield from _check_table(value, node, path)


def _check_table(value: object, node: dict[str, Node], path: Path) -> Iterator[_Finding]:
    rows = node.get("[]")
    if isinstance(rows, dict) and isinstance(value, list):
        for index, row in enumerate(value):
            yield from _check_table(row, rows, (*path, index))
    elif isinstance(rows, dict):
        yield _Finding(path, f"expected an array of tables, got {_describe(value)}")
    elif isinstance(value, dict):
        yield from _check(value, node, path)
    else:
        yield _Finding(path, f"expected a table, got {_describe(value)}")


def _unknown(name: str, nodes: Mapping[str, Node], at: Path) -> str:
    known = (each for each in nodes if each != "*")
    return f"unknown {'key' if at else 'table or key'}{_guess(name, known)}"


def _guess(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name[:80], list(known), n=1)
    return f', did you mean "{near[0]}"?' if near else ""


def _wrong(key: Key, value: object) -> str:
    """Return what is wrong with a value and what was expected, or ""; secrets are not quoted."""
    if key.kind in ("integer", "number"):
        return _wrong_number(key, value)
    if key.kind == "boolean":
        return "" if isinstance(value, bool) else f"expected true or false, got {_describe(value)}"
    if key.kind in ("map", "table"):
        return _wrong_table(key, value)
    if key.kind == "strings":
        return _wrong_strings(key, value)
    if not isinstance(value, str):
        return f"expected a string, got {'another type' if key.secret else _describe(value)}"
    if key.choices and value not in key.choices:
        known = ", ".join(f'"{choice}"' for choice in key.choices)
        return f"expected one of {known}, got {shown(value)}{_guess(value, key.choices)}"
    return _wrong_text(key, value)


def _wrong_strings(key: Key, value: object) -> str:
    if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
        return f"expected an array of strings like {_array(key.example)}, got {_describe(value)}"
    unknown = [word for word in value if key.choices and word not in key.choices]
    return f"expected some of {_array(key.choices)}, got {shown(unknown[0])}" if unknown else ""


def _array(words: Any) -> str:
    return "[" + ", ".join(shown(word) for word in words) + "]"


def _wrong_text(key: Key, value: str) -> str:
    match key.kind:
        case "reference":
            return _wrong_reference(value)
        case "url" if not re.fullmatch(_URL, value) or not value.isprintable():
            return _wrong_url(value)
        case "proxy" if not re.fullmatch(_PROXY, value) or not value.isprintable():
            return "expected a proxy address like http://host:3128 or socks5://host:1080"
        case "path" if not value.startswith("/") or value.startswith("//") or not value.isprintable():
            return f"expected a path that begins with /, got {shown(value)}"
        case "header" if not re.fullmatch(_HEADER, value):
            return f"expected the name of a header, got {shown(value)}"
        case "file" if not value or "\0" in value or value.startswith(MARKS):
            return "expected the path of a file"
    return ""


def _wrong_reference(value: str) -> str:
    if not value.strip():
        return f"expected {FORMS}, got nothing"
    if value.startswith("$") and not re.fullmatch(_REFERENCE, value):
        return f"expected {FORMS}"
    if value.startswith("$cmd:"):
        from shlex import split

        try:
            split(value)
        except ValueError:
            return "expected a command whose quotes are closed"
    return ""


def _wrong_url(value: str) -> str:
    if "@" in value.partition("://")[2].partition("/")[0]:
        return "expected an address without a user name or password; a key belongs in api_key"
    if "?" in value or "#" in value:
        return "expected an address without ? or #; parameters belong in query"
    return f"expected an address like https://host/v1, got {shown(value)}"


def _wrong_number(key: Key, value: object) -> str:
    number = isinstance(value, int) or (key.kind == "number" and isinstance(value, float))
    if not number or isinstance(value, bool) or not _within(key, value):
        return f"expected {_bounds(key)}, got {_describe(value)}"
    return ""


def _within(key: Key, value: Any) -> bool:
    low = -_LARGEST_NUMBER if key.minimum is None else key.minimum
    above = -_LARGEST_NUMBER if key.above is None else key.above
    high = _LARGEST_NUMBER if key.maximum is None else key.maximum
    return bool(low <= value <= high and above < value)


def _bounds(key: Key) -> str:
    what = "an integer" if key.kind == "integer" else "a number"
    low = f" >= {key.minimum:g}" if key.minimum is not None else f" > {key.above:g}" if key.above is not None else ""
    high = f" and <= {key.maximum:g}" if key.maximum is not None else ""
    return what + low + high


def _wrong_table(key: Key, value: object) -> str:
    if not isinstance(value, dict):
        return f"expected a table, got {_describe(value)}"
    leaves = list(_leaves(value))
    if any(isinstance(leaf, str) and mark in leaf for leaf in leaves for mark in MARKS):
        return "a reference is read only in api_key; write the value itself"
    if key.kind == "map" and not all(isinstance(each, str) and each.isprintable() for each in value.values()):
        return "expected values that are printable strings"
    if invalid := [leaf for leaf in leaves if not _is_json(leaf)]:
        return f"expected values that JSON can hold, got {_describe(invalid[0])}"
    return ""


def _leaves(table: Tree) -> Iterator[object]:
    """Return all values in a table, without recursion: an untrusted file may nest it deeply."""
    waiting: list[object] = [table]
    while waiting:
        match waiting.pop():
            case dict() as inner:
                waiting.extend(inner.values())
            case list() as array:
                waiting.extend(array)
            case leaf:
                yield leaf


def _is_json(leaf: object) -> bool:
    return isinstance(leaf, str | int) or (isinstance(leaf, float) and isfinite(leaf))


def _describe(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return shown(value)
        case int():
            return str(value) if abs(value) <= _LARGEST_NUMBER else "a very large number"
        case float():
            return str(value)
        case list():
            return "an array"
        case dict():
            return "a table"
        case _:
            return "a date or time"


def _permitted(tree: Tree, nodes: Mapping[str, Node], at: Path) -> tuple[Tree, list[str]]:
    kept: Tree = {}
    ignored: list[str] = []
    for name, value in tree.items():
        node = nodes.get(name, nodes.get("*"))
        if isinstance(node, Key) and node.project:
            kept[name] = value
        elif isinstance(node, dict) and isinstance(value, dict):
            inner, below = _permitted(value, node, (*at, name))
            kept.update({name: inner} if inner else {})
            ignored += below
        else:
            ignored.append(join_key((*at, name)))
    return kept, ignored
