"""No avoidable 400: what is sent to each current model, judged by what its provider documents.

The judge reads tables of facts that are no part of the project; a few models are written out here, so that some are
always judged.
"""

from __future__ import annotations

import json
import tomllib
from itertools import product
from typing import Any

import pytest
from support.documented_rules import Documented, documented, violations
from support.optional_data import folder_of, needs

from arawn.adapters.anthropic.messages import AnthropicAdapter
from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.adapters.openai.responses import OpenAIResponsesAdapter
from arawn.adapters.rules import ModelRules
from arawn.config.roles import Choice
from arawn.config.sources import load
from arawn.engine.assembly import Engine
from arawn.messages import ChatRequest, LLMMessage, OutputFormat, Thinking, Tool, ToolChoice

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
TOOLS = (Tool("look", "Look", SCHEMA),)
THINKING = {"unset": None, **{word: Thinking(word) for word in ("none", "minimal", "low", "high", "xhigh", "max")}}  # type: ignore[arg-type]
WANTED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a schema": {"output": OutputFormat(SCHEMA)},
    "tools": {"tools": TOOLS},
    "a forced tool": {"tools": TOOLS, "tool_choice": ToolChoice("tool", "look")},
    "some tool": {"tools": TOOLS, "tool_choice": ToolChoice("required")},
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.9},
    "stop": {"stop": ("END",)},
    "seed": {"seed": 7},
    "a limit": {"max_tokens": 5000},
    "a budget": {"thinking": Thinking(budget_tokens=2048)},
    "no budget": {"thinking": Thinking("max", 0)},
}
WANTED["all of it"] = {key: value for wanted in WANTED.values() for key, value in wanted.items() if key != "thinking"}


def requests(model: str) -> list[tuple[str, ChatRequest]]:
    hello = (LLMMessage("user", "Hello"),)
    return [
        (f"{name}, thinking {word}", ChatRequest(model, hello, **{"thinking": thinking, **wanted}))
        for (name, wanted), (word, thinking) in product(WANTED.items(), THINKING.items())
        if word in ("unset", "none", "low", "high") or name in ("nothing", "a forced tool")
    ]


def judged(known: Documented, path: str, body: dict[str, Any], request: ChatRequest) -> list[str]:
    thinking = request.thinking
    off = None if thinking is None else thinking.effort == "none" or thinking.budget_tokens == 0
    forced = request.tool_choice.mode in ("required", "tool")
    return violations(known, path, body, off=True if off else (None if forced and thinking is None else off))


# ---- models written out here ----

