"""The layers of the configuration, weakest first: built-in < system < user < project < environment < command line."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any

from arawn.config.environment import Environment, environment_tree, variables
from arawn.config.settings import ROLES, Layer, Settings, overlay, table_at
from arawn.errors import ConfigError, UsageError
from arawn.files import check_private, read_file, read_named
from arawn.folders import config_folder, follows_xdg, home_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from arawn.config.decode import Problem
    from arawn.config.settings import Tree
    from arawn.config.trust import Trust

PROJECT_FILE = ".arawn.toml"
SYSTEM_FILE = "/etc/arawn/config.toml"
BUILT_IN = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data", "defaults.toml")
CONFIG_FILE_LIMIT = 1 << 20
"""Bytes of the largest configuration file, or ``.env`` file."""
_PROJECT_FILE_LIMIT = 1 << 14
"""Bytes of a project file: tomllib takes quadratic time for some texts, and this one may be hostile."""
LOCATION_VARIABLES = ("ARAWN_CONFIG", "ARAWN_HOME", "HOME", "XDG_CONFIG_HOME")
"""The variables that say where the files are."""
_MAX_KEYS_NAMED = 4
"""Ignored keys that a warning names."""


def load(
    *,
    environ: Mapping[str, str],
    cwd: str,
    config_file: str | None = None,
    project: bool = True,
    overrides: Mapping[str, object] | None = None,
    env_file: str | None = None,
) -> Settings:
    """Read and merge all layers; ``overrides`` are dotted keys from the command line.

    Raises ConfigError for the first thing that is wrong: ``file:line: key: what is wrong, what was expected``.
    """
    environ = Environment(environ)
    files = locate(environ=environ, cwd=cwd, config_file=config_file, project=project)
    warnings = _missing(files["user"], config_file or environ.get("ARAWN_CONFIG"))
    layers = [_built_in()]
    for name in ("system", "user"):
        layers.append(_file_layer(name, files[name], layers, warnings))
    environ = _with_env_file(environ, env_file or _env_file(layers))
    if "project" in files:
        layers.append(_project_layer(files["project"], layers, project_trust(environ), warnings))
    layers.append(_environment_layer(environ, layers, warnings))
    layers.append(_command_line_layer(overrides or {}, warnings))
    tree = _merged(layers)
    trusts_project = any(layer.name == "project" and layer.trusted for layer in layers)
    own = _merged(layer for layer in layers if layer.name != "project") if trusts_project else tree
    return Settings(tuple(layers), tree, own, environ, tuple(warnings))


def locate(
    *, environ: Mapping[str, str], cwd: str, config_file: str | None = None, project: bool = True
) -> dict[str, str]:
    """Return the paths of the files: ``system``, ``user``, and ``project`` where there is one."""
    user = config_file or environ.get("ARAWN_CONFIG") or os.path.join(config_folder(environ), "config.toml")
    files = {"system": _system_file(environ), "user": os.path.join(cwd, user)}
    if project and (found := _project_file(cwd, environ)):
        files["project"] = found
    return files


def project_trust(environ: Mapping[str, str]) -> Trust:
    """Return the list of trusted project files, kept beside the user's configuration."""
    from arawn.config.trust import Trust

    return Trust(os.path.join(config_folder(environ), "trust.json"))


def read_env_file(path: str) -> dict[str, str]:
    """Read a ``.env`` file. Raises ConfigError that names the file, and the line that is not ``NAME=value``."""
    from arawn.config.env_file import parse_env_file

    return parse_env_file(_read(path), path)


def validate(file: str, *, environ: Mapping[str, str], cwd: str, today: str) -> list[Problem]:
    """Return all problems in a configuration file, in the order of its lines; models may be retired by a day.

    Raises ConfigError when it cannot be read at all.
    """
    from arawn.config import decode
    from arawn.config.decode import Problem, parse_or_problem
    from arawn.models.catalog import stored_table

    parsed = parse_or_problem(_read(file), file)
    if isinstance(parsed, Problem):
        return [parsed]
    tree, text = parsed
    known = {*_built_in().tree["backends"], *_user_backends(environ, cwd)}
    found = [
        *decode.problems(tree, text, file),
        *decode.unfinished_backends(tree, text, file, known),
        *decode.undefined_backends(tree, text, file, known),
        *decode.ending_models(tree, text, file, today, stored_table(environ)),
    ]
    return sorted(found, key=lambda problem: problem.line)


def _built_in() -> Layer:
    with open(BUILT_IN, encoding="utf-8") as file:
        text = file.read()
    return Layer("built-in", tomllib.loads(text), BUILT_IN, text)


def _system_file(environ: Mapping[str, str]) -> str:
    if environ.get("ARAWN_HOME"):
        return ""
    if follows_xdg():
        return SYSTEM_FILE
    from platformdirs import site_config_dir

    return os.path.join(site_config_dir("arawn", appauthor=False), "config.toml")


def _project_file(cwd: str, environ: Mapping[str, str]) -> str:
    """Look in ``cwd`` and upwards, to the home folder or the root."""
    home, folder = os.path.realpath(home_folder(environ)), os.path.abspath(cwd)
    while True:
        path = os.path.join(folder, PROJECT_FILE)
        if os.path.lexists(path):
            return path
        parent = os.path.dirname(folder)
        if parent == folder or os.path.realpath(folder) == home:
            return ""
        folder = parent


def _missing(path: str, named: str | None) -> list[str]:
    return [f"{path}: there is no such configuration file"] if named and not os.path.exists(path) else []


def _merged(layers: Iterable[Layer]) -> Tree:
    tree: Tree = {}
    for layer in layers:
        tree = overlay(tree, layer.tree)
    return tree


