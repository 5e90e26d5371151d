"""What providers document that they refuse, as a checker of written requests; it knows nothing of arawn's own rules.

``Documented`` is what is documented of one model, taken from tables of facts (facts.toml) or written out by a test;
``violations`` says what of a body would be answered with 400.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

EFFORTS = {"none", "minimal", "low", "medium", "high", "xhigh", "max"}
SAMPLING = ("temperature", "top_p", "top_k")
FORCED = {"any", "tool", "required", "function"}
MISTRAL_KEYS = {
    *("model", "messages", "temperature", "top_p", "max_tokens", "stop", "stream", "random_seed", "response_format"),
    *("tools", "tool_choice", "parallel_tool_calls", "reasoning_effort", "presence_penalty", "frequency_penalty", "n"),
}
ONLY_MAX_TOKENS = {"anthropic", "bedrock-anthropic", "deepseek", "openrouter", "mistral", "together"}


@dataclass(frozen=True)
class Documented:
    """One model: its backend, its id, and what is documented of its family and of itself."""

    backend: str
    model: str
    facts: dict[str, Any]

    @property
    def never_off(self) -> bool:
        switch = str(self.facts.get("thinking_off", ""))
        by_word = "none" in switch and self.facts.get("effort_off") is False
        return by_word or switch.startswith("never") or ("pro refuses" in switch and "-pro" in self.model)

    @property
    def off_fields(self) -> dict[str, Any]:
        """What switches thinking off, where that is something to send in place of an effort."""
        text = self.facts.get("thinking_off", "")
        fields: dict[str, Any] = json.loads(text) if isinstance(text, str) and text.startswith("{") else {}
        return {} if "none" in text else fields

    @property
    def claude(self) -> bool:
        return ("claude" in self.model and self.facts.get("effort_field", "").startswith("output")) or self.budgets

    @property
    def budgets(self) -> bool:
        return "adaptive_error" in self.facts

    def refused(self, *, thinking: bool) -> set[str]:
        """The parameters that are answered with 400."""
        words = [*self.facts.get("refused", ()), *self.facts.get("unsupported", ())]
        words += self.facts.get("refused_while_reasoning", ()) if thinking else ()
        if self.claude and thinking:
            words += SAMPLING
        return {name for word in words for name in self._names(word)}

    def _names(self, words: str) -> list[str]:
        """Return the parameters of "top_p, top_k on 3.6-flash": those without a dot, if they are of this model."""
        names, only, of = words.partition(" (")[0].partition(" on ")
        if only and not any(word in self.model for word in of.split(" and ")):
            return []
        return [name for name in names.split(", ") if re.fullmatch("[a-z_]+", name)]


def documented(tables: dict[str, Any], name: str) -> Documented:
    """Return what is documented of a model, by its name ``backend/id``."""
    backend, _, model = name.partition("/")
    families = (family for family in tables["family"].values() if re.search(family["pattern"], name))
    family = dict(next(families, {}))
    own = tables["model"][name]
    first = tables["model"].get(own.get("same_as", name.replace("bedrock/openai.", "openai/")), own)
    own = {**first, **own}
    if "efforts" in own and not first["sure"]:  # sources disagree: what either of them has
        own |= {"efforts": [*own["efforts"], *family.get("efforts", ())], "effort_off": own.get("effort_off") or None}
    known = [*family.get("efforts", ())]
    for word, more in family.get("efforts_more", {}).items():
        known += more if word in model else ()
    known = next((less for word, less in family.get("efforts_less", {}).items() if word in model), known)
    efforts = {"efforts": known} if "efforts" in family else {}
    backend = "bedrock-anthropic" if backend == "bedrock" and "anthropic." in model else backend
    of_all = tables["provider"]["xai"]["refused"] if backend == "xai" else ()
    return Documented(backend, model, {**family, **efforts, "refused": [*family.get("refused", ()), *of_all], **own})


def violations(known: Documented, path: str, body: dict[str, Any], *, off: bool | None) -> list[str]:
    """Return what the service would refuse of a body; ``off`` says that no thinking was asked for, None for nothing."""
    checks = (_effort, _thinking, _parameters, _tools, _limits, _format, _shown)
    return [wrong for check in checks for wrong in check(known, path, body, off)]


def effort_of(body: dict[str, Any]) -> str | None:
    thinking_config = body.get("extra_body", {}).get("google", {}).get("thinking_config", {})
    places = (
        body.get("reasoning_effort"),
        body.get("reasoning", {}).get("effort"),
        body.get("output_config", {}).get("effort"),
        thinking_config.get("thinking_level"),
    )
    found = [place for place in places if place is not None]
    assert len(found) < 2, f"two efforts: {body}"
    return found[0] if found else None


def thinks(known: Documented, body: dict[str, Any]) -> bool:
    """Whether a model thinks when it gets this body."""
    if known.never_off:
        return True
    if effort_of(body) == "none" or body.get("reasoning", {}).get("enabled") is False:
        return False
    if (kind := body.get("thinking", {}).get("type")) is not None:
        return kind in ("adaptive", "enabled")
    default = known.facts.get("thinking_default")
    return default == "on" or (default == "off" and effort_of(body) is not None and not known.claude)


def _effort(known: Documented, path: str, body: dict[str, Any], off: bool | None) -> list[str]:
    word, facts = effort_of(body), known.facts
    if word is None or "efforts" not in facts or "thinking_budget" in str(facts.get("thinking_on")):
        return []  # budgets are of another protocol of the service: here words stand for them
    words = {each.lower() for each in facts["efforts"]}
    if path.endswith("chat/completions") and known.backend in ("openai", "azure", "bedrock"):
        words -= {"max"}
    off_word = facts.get("effort_off")
    switch = str(facts.get("thinking_off", ""))
    if off_word == "none" or '"none"' in switch or "or none" in switch:
        words.add("none")
    return [] if word in words else [f"effort {word}, of {sorted(words)}"]


def _thinking(known: Documented, path: str, body: dict[str, Any], off: bool | None) -> list[str]:
    kind = body.get("thinking", {}).get("type")
    facts = known.facts
    wrong = []
    if kind in ("disabled", "between_tools") and "thinking_off" in facts:
        allowed = known.off_fields.get("thinking", {}).get("type")
        wrong += [f"thinking {kind}"] if known.never_off or kind != allowed else []
        limit = facts.get("thinking_off_max_effort")
        wrong += ["effort above high without thinking"] if limit and effort_of(body) in ("xhigh", "max") else []
    if "budget_tokens" in body.get("thinking", {}) and "thinking.budget_tokens" in facts.get("refused", ()):
        wrong.append("a budget")
    if known.budgets and kind == "adaptive":
        wrong.append("adaptive thinking")
    if body.get("thinking", {}).get("budget_tokens", 10**9) < facts.get("thinking_budget_min", 0):
        wrong.append("a budget below the least")
    if off and not known.never_off and "thinking_off" in facts and thinks(known, body):
        wrong.append("thinking although it was to be off")
    return wrong


def _parameters(known: Documented, path: str, body: dict[str, Any], off: bool | None) -> list[str]:
    refused = known.refused(thinking=thinks(known, body))
    if "stop" in refused:
        refused.add("stop_sequences")
    wrong = sorted(refused & body.keys() - {"max_tokens"})
    if "temperature or top_p, not both" in known.facts.get("sampling", "") and {"temperature", "top_p"} <= body.keys():
        wrong.append("temperature and top_p")
    if known.backend == "mistral":
        wrong += sorted(body.keys() - MISTRAL_KEYS)
    return wrong


def _tools(known: Documented, path: str, body: dict[str, Any], off: bool | None) -> list[str]:
    choice = body.get("tool_choice", "auto")
    mode = choice["type"] if isinstance(choice, dict) else choice
    rule, wrong = known.facts.get("forced_tool"), []
    if mode in FORCED and (rule is False or (str(rule).startswith("not") and thinks(known, body))):
        budget = "budget" not in str(rule) or "budget_tokens" in body.get("thinking", {})
        wrong += ["a forced tool"] if budget else []
    rule = known.facts.get("tools_with_thinking", "")
    if path.endswith("chat/completions") and body.get("tools") and rule.startswith("responses"):
        wrong += [] if effort_of(body) == "none" else ["tools beside an effort on Chat Completions"]
    if known.facts.get("endpoint") == "responses only" and not path.endswith("/responses"):
        wrong.append("Chat Completions")
    return wrong


def _limits(known: Documented, path: str, body: dict[str, Any], off: bool | None) -> list[str]:
    chat = path.endswith("chat/completions")
    if known.backend in ONLY_MAX_TOKENS and {"max_completion_tokens", "max_output_tokens"} & body.keys():
        return ["the name of the limit"]
    if chat and "max_tokens" in body and any("max_tokens (chat)" in word for word in known.facts.get("refused", ())):
        return ["max_tokens"]
    return ["max_tokens missing"] if path.endswith("/messages") and "max_tokens" not in body else []


def _format(known: Documented, path: str, body: dict[str, Any], off: bool | None) -> list[str]:
    kind = body.get("response_format", {}).get("type")
    return ["json_schema"] if known.backend == "deepseek" and kind == "json_schema" else []


def _shown(known: Documented, path: str, body: dict[str, Any], off: bool | None) -> list[str]:
    """Nothing is refused here, but thinking that is hidden by default is to be shown where it is not off."""
    if off or not path.endswith("/messages") or known.facts.get("thinking_text_default") != "omitted":
        return []
    shown = body.get("thinking", {}).get("display") == "summarized"
    return ["hidden thinking"] if thinks(known, body) and not shown else []
