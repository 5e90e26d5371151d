"""What the configuration says: as TOML, as JSON, with origins, or with the state of every key. No key is ever shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from arawn.cli.output import Styled
from arawn.cli.report.tables import print_table
from arawn.engine.factory import bindings_of
from arawn.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arawn.cli.output import Output
    from arawn.cli.report.tables import Cell
    from arawn.config.roles import RoleName
    from arawn.config.settings import BackendSettings, Origin, Settings

Path = tuple[str, ...]
Shape: TypeAlias = Literal["toml", "origins", "json"]
_OPEN = "not set, and no key is found: a running Ollama would answer"


def show(output: Output, settings: Settings, key: str | None, *, everything: bool, shape: Shape) -> None:
    """Print the configuration, or what is under a key of it. Raises UsageError where nothing is set there."""
    values = dict(_chosen(settings, key, everything=everything))
    if key and not values:
        raise UsageError(f"{key} is not set", hints=["arawn config show --all"])
    match shape:
        case "json":
            output.data(json.dumps(_tree(values), ensure_ascii=False))
        case "origins":
            _show_origins(output, settings, values)
        case "toml":
            _show_toml(output, values)
    if shape != "json" and not key:
        _show_roles(output, settings)


def get(output: Output, settings: Settings, key: str, *, with_origin: bool) -> None:
    """Print the value in force: text as it is, anything else as JSON. Raises UsageError where there is none."""
    value = settings.value(key)
    if value is None:
        value = _default(settings, key)
    safe = _masked(_split(key), value)
    text = safe if isinstance(safe, str) else json.dumps(safe, ensure_ascii=False)
    output.data(f"{text}  # {_described(settings.origin(key))}" if with_origin else text)


def _default(settings: Settings, key: str) -> Any:
    """Return the default of a key that is not set. Raises UsageError where it has none or is no key, ConfigError."""
    from arawn.config.decode import value_problems
    from arawn.config.schema import find

    path = _split(key)
    if path[0] == "backends" and len(path) > 1 and path[1] not in settings.backend_names:
        raise settings.undefined(path[1])
    known = find(path)
    if known is not None and known.default is not None:
        return known.default
    for problem in value_problems(_tree({path: ""}), lambda _: ""):
        if problem.warning:
            raise UsageError(f"{key}: {problem.message}", hints=["arawn config schema lists every key"])
    raise UsageError(f"{key} is not set", hints=["arawn config show --all"])


def _chosen(settings: Settings, key: str | None, *, everything: bool) -> Iterator[tuple[Path, Any]]:
    """Yield the leaves to show: under a key, or all that is set, or also everything built in."""
    start = _split(key) if key else ()
    for path, value in _leaves(settings.tree, ()):
        if path[: len(start)] != start:
            continue
        if key or everything or settings.origin(_joined(path)).layer not in ("built-in", "default"):
            yield path, _masked(path, value)


def _leaves(tree: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*at, name))
        else:
            yield (*at, name), value


def _masked(path: Path, value: Any) -> Any:
    """Return a value as it may be shown: a key that stands in the file itself is not."""
    from arawn.secrets.references import mask

    if isinstance(value, dict):
        return {name: _masked((*path, name), inner) for name, inner in value.items()}
    if not isinstance(value, str):
        return value
    if path[-1] == "api_key" and value.startswith("$"):
        return mask(value)
    return "(literal, not shown)" if path[-1] == "api_key" or _gives_away(path, value) else value


def _gives_away(path: Path, value: str) -> bool:
    """Whether a value is, or holds, what opens a door: by its look, or by the name of the header it is for."""
    from arawn.secrets.references import looks_like_secret, mask

    header = f"{path[-1]}: {value}"
    return looks_like_secret(value) or (path[-2:-1] in (("headers",), ("query",)) and mask(header) != header)


def _tree(values: dict[Path, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        table = tree
        for part in path[:-1]:
            table = table.setdefault(part, {})
        table[path[-1]] = value
    return tree


def _show_toml(output: Output, values: dict[Path, Any]) -> None:
    import tomlkit

    text = tomlkit.dumps(_tree(values)).strip("\n")
    for line in text.splitlines():
        output.line(line)


def _show_origins(output: Output, settings: Settings, values: dict[Path, Any]) -> None:
    rows: list[tuple[Cell, ...]] = []
    for path, value in values.items():
        name = _joined(path)
        written = json.dumps(value, ensure_ascii=False)  # of a plain value, what TOML has too
        rows.append((f"{name} = {written}", Styled(f"# {_described(settings.origin(name))}", "dim")))
    print_table(output, ("value", "origin"), rows)


def _show_roles(output: Output, settings: Settings) -> None:
    """Say which backend and model each role comes to, without a request."""
    from arawn.engine.assembly import Engine

    engine = Engine.blocking(settings)
    roles: tuple[tuple[str, RoleName], ...] = (
        ("[llm]", "llm"),
        ("[memory.indexing]", "indexing"),
        ("[embeddings]", "embeddings"),
    )
    for title, role in roles:
        try:
            choice = engine.choose(role=role, probe=False)
            text = f"# {title} is served by {choice.backend}/{choice.model}"
        except (ConfigError, UsageError) as error:
            text = f"# {title}: {error.message if role == 'embeddings' or _is_chosen(settings) else _OPEN}"
        output.line(Styled(text, "dim"))


def _is_chosen(settings: Settings) -> bool:
    return bool(settings.llm.backend or settings.llm.model)


def show_secrets(output: Output, settings: Settings, *, as_json: bool) -> None:
    """Look up every key that is configured, and say where it points and whether it is found."""
    from arawn.secrets.references import check

    rows, found, skipped = [], 0, 0
    for path, reference, table in _references(settings):
        finding = check(
            reference,
            backend=table.name,
            target=table.base_url,
            environ=settings.environ,
            bindings=bindings_of(settings),
        )
        good = finding.state in ("ok", "PLAIN")
        found += good
        skipped += finding.state == "NOT RUN"
        place = _place(settings.origin(path))
        state = Styled(finding.state, "good" if good else "dim" if finding.state == "NOT RUN" else "error")
        rows.append((path, finding.reference, place, state, f"{finding.tail} {finding.sentence}".strip()))
    if as_json:
        keys = ("key", "reference", "origin", "state", "detail")
        plain = [dict(zip(keys, (*row[:3], row[3].text, row[4]), strict=True)) for row in rows]
        output.data(json.dumps(plain))
    elif rows:
        print_table(output, ("secret", "reference", "from", "state", ""), rows)
        not_run = f"; commands are not run here: {skipped}" if skipped else ""
        output.line(f"{found} of {len(rows) - skipped} resolve{not_run}. No key is ever printed whole.")
    else:
        output.line("no key is configured, and no backend's key variable is set")


def _described(origin: Origin) -> str:
    """Return the layer of a value, and its place there."""
    place = _place(origin)
    return origin.layer if place == origin.layer else f"{origin.layer}  {place}"


def _place(origin: Origin) -> str:
    if origin.layer == "built-in":
        return origin.layer
    return f"{origin.path}:{origin.line}" if origin.line else origin.path or origin.layer


def _references(settings: Settings) -> Iterator[tuple[str, str, BackendSettings]]:
    """Yield the keys that are set, and the built-in ones whose variable is set or whose backend is in use."""
    wanted = {settings.llm.backend, settings.indexing.backend, settings.embeddings.backend}
    sections = {"backends": settings.backend, "embeddings": settings.embeddings_backend}
    for section, decoded in sections.items():
        for name, table in settings.tree.get(section, {}).items():
            reference = table.get("api_key") if isinstance(table, dict) else None
            path = _joined((section, name, "api_key"))
            variable = str(reference).removeprefix("$env:")
            if isinstance(reference, str) and (
                settings.origin(path).layer != "built-in" or name in wanted or variable in settings.environ
            ):
                yield path, reference, decoded(name)


def _split(key: str) -> Path:
    from arawn.config.lines import split_key

    try:
        return split_key(key)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _joined(path: Path) -> str:
    from arawn.config.lines import join_key

    return join_key(path)
