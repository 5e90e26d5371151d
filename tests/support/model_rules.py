"""Rules of models that several tests need, and what an adapter writes for a model with such rules."""

from __future__ import annotations

import json
from typing import Any

from arawn.adapters.base import Quirks
from arawn.adapters.rules import ModelRules
from arawn.messages import ChatRequest, LLMMessage, Tool

HELLO = (LLMMessage("user", "Hello"),)
TOOLS = (Tool("look"), Tool("wait"))
NO_SAMPLING = Quirks(rules=ModelRules(refused=frozenset({"temperature", "top_p", "top_k"})))
EFFORTS = ("low", "medium", "high", "xhigh", "max")
ADAPTIVE = ModelRules(
    efforts=EFFORTS,
    thinking_on={"thinking": {"type": "adaptive"}},
    thinking_off={"thinking": {"type": "disabled"}},
    thinking_budget=False,
)
REASONS = ModelRules(
    api="responses",
    efforts=("none", "low", "medium", "high", "xhigh", "max"),
    efforts_chat=("none", "low", "medium", "high", "xhigh"),
    tools_need_no_effort=True,
    thinks_by_default=True,
    refused_while_thinking=frozenset({"temperature", "top_p", "logprobs"}),
)


def call_of(adapter: Any, rules: ModelRules, **wanted: Any) -> Any:
    quirks = Quirks(**{"rules": rules, **wanted.pop("quirks", {})})
    return adapter("mine", quirks).render_chat(ChatRequest("m", wanted.pop("messages", HELLO), **wanted))


def body(adapter: Any, rules: ModelRules, **wanted: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(call_of(adapter, rules, **wanted).body)
    return written


def losses(adapter: Any, rules: ModelRules, **wanted: Any) -> list[str]:
    notices = call_of(adapter, rules, **wanted).notices
    assert {notice.kind for notice in notices} <= {"dropped"}
    return [notice.text for notice in notices]
