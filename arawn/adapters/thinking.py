"""How a request says that a model is to think, how much, or not: decided by the model's rules, for all protocols alike.

Where a model cannot do what is asked, the nearest that it can do is sent and said: a model that always thinks gets its
lowest effort, an effort it has no word for becomes the nearest one, the lower of two that are equally near.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from arawn.values import EMPTY, Value

if TYPE_CHECKING:
    from arawn.adapters.rules import ModelRules
    from arawn.messages import Thinking

BUDGET_LOSS = ("the budget for thinking", "it takes an effort, no number of tokens")
"""The loss of a number of tokens: what was not sent, and why."""
_RANKS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class ThinkingPlan(Value, kw_only=True):
    """What a body says about thinking.

    ``fields`` are merged into it; ``effort`` goes where the protocol has its effort, ``budget`` (tokens) where it has
    room for one. ``said`` is false where the request leaves all of it to the model, ``thinks`` is whether the model is
    known to think then. ``losses`` are the notices: what was not sent, and why.
    """

    said: bool = False
    thinks: bool = False
    effort: str = ""
    budget: int | None = None
    fields: Mapping[str, Any] = EMPTY
    losses: tuple[tuple[str, str], ...] = ()


def is_off(thinking: Thinking) -> bool:
    """Return whether a request asks for no thinking."""
    return thinking.effort == "none" or thinking.budget_tokens == 0


def plan_thinking(asked: Thinking | None, rules: ModelRules) -> ThinkingPlan:
    """Decide what is said about thinking."""
    if asked is None:
        thinks = rules.always_thinks or bool(rules.thinks_by_default)
        return ThinkingPlan(thinks=True, fields=_on(rules)) if thinks else ThinkingPlan()
    return _switched_off(asked, rules) if is_off(asked) else _switched_on(asked, rules)


def can_be_off(rules: ModelRules) -> bool:
    """Return whether a model is known to have a word that stops it thinking."""
    return not rules.always_thinks and ("none" in (rules.efforts or ()) or rules.thinking_off is not None)


def merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Return both mappings as one: mappings within are merged too, other values are those of ``high``."""
    both = {**low, **high}
    for key in low.keys() & high.keys():
        if isinstance(low[key], Mapping) and isinstance(high[key], Mapping):
            both[key] = merged(low[key], high[key])
    return both


def nearest_effort(word: str, words: tuple[str, ...]) -> str:
    """Return the word of these that is nearest to another, the lower one of two; empty where there is none."""
    rank = _RANKS.index(word)
    known = sorted(_RANKS.index(each) for each in words if each in _RANKS and each != "none")
    return _RANKS[min(known, key=lambda each: abs(each - rank))] if known else ""


def _on(rules: ModelRules) -> dict[str, Any]:
    return merged(rules.thinking_on or EMPTY, rules.thinking_shown or EMPTY)


def _switched_off(asked: Thinking, rules: ModelRules) -> ThinkingPlan:
    efforts = rules.efforts
    if "none" in (efforts or ()) and not rules.always_thinks:
        return ThinkingPlan(said=True, effort="none")
    if rules.thinking_off is not None and not rules.always_thinks:
        effort, losses = _beside_off(asked, rules)
        return ThinkingPlan(said=bool(rules.thinking_off), fields=rules.thinking_off, effort=effort, losses=losses)
    if efforts is None and not rules.always_thinks and rules.thinks_by_default is not False:
        return ThinkingPlan(said=True, effort="none")  # not known: the usual word, where the protocol has one
    if not rules.always_thinks and not rules.thinks_by_default:
        return ThinkingPlan()  # it does not think unasked
    lowest = nearest_effort("none", efforts or ())
    why = f'it always thinks; the effort "{lowest}" is sent, its lowest' if lowest else "it always thinks"
    what = 'the effort "none"' if asked.effort == "none" else "a budget of no thinking"
    return ThinkingPlan(said=True, thinks=True, effort=lowest, fields=_on(rules), losses=((what, why),))


def _beside_off(asked: Thinking, rules: ModelRules) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the effort that stands beside switched off thinking, where one was asked for."""
    if asked.effort in (None, "none"):
        return "", ()
    effort, losses = _known_effort(asked.effort, rules)
    highest = rules.off_max_effort
    if effort and highest and _RANKS.index(effort) > _RANKS.index(highest):
        return highest, ((f'the effort "{effort}"', f'without thinking this model takes "{highest}" at most'),)
    return effort, losses


def _switched_on(asked: Thinking, rules: ModelRules) -> ThinkingPlan:
    effort, losses = _known_effort(asked.effort, rules) if asked.effort else ("", ())
    budget = asked.budget_tokens
    if budget is not None and (rules.thinking_budget is False or effort):
        budget = None
        losses = (*losses, BUDGET_LOSS)
    fields = _on(rules)
    if rules.efforts == () and not fields and budget is None and rules.thinks_by_default is not True:
        return ThinkingPlan(losses=losses)
    return ThinkingPlan(said=True, thinks=True, effort=effort, budget=budget, fields=fields, losses=losses)


def _known_effort(word: str, rules: ModelRules) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the word that is sent for an effort, empty for none, and what is said where it is another one."""
    if rules.efforts is None or word in rules.efforts:
        return word, ()
    known = nearest_effort(word, rules.efforts)
    what = f'the effort "{word}"'
    return known, ((what, f'this model has no such word; "{known}" is sent' if known else "this model takes none"),)
