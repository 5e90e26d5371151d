"""What is written down of a change of the configuration, of trust or of a secret: which key, before and after, no key.

Nobody is stopped by an audit log that cannot be written: the change is made, and a warning tells that it is not in it.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from arawn.config.decode import Problem, parse_or_problem
from arawn.config.edit import canonical, toml_text
from arawn.config.key import Key
from arawn.config.lines import join_key
from arawn.config.schema import find
from arawn.config.settings import KeyText
from arawn.errors import ConfigError, NotSavedError, UsageError
from arawn.files import read_file
from arawn.secrets.references import mask
from arawn.store.audit import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from arawn.config.lines import Path
    from arawn.store.audit import Action, Audit

HIDDEN = "(not shown)"
"""What stands for a value that may be, or hold, a key."""
LITERAL = "(literal)"
"""What stands for a key in the file itself, like everywhere where keys are told."""
_LIMIT = 4 * 1024 * 1024  # bytes of a configuration file
_CHOOSING = (("llm", "backend"), ("llm", "model"), ("llm", "fallback"))


@contextmanager
def changes_of(environ: Mapping[str, str], warn: Callable[[str], None]) -> Iterator[Changes]:
    """Open the audit log for something that is about to change; ``warn`` is called with what it cannot take."""
    from arawn.store.audit import Audit, user_name
    from arawn.store.database import Database

    with Database.of_user(environ) as database:
        yield Changes(Audit(database, who=user_name(environ)), warn)
        for warning in database.warnings:
            warn(warning)


class Changes:
    """Writes changes into the audit log; ``warn`` is told what could not be."""

    def __init__(self, audit: Audit, warn: Callable[[str], None]) -> None:
        self._audit = audit
        self._warn = warn

    def of_key(self, file: str = "") -> Callable[[Sequence[str], Any, Any], AbstractContextManager[None]]:
        """Return what ``set_value`` and ``unset_value`` change a key within; ``file`` is told where it is another."""

        def recording(path: Sequence[str], before: Any, after: Any) -> AbstractContextManager[None]:
            return self.made(*_of_tree(tuple(path), before, after, file))

        return recording

    @contextmanager
    def of_file(self, path: str, *, told: bool = False) -> Iterator[None]:
        """Write what the block changes in a configuration file, also where it raises; ``told``: with the path."""
        old = _content(path)
        try:
            yield
        finally:
            changes = differences(old, _content(path), path, told=told)
            if changes:
                with self.made(*changes):
                    pass

    def of_trust(self, file: str, before: str | None, after: str | None) -> AbstractContextManager[None]:
        """Return what the trust in a file is changed within; before and after are hashes of its content."""
        hashes = (None if digest is None else toml_text(f"sha256:{digest}") for digest in (before, after))
        return self.made(Change("trust", mask(file), *hashes))

    def of_secret(self, name: str, before: Sequence[str], after: Sequence[str]) -> None:
        """Write that a secret was stored, deleted, or may now go elsewhere: its name, and where it may go."""
        places = (toml_text(list(origins)) if origins else None for origins in (before, after))
        with self.made(Change("secret", mask(name), *places)):
            pass

    @contextmanager
    def made(self, *changes: Change) -> Iterator[None]:
        """Make changes within the block: all is written where it ends well, nothing where it raises."""
        with ExitStack() as transaction:
            try:
                transaction.enter_context(self._audit.recording(*changes))
            except (ConfigError, NotSavedError) as error:
                self._unwritten(error)
            yield
            try:
                transaction.close()
            except NotSavedError as error:
                self._unwritten(error)

    def _unwritten(self, error: ConfigError | NotSavedError) -> None:
        self._warn(f"this change is not in the audit log: {error.message}")


def action_of(path: Sequence[str]) -> Action:
    """Say what kind of change it is to change a key."""
    if path[0] == "budget":
        return "budget"
    return "backend" if path[0] == "backends" or tuple(path[:2]) in _CHOOSING else "config"


def written(path: Path, value: Any) -> str | None:
    """Return a value of a key as TOML text, without anything that opens a door; None for no value."""
    return None if value is None else toml_text(_masked(path, value))


def differences(old: bytes | None, new: bytes | None, file: str, *, told: bool = False) -> list[Change]:
    """Return what differs between two contents of a file, None where there is none: the keys, or the file as a whole.

    Of a content that is no TOML only its hash is told.
    """
    if old == new:
        return []
    whole = Change("config", mask(file), _hash(old), _hash(new))
    trees = [parse_or_problem(content or b"", file) for content in (old, new)]
    if isinstance(trees[0], Problem) or isinstance(trees[1], Problem):
        return [whole]
    before, after = trees[0][0], trees[1][0]
    try:
        return _of_tree((), before, after, file if told else "")
    except RecursionError:  # brackets in brackets in brackets
        return [whole]


def _of_tree(path: tuple[str, ...], before: Any, after: Any, file: str) -> list[Change]:
    """Return the changes of the keys at and below a path."""
    place = f" in {file}" if file else ""
    return [
        Change(action_of(key), mask(join_key(key) + place), written(key, old), written(key, new))
        for key, old, new in _different(path, before, after)
    ]


def _different(at: tuple[str, ...], old: Any, new: Any) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield the keys whose values differ, each as a whole: a table of the schema's own is looked into."""
    if canonical(old) == canonical(new):
        return
    tables = [value for value in (old, new) if value is not None]
    if (at and isinstance(find(at), Key)) or not all(isinstance(value, dict) for value in tables):
        yield at, old, new
        return
    for name in dict.fromkeys([*(new or {}), *(old or {})]):
        yield from _different((*at, name), (old or {}).get(name), (new or {}).get(name))


def _masked(path: Path, value: Any) -> Any:
    """Return a value as it may be kept.

    Not kept are keys, what goes into headers, queries and bodies, and what stands under a name nobody knows: that may
    be a misspelt one.
    """
    if isinstance(value, dict):
        return {mask(name): _masked((*path, name), inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked((*path, index), inner) for index, inner in enumerate(value)]
    key = find(path) or _list_at(path)
    if key is None or key.kind in ("map", "table"):
        return HIDDEN
    if key.secret:
        return value if isinstance(value, str) and KeyText(value).is_reference else LITERAL
    if not isinstance(value, str):
        return value
    if key.kind in ("integer", "number", "boolean"):
        return HIDDEN
    masked = mask(value)
    return HIDDEN if masked == value and "@" in value and key.kind in ("proxy", "url") else masked


def _list_at(path: Path) -> Key | None:
    """Return the key whose list of texts an item stands in, None for one in anything else."""
    key = find(path[:-1])
    return key if key is not None and key.kind == "strings" else None


def _content(path: str) -> bytes | None:
    """Return what is in a file now, None where it is none that can be read."""
    try:
        return read_file(path, _LIMIT)
    except UsageError:
        return None


def _hash(content: bytes | None) -> str | None:
    from hashlib import sha256

    return None if content is None else toml_text(f"sha256:{sha256(content).hexdigest()}")