GPT = {
    "efforts": ["none", "low", "medium", "high"],
    "thinking_default": "on",
    "thinking_off": '{"reasoning":{"effort":"none"}}',
    "refused_while_reasoning": ["temperature", "top_p"],
    "tools_with_thinking": "responses; chat completions only with none",
}
GPT_RULES = ModelRules(
    efforts=("none", "low", "medium", "high"),
    thinks_by_default=True,
    tools_need_no_effort=True,
    refused_while_thinking=frozenset({"temperature", "top_p"}),
)
CLAUDE = {
    "efforts": ["low", "high"],
    "effort_field": "output_config.effort",
    "thinking_default": "on",
    "thinking_off": '{"thinking":{"type":"between_tools"}}',
    "thinking_off_max_effort": "high",
    "thinking_text_default": "omitted",
    "refused": ["temperature", "top_p", "top_k", "thinking.budget_tokens"],
    "forced_tool": False,
}
CLAUDE_RULES = ModelRules(
    efforts=("low", "high"),
    thinks_by_default=True,
    thinking_on={"thinking": {"type": "adaptive", "display": "summarized"}},
    thinking_off={"thinking": {"type": "between_tools"}},
    off_max_effort="high",
    thinking_budget=False,
    refused=frozenset({"temperature", "top_p", "top_k"}),
    forced_tool="never",
)
ALWAYS = {**CLAUDE, "thinking_off": "never"}
BUDGETS = {
    "efforts": [],
    "adaptive_error": "not here",
    "thinking_default": "off",
    "thinking_off": "leave out thinking",
    "thinking_budget_min": 1024,
    "forced_tool": "not while thinking",
    "sampling": "temperature or top_p, not both",
}
SWITCH = {
    "efforts": ["low", "max"],
    "thinking_default": "on",
    "thinking_off": '{"thinking":{"type":"disabled"}}',
    "forced_tool": "not while thinking",
}
OWN = {
    "by an effort, on Chat Completions": (OpenAIChatAdapter, "/chat/completions", GPT, GPT_RULES),
    "by an effort, on Responses": (OpenAIResponsesAdapter, "/responses", GPT, GPT_RULES),
    "by an effort, hidden": (AnthropicAdapter, "/messages", CLAUDE, CLAUDE_RULES),
    "always": (
        AnthropicAdapter,
        "/messages",
        ALWAYS,
        ModelRules(
            efforts=("low", "high"),
            always_thinks=True,
            thinks_by_default=True,
            thinking_on=CLAUDE_RULES.thinking_on,
            refused=CLAUDE_RULES.refused,
            forced_tool="never",
        ),
    ),
    "by a budget": (
        AnthropicAdapter,
        "/messages",
        BUDGETS,
        ModelRules(
            efforts=(),
            thinks_by_default=False,
            thinking_off={},
            thinking_budget=True,
            one_of=("temperature", "top_p"),
            forced_tool="not_while_thinking",
        ),
    ),
    "by a switch": (
        OpenAIChatAdapter,
        "/chat/completions",
        SWITCH,
        ModelRules(
            efforts=("low", "max"),
            thinks_by_default=True,
            thinking_on={"thinking": {"type": "enabled"}},
            thinking_off={"thinking": {"type": "disabled"}},
            forced_tool="not_while_thinking",
        ),
    ),
}


@pytest.mark.parametrize("how", OWN)
def test_a_model_that_thinks_so_is_asked_nothing_it_refuses(how: str) -> None:
    adapter, path, facts, rules = OWN[how]
    known = Documented("b", "claude-m" if path == "/messages" else "m", facts)
    made = adapter("b", Quirks(rules=rules))
    wrong = {
        name: found
        for name, request in requests("m")
        if (found := judged(known, path, json.loads(made.render_chat(request).body), request))
    }
    assert wrong == {}


@pytest.mark.parametrize("how", OWN)
def test_the_judge_sees_what_a_model_without_rules_would_be_asked(how: str) -> None:
    adapter, path, facts, _ = OWN[how]
    known = Documented("b", "claude-m" if path == "/messages" else "m", facts)
    made = adapter("b", Quirks())
    found = [judged(known, path, json.loads(made.render_chat(request).body), request) for _, request in requests("m")]
    assert any(found)


# ---- every current model ----


@needs("ARAWN_CATALOGUE")
def test_no_current_model_is_asked_what_it_is_documented_to_refuse() -> None:
    with (folder_of("ARAWN_CATALOGUE") / "facts.toml").open("rb") as file:
        tables = tomllib.load(file)
    azure = {"backends.azure.base_url": "https://mine.openai.azure.com/openai/v1"}
    settings = load(environ={"ARAWN_HOME": "/nowhere"}, cwd="/", overrides=azure)
    engine = Engine.blocking(settings)
    wrong: dict[str, list[str]] = {}
    for name, own in tables["model"].items():
        known = documented(tables, name)
        if known.backend not in settings.backend_names or "retired" in own:
            continue
        for what, request in requests(known.model):
            text, _ = engine.describe(request, Choice(known.backend, known.model))
            head, _, body = text.partition("\n\n")
            for found in judged(known, head.split()[1].partition("?")[0], json.loads(body), request):
                wrong.setdefault(f"{name}: {found}", []).append(what)
    assert wrong == {}
