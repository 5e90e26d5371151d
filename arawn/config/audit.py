"""Records changes of the configuration, of trust and of secrets in the audit log, without any secret.

An audit log that cannot be written does not prevent a change: it is made, and a warning says that it is not recorded.
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
from arawn.config.sources import CONFIG_FILE_LIMIT
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
"""Replaces a value that may be or contain an API key."""
LITERAL = "(literal)"
"""Replaces an API key written in the file itself, as in ``config show``."""
_BACKEND_KEYS = (("llm", "backend"), ("llm", "model"), ("llm", "fallback"))


@contextmanager
def open_changes(environ: Mapping[str, str], warn: Callable[[str], None]) -> Iterator[AuditedChanges]:
    """Give what writes changes into the user's audit log; ``warn`` is called with what it cannot write or repaired."""
    from arawn.store.audit import Audit, user_name
    from arawn.store.database import Database

    with Database.of_user(environ) as database:
        yield AuditedChanges(Audit(database, who=user_name(environ)), warn)
        for warning in database.warnings:
            warn(warning)


class AuditedChanges:
    """Writes changes to the audit log; calls ``warn`` for those that cannot be written."""

    def __init__(self, audit: Audit, warn: Callable[[str], None]) -> None:
        self._audit = audit
        self._warn = warn

    def of_key(self, file: str = "") -> Callable[[Sequence[str], Any, Any], AbstractContextManager[None]]:
        """Return the ``recording`` of ``set_value`` and ``unset_value``; a ``file`` is named in the record."""

        def recording(path: Sequence[str], before: Any, after: Any) -> AbstractContextManager[None]:
            return self._recorded(*_of_tree(tuple(path), before, after, file))

        return recording

    @contextmanager
    def of_file(self, path: str, *, with_path: bool = False) -> Iterator[None]:
        """Record what the block changes in a configuration file, even where it raises."""
        old = _content(path)
        try:
            yield
        finally:
            changes = differences(old, _content(path), path, with_path=with_path)
            if changes:
                with self._recorded(*changes):
                    pass

    def of_trust(self, file: str, before: str | None, after: str | None) -> AbstractContextManager[None]:
        """Return the ``recording`` of a change of trust in a file; before and after are hashes of its content."""
        hashes = (None if digest is None else toml_text(f"sha256:{digest}") for digest in (before, after))
        return self._recorded(Change("trust", mask(file), *hashes))

    def of_secret(self, name: str, before: Sequence[str], after: Sequence[str]) -> None:
        """Record that a secret was stored, deleted or bound elsewhere: its name, and its origins before and after."""
        texts = (toml_text(list(origins)) if origins else None for origins in (before, after))
        with self._recorded(Change("secret", mask(name), *texts)):
            pass

    @contextmanager
    def _recorded(self, *changes: Change) -> Iterator[None]:
        """Record changes that the block makes: all of them where it ends well, none where it raises."""
        with ExitStack() as transaction:
            try:
                transaction.enter_context(self._audit.recording(*changes))
            except (ConfigError, NotSavedError) as error:
                self._unmasked_text(error)
            yield
            try:
                transaction.close()
            except NotSavedError as error:
                self._unmasked_text(error)

    def _unmasked_text(self, error: ConfigError | NotSavedError) -> None:
        self._warn(f"this change is not in the audit log: {error.message}")


def action_of(path: Sequence[str]) -> Action:
    """Return the kind of a change of a key."""
    if path[0] == "budget":
        return "budget"
    return "backend" if path[0] == "backends" or tuple(path[:2]) in _BACKEND_KEYS else "config"


def masked_text(path: Path, value: Any) -> str | None:
    """Return a value of a key as TOML text, with secrets masked; None for no value."""
    return None if value is None else toml_text(_masked(path, value))


def differences(old: bytes | None, new: bytes | None, file: str, *, with_path: bool = False) -> list[Change]:
    """Return the changed keys between two contents of a file; a content is None where there is no file.

    Where one of them is no TOML, the change is that of the whole file, by its hashes.
    """
    if old == new:
        return []
    whole = Change("config", mask(file), _hash(old), _hash(new))
    trees = [parse_or_problem(content or b"", file) for content in (old, new)]
    if isinstance(trees[0], Problem) or isinstance(trees[1], Problem):
        return [whole]
    before, after = trees[0][0], trees[1][0]
    try:
        return _of_tree((), before, after, file if with_path else "")
    except RecursionError:  # nested too deeply
        return [whole]


def _of_tree(path: tuple[str, ...], before: Any, after: Any, file: str) -> list[Change]:
    """Return the changes of the keys at and below a path."""
    place = f" in {file}" if file else ""
    return [
        Change(action_of(key), mask(join_key(key) + place), masked_text(key, old), masked_text(key, new))
        for key, old, new in _differing_keys(path, before, after)
    ]


def _differing_keys(at: tuple[str, ...], old: Any, new: Any) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield the keys whose values differ; a table of the schema is compared key by key."""
    if canonical(old) == canonical(new):
        return
    tables = [value for value in (old, new) if value is not None]
    if (at and isinstance(find(at), Key)) or not all(isinstance(value, dict) for value in tables):
        yield at, old, new
        return
    for name in dict.fromkeys([*(new or {}), *(old or {})]):
        yield from _differing_keys((*at, name), (old or {}).get(name), (new or {}).get(name))


def _masked(path: Path, value: Any) -> Any:
    """Return a value as it may be recorded.

    Masked are API keys, headers, query parameters and body fields, and the values of unknown keys, which may be
    misspelt API keys.
    """
    if isinstance(value, dict):
        return {mask(name): _masked((*path, name), inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked((*path, index), inner) for index, inner in enumerate(value)]
    key = find(path) or _list_at(path)
    if key is None or key.kind in ("map", "table"):
        return HIDDEN
    if key.secret:
        return mask(value) if isinstance(value, str) and KeyText(value).is_reference else LITERAL
    if not isinstance(value, str):
        return value
    if key.kind in ("integer", "number", "boolean"):
        return HIDDEN
    masked = mask(value)
    return HIDDEN if masked == value and "@" in value and key.kind in ("proxy", "url") else masked


def _list_at(path: Path) -> Key | None:
    """Return the key whose list of strings holds the item at a path, None for any other item."""
    key = find(path[:-1])
    return key if key is not None and key.kind == "strings" else None


def _content(path: str) -> bytes | None:
    """Return the content of a file, None where it cannot be read."""
    try:
        return read_file(path, CONFIG_FILE_LIMIT)
    except UsageError:
        return None


def _hash(content: bytes | None) -> str | None:
    from hashlib import sha256

    return None if content is None else toml_text(f"sha256:{sha256(content).hexdigest()}")
