"""The tables of facts in docs/backends.md: a line for the models that share the rules arawn obeys."""

import json
import re
from collections.abc import Iterable, Iterator

from arawn.adapters.rules import ModelRules
from arawn.models.catalog import ModelFacts, all_models

PAGE = "docs/backends.md"
_BLOCK = re.compile(r"(<!-- facts: ([\w-]+) -->\n)(.*?)(<!-- end of facts -->)", re.DOTALL)
_HEAD = "| models | endpoint | effort | off | not taken | forced tool | schema | cache |\n" + "|---" * 8 + "|\n"
_FORCED = {"": "", "always": "yes", "not_while_thinking": "not while thinking", "never": "no"}


def refreshed(page: str) -> str:
    """Return the page with each table made anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}{table(block[2])}{block[4]}", page)


def table(backend: str) -> str:
    """Return the table of the models that a backend serves on the day of its facts, and their sources."""
    served = [facts for facts in all_models(backend) if not facts.retired(facts.as_of)]
    groups: dict[tuple[str, ...], list[str]] = {}
    for facts in served:
        groups.setdefault(tuple(_cells(facts.rules)), []).append(f"`{facts.id}`")
    lines = (f"| {' | '.join((', '.join(models), *cells))} |\n" for cells, models in groups.items())
    return f"\n{_HEAD}{''.join(lines)}\n{_sources(served)}\n\n"


def _cells(rules: ModelRules) -> Iterator[str]:
    yield rules.api
    yield "" if rules.efforts is None else " ".join(rules.efforts) or "none of them"
    yield _off(rules)
    yield _refused(rules)
    yield _FORCED[rules.forced_tool]
    yield rules.schema
    yield _cache(rules)


def _off(rules: ModelRules) -> str:
    if rules.always_thinks:
        return "always thinks"
    if "none" in (rules.efforts or ()):
        return "effort `none`"
    if rules.thinking_off:
        return " ".join(f"`{key}: {json.dumps(value)}`" for key, value in _leaves(rules.thinking_off))
    return "left out" if rules.thinking_off is not None else ""


def _leaves(fields: object, path: str = "") -> Iterator[tuple[str, object]]:
    if not isinstance(fields, dict):
        yield path, fields
        return
    for key, value in fields.items():
        yield from _leaves(value, f"{path}.{key}" if path else key)


def _refused(rules: ModelRules) -> str:
    always, thinking = _names(rules.refused), _names(rules.refused_while_thinking)
    return "; ".join(filter(None, (always, thinking and f"while thinking {thinking}")))


def _cache(rules: ModelRules) -> str:
    start = f"from {rules.cache_min_tokens:,}" if rules.cache_min_tokens else ""
    return " ".join(filter(None, (rules.cache, start)))


def _sources(models: list[ModelFacts]) -> str:
    days = sorted({facts.as_of for facts in models})
    names = dict.fromkeys(name.strip() for facts in models for name in re.split("[,;]", facts.source))
    unsure = ", ".join(f"`{facts.id}`" for facts in models if not facts.sure)
    doubt = f" Unsure: {unsure}." if unsure else ""
    return f"Sources: {', '.join(names)}; as of {' to '.join(dict.fromkeys((days[0], days[-1])))}.{doubt}"


def _names(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(words))