def _read(path: str, limit: int = CONFIG_FILE_LIMIT, *, read: Callable[[str, int], bytes] = read_named) -> bytes:
    try:
        return read(path, limit)
    except UsageError as error:
        raise ConfigError(error.message, hints=error.hints) from None


def _file_layer(name: str, path: str, lower: Iterable[Layer], warnings: list[str]) -> Layer:
    if not os.path.exists(path):
        return Layer(name, {}, path, exists=False)
    layer = _checked(name, path, _read(path), lower, warnings)
    if name == "user" and _holds_a_key(layer.tree) and (repaired := check_private(path)):
        warnings.append(repaired)
    return layer


def _holds_a_key(tree: Tree) -> bool:
    """Return whether a file contains an API key itself, not only a reference."""
    tables = [table for section in ("backends", "embeddings") for table in table_at(tree, (section,)).values()]
    return any(isinstance(table, dict) and not table.get("api_key", "$").startswith("$") for table in tables)


def _checked(name: str, path: str, content: bytes, lower: Iterable[Layer], warnings: list[str]) -> Layer:
    """Return the layer of a file that may set every key. Raises ConfigError for its first error."""
    from arawn.config.decode import parse, problems, unfinished_backends

    tree, text = parse(content, path)
    for problem in problems(tree, text, path):
        if not problem.warning:
            raise ConfigError(str(problem))
        warnings.append(str(problem))
    known = {name for each in lower for name in table_at(each.tree, ("backends",))}
    warnings += map(str, unfinished_backends(tree, text, path, known))
    return Layer(name, tree, path, text)


def _project_layer(path: str, lower: Iterable[Layer], trust: Trust, warnings: list[str]) -> Layer:
    """Read a project file, which may be hostile: until it is trusted, nothing in it can fail a run."""
    try:
        content = _read(path, _PROJECT_FILE_LIMIT, read=read_file)  # a pipe there would be a trap
    except ConfigError as error:
        warnings.append(f"ignored: {error.message}")
        return Layer("project", {}, path, trusted=False)
    if not trust.is_trusted(path, content):
        return _untrusted_layer(path, content, lower, warnings)
    layer = _checked("project", path, content, lower, warnings)
    if layer.tree.pop("env", None):
        warnings.append(f"{path}: ignored: env, which counts only in your own configuration")
    return layer


def _untrusted_layer(path: str, content: bytes, lower: Iterable[Layer], warnings: list[str]) -> Layer:
    from arawn.config.decode import Problem, first_problem, parse_or_problem, permitted

    parsed = parse_or_problem(content, path)
    if isinstance(parsed, Problem):
        warnings.append(f"ignored: {parsed}")
        return Layer("project", {}, path, trusted=False)
    whole, text = parsed
    tree, ignored = permitted(whole)
    if wrong := first_problem(tree, text, path):
        warnings.append(f"ignored: {wrong}")
        return Layer("project", {}, path, trusted=False)
    ignored += _remove_undefined(tree, {name for layer in lower for name in table_at(layer.tree, ("backends",))})
    if ignored:
        named = ", ".join(f"{key:.60}" for key in ignored[:_MAX_KEYS_NAMED])
        named += f" and {len(ignored) - _MAX_KEYS_NAMED} more" * (len(ignored) > _MAX_KEYS_NAMED)
        warnings.append(f"{path} is not trusted, ignored: {named}; to allow it: arawn config trust")
    return Layer("project", tree, path, text, trusted=False)


def _remove_undefined(tree: Tree, known: set[str]) -> list[str]:
    """Remove the roles' undefined backends, with their models, and return the removed keys."""
    removed = []
    for path in ROLES.values():
        role = table_at(tree, path)
        if role.get("backend", "") not in {"", *known}:
            removed += [".".join((*path, key)) for key in ("backend", "model") if role.pop(key, None) is not None]
    return removed


def _env_file(layers: Iterable[Layer]) -> str:
    """Return the file that the user's own configuration names; its path is relative to the configuration file."""
    named = ""
    for layer in layers:
        if file := table_at(layer.tree, ("env",)).get("file"):
            named = os.path.join(os.path.dirname(layer.path), os.path.expanduser(file))
    return named


def _with_env_file(environ: Environment, file: str) -> Environment:
    """Merge the environment over a file, which cannot say where the configuration is: that is read already."""
    if not file:
        return environ
    read = {name: text for name, text in read_env_file(file).items() if name not in LOCATION_VARIABLES}
    return Environment({**read, **environ.raw})


def _environment_layer(environ: Environment, lower: Iterable[Layer], warnings: list[str]) -> Layer:
    found = variables(environ, lower)
    names = {path: name for path, (name, _) in found.items()}
    tree = environment_tree(found)
    _check_values(tree, lambda path: names.get(path, "the environment"), warnings)
    return Layer("environment", tree, variables=names)


def _command_line_layer(overrides: Mapping[str, object], warnings: list[str]) -> Layer:
    from arawn.config.lines import split_key

    tree: Tree = {}
    for dotted, value in overrides.items():
        *tables, last = split_key(dotted)
        table = tree
        for part in tables:
            table = table.setdefault(part, {})
        table[last] = value
    _check_values(tree, lambda _: "command line", warnings)
    return Layer("command line", tree)


def _check_values(tree: Tree, source: Any, warnings: list[str]) -> None:
    if not tree:
        return
    from arawn.config.decode import value_problems

    for problem in value_problems(tree, source):
        if not problem.warning:
            raise ConfigError(str(problem))
        warnings.append(str(problem))


def _user_backends(environ: Mapping[str, str], cwd: str) -> set[str]:
    """Return the backends that the user's own files define, none where they cannot be read."""
    try:
        return set(load(environ=environ, cwd=cwd, project=False).backend_names)
    except ConfigError:
        return set()
