"""What a model takes decides what is sent: thinking, efforts, forced tools, refused parameters; in every protocol."""

from __future__ import annotations

from typing import Any

import pytest
from support.model_rules import ADAPTIVE, EFFORTS, REASONS, TOOLS, body, call_of, losses

from arawn.adapters.anthropic.messages import AnthropicAdapter
from arawn.adapters.ollama import OllamaAdapter
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.adapters.openai.responses import OpenAIResponsesAdapter
from arawn.adapters.parameters import EFFORT_BESIDE_TOOLS
from arawn.adapters.rules import ModelRules
from arawn.adapters.thinking import nearest_effort, plan_thinking
from arawn.messages import (
    Thinking,
    ToolChoice,
)

FORCED = {"tools": TOOLS, "tool_choice": ToolChoice("tool", "look")}
SHOWN = {"thinking": {"type": "adaptive", "display": "summarized"}}
ALWAYS = ModelRules(efforts=EFFORTS, always_thinks=True, thinks_by_default=True, thinking_on=SHOWN, forced_tool="never")
HIDDEN = ModelRules(
    efforts=EFFORTS,
    thinks_by_default=True,
    thinking_on=SHOWN,
    thinking_off={"thinking": {"type": "between_tools"}},
    off_max_effort="high",
    forced_tool="never",
)
SWITCHED = ModelRules(
    efforts=("low", "high", "max"),
    thinks_by_default=True,
    thinking_on={"thinking": {"type": "enabled"}},
    thinking_off={"thinking": {"type": "disabled"}},
    forced_tool="not_while_thinking",
)


# ---- efforts ----


@pytest.mark.parametrize(
    ("word", "words", "nearest"),
    [
        ("minimal", ("low", "high"), "low"),
        ("medium", ("low", "high", "max"), "low"),
        ("xhigh", ("low", "medium", "high", "max"), "high"),
        ("max", ("low",), "low"),
        ("low", ("medium", "high", "xhigh"), "medium"),
        ("low", ("none", "high"), "high"),
        ("high", (), ""),
        ("high", ("none",), ""),
        ("high", ("extreme",), ""),
    ],
)
def test_an_effort_becomes_the_nearest_that_is_taken_the_lower_of_two(word: str, words: Any, nearest: str) -> None:
    assert nearest_effort(word, words) == nearest


def test_another_effort_is_said() -> None:
    wanted = {"thinking": Thinking("xhigh")}
    rules = ModelRules(efforts=("low", "medium", "high"))
    assert body(OpenAIChatAdapter, rules, **wanted)["reasoning_effort"] == "high"
    assert losses(OpenAIChatAdapter, rules, **wanted) == [
        'the effort "xhigh" not sent to backend "mine": this model has no such word; "high" is sent'
    ]
    assert losses(OpenAIChatAdapter, rules, thinking=Thinking("low")) == []


def test_a_model_that_does_not_think_is_sent_nothing_about_it() -> None:
    rules = ModelRules(efforts=(), thinks_by_default=False)
    for adapter in (OpenAIChatAdapter, OpenAIResponsesAdapter, OllamaAdapter):
        plain = body(adapter, rules)
        assert body(adapter, rules, thinking=Thinking("high")) == plain
        assert len(losses(adapter, rules, thinking=Thinking("high"))) == 1
        assert body(adapter, rules, thinking=Thinking("none")) == plain
        assert losses(adapter, rules, thinking=Thinking("none")) == []


def test_chat_completions_may_know_fewer_words() -> None:
    wanted = {"thinking": Thinking("max")}
    assert body(OpenAIResponsesAdapter, REASONS, **wanted)["reasoning"]["effort"] == "max"
    assert body(OpenAIChatAdapter, REASONS, **wanted)["reasoning_effort"] == "xhigh"


def test_an_effort_may_have_a_place_of_its_own() -> None:
    rules = ModelRules(
        efforts=("low", "high"),
        thinks_by_default=True,
        thinking_shown={"extra_body": {"google": {"thinking_config": {"include_thoughts": True}}}},
        effort_path="extra_body.google.thinking_config.thinking_level",
    )
    written = body(OpenAIChatAdapter, rules, thinking=Thinking("low"))
    assert written["extra_body"] == {"google": {"thinking_config": {"include_thoughts": True, "thinking_level": "low"}}}
    assert "reasoning_effort" not in written
    assert "thinking_level" not in str(body(OpenAIChatAdapter, rules))


# ---- thinking off ----


def test_a_model_that_always_thinks_gets_its_lowest_effort_and_that_is_said() -> None:
    off = {"thinking": Thinking("none")}
    written = body(AnthropicAdapter, ALWAYS, **off)
    assert (written["thinking"], written["output_config"]) == (SHOWN["thinking"], {"effort": "low"})
    assert losses(AnthropicAdapter, ALWAYS, **off) == [
        'the effort "none" not sent to backend "mine": it always thinks; the effort "low" is sent, its lowest'
    ]
    medium = ModelRules(efforts=("medium", "high"), always_thinks=True, thinks_by_default=True)
    assert body(OpenAIResponsesAdapter, medium, **off)["reasoning"]["effort"] == "medium"
    assert body(OpenAIChatAdapter, medium, **off)["reasoning_effort"] == "medium"
    assert body(OllamaAdapter, medium, **off)["think"] == "medium"


def test_one_that_always_thinks_and_takes_no_effort_is_sent_none() -> None:
    rules = ModelRules(efforts=(), always_thinks=True, thinks_by_default=True)
    assert "reasoning_effort" not in body(OpenAIChatAdapter, rules, thinking=Thinking("none"))
    assert losses(OpenAIChatAdapter, rules, thinking=Thinking(budget_tokens=0)) == [
        'a budget of no thinking not sent to backend "mine": it always thinks'
    ]


def test_the_effort_none_switches_off_where_it_is_a_word() -> None:
    off = {"thinking": Thinking("none"), "temperature": 0.5}
    written = body(OpenAIResponsesAdapter, REASONS, **off)
    assert (written["reasoning"], written["temperature"]) == ({"effort": "none"}, 0.5)
    assert "include" not in written
    assert body(OpenAIChatAdapter, REASONS, **off)["reasoning_effort"] == "none"
    assert losses(OpenAIChatAdapter, REASONS, **off) == []


@pytest.mark.parametrize("off", [Thinking("none"), Thinking(budget_tokens=0)])
def test_the_models_own_words_switch_off(off: Thinking) -> None:
    assert body(AnthropicAdapter, HIDDEN, thinking=off)["thinking"] == {"type": "between_tools"}
    assert body(OpenAIChatAdapter, SWITCHED, thinking=off)["thinking"] == {"type": "disabled"}
    assert "reasoning_effort" not in body(OpenAIChatAdapter, SWITCHED, thinking=off)


def test_where_nothing_is_to_be_said_nothing_is() -> None:
    rules = ModelRules(efforts=EFFORTS, thinks_by_default=False, thinking_on=SHOWN, thinking_off={})
    for adapter in (AnthropicAdapter, OpenAIChatAdapter, OllamaAdapter, OpenAIResponsesAdapter):
        assert body(adapter, rules, thinking=Thinking("none")) == body(adapter, rules)
    assert body(AnthropicAdapter, rules, thinking=Thinking("low"))["thinking"] == SHOWN["thinking"]


@pytest.mark.parametrize(
    ("effort", "sent"), [("medium", "medium"), ("high", "high"), ("xhigh", "high"), ("max", "high")]
)
def test_beside_no_thinking_the_effort_has_a_limit(effort: Any, sent: str) -> None:
    wanted = {"thinking": Thinking(effort, 0)}
    assert body(AnthropicAdapter, HIDDEN, **wanted)["output_config"] == {"effort": sent}
    assert len(losses(AnthropicAdapter, HIDDEN, **wanted)) == (effort != sent)
    assert body(AnthropicAdapter, ADAPTIVE, **wanted)["output_config"] == {"effort": effort}


# ---- thinking on, and by itself ----


def test_a_model_that_thinks_by_itself_and_hides_it_is_asked_to_show_it() -> None:
    written = body(AnthropicAdapter, HIDDEN)
    assert written["thinking"] == SHOWN["thinking"]
    assert "output_config" not in written
    assert call_of(AnthropicAdapter, HIDDEN).body == call_of(AnthropicAdapter, HIDDEN).body
    assert body(AnthropicAdapter, HIDDEN, thinking=Thinking("high"))["thinking"] == SHOWN["thinking"]


def test_reasoning_that_goes_on_by_itself_comes_back_encrypted() -> None:
    written = body(OpenAIResponsesAdapter, REASONS)
    assert (written["reasoning"], written["include"]) == ({"summary": "auto"}, ["reasoning.encrypted_content"])


def test_what_shows_the_text_is_sent_whenever_it_thinks_and_not_when_it_is_off() -> None:
    rules = ModelRules(efforts=("none", "low"), thinks_by_default=True, thinking_shown={"reasoning_format": "parsed"})
    assert body(OpenAIChatAdapter, rules)["reasoning_format"] == "parsed"
    assert body(OpenAIChatAdapter, rules, thinking=Thinking("low"))["reasoning_format"] == "parsed"
    assert "reasoning_format" not in body(OpenAIChatAdapter, rules, thinking=Thinking("none"))


def test_a_switch_without_efforts_is_switched() -> None:
    rules = ModelRules(
        efforts=(), thinking_on={"reasoning": {"enabled": True}}, thinking_off={"reasoning": {"enabled": False}}
    )
    assert body(OpenAIChatAdapter, rules, thinking=Thinking("high"))["reasoning"] == {"enabled": True}
    assert body(OpenAIChatAdapter, rules, thinking=Thinking("none"))["reasoning"] == {"enabled": False}
    assert "reasoning" not in body(OpenAIChatAdapter, rules)
    assert "takes none" in losses(OpenAIChatAdapter, rules, thinking=Thinking("high"))[0]


def test_a_budget_goes_only_where_it_is_taken() -> None:
    wanted = {"thinking": Thinking(budget_tokens=3000)}
    both = ModelRules(efforts=EFFORTS, thinking_on={"thinking": {"type": "adaptive"}}, thinking_budget=True)
    assert body(AnthropicAdapter, both, **wanted)["thinking"] == {"type": "enabled", "budget_tokens": 3000}
    assert body(AnthropicAdapter, both, thinking=Thinking("low"))["thinking"] == {"type": "adaptive"}
    budget = ModelRules(efforts=("low",), thinking_budget=True)
    assert body(AnthropicAdapter, budget, thinking=Thinking("low"))["thinking"]["budget_tokens"] == 2048
    refusing = ModelRules(efforts=EFFORTS, thinking_budget=False)
    assert "budget" in losses(AnthropicAdapter, refusing, **wanted)[0]
    assert "budget" in losses(OpenAIChatAdapter, refusing, quirks={"effort_key": "reasoning"}, **wanted)[0]
    assert body(OpenAIChatAdapter, both, quirks={"effort_key": "reasoning"}, **wanted)["reasoning"] == {
        "max_tokens": 3000
    }


def test_a_plan_for_nothing_asked_of_an_unknown_model_is_empty() -> None:
    plan = plan_thinking(None, ModelRules())
    assert (plan.said, plan.thinks, plan.effort, dict(plan.fields), plan.losses) == (False, False, "", {}, ())


# ---- tools ----


@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("tool", "look")])
@pytest.mark.parametrize("adapter", [AnthropicAdapter, OpenAIChatAdapter, OpenAIResponsesAdapter])
def test_a_tool_that_may_never_be_forced_is_left_to_the_model(adapter: Any, choice: ToolChoice) -> None:
    wanted = {"tools": TOOLS, "tool_choice": choice}
    assert "tool_choice" not in body(adapter, ALWAYS, **wanted)
    assert losses(adapter, ALWAYS, **wanted) == [
        'the choice of a tool not sent to backend "mine": this model chooses itself'
    ]
    for mode in ("auto", "none"):
        assert losses(adapter, ALWAYS, tools=TOOLS, tool_choice=ToolChoice(mode)) == []  # type: ignore[arg-type]


def test_thinking_that_was_not_asked_for_gives_way_to_a_forced_tool() -> None:
    written = body(OpenAIChatAdapter, SWITCHED, **FORCED)
    assert written["thinking"] == {"type": "disabled"}
    assert written["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert len(losses(OpenAIChatAdapter, SWITCHED, **FORCED)) == 1


def test_thinking_that_was_asked_for_is_kept_and_the_tool_is_not_forced() -> None:
    wanted = {**FORCED, "thinking": Thinking("high")}
    written = body(OpenAIChatAdapter, SWITCHED, **wanted)
    assert (written["thinking"], written["reasoning_effort"]) == ({"type": "enabled"}, "high")
    assert "tool_choice" not in written
    assert losses(OpenAIChatAdapter, SWITCHED, **wanted) == [
        'the choice of a tool not sent to backend "mine": this model chooses itself while it thinks'
    ]
    off = body(OpenAIChatAdapter, SWITCHED, **FORCED | {"thinking": Thinking("none")})
    assert "tool_choice" in off


def test_where_budgets_are_taken_a_tool_is_forced_unless_it_thinks() -> None:
    rules = ModelRules(thinking_budget=True, thinks_by_default=False, forced_tool="not_while_thinking")
    assert "tool_choice" in body(AnthropicAdapter, rules, **FORCED)
    assert "tool_choice" not in body(AnthropicAdapter, rules, **FORCED, thinking=Thinking("low"))


def test_chat_completions_takes_tools_only_beside_an_explicit_none() -> None:
    for thinking in (None, Thinking("high"), Thinking("none")):
        assert body(OpenAIChatAdapter, REASONS, tools=TOOLS, thinking=thinking)["reasoning_effort"] == "none"
    assert len(losses(OpenAIChatAdapter, REASONS, tools=TOOLS, thinking=Thinking("high"))) == 1
    assert losses(OpenAIChatAdapter, REASONS, tools=TOOLS) == []
    learned = {"tools": TOOLS, "without": frozenset({EFFORT_BESIDE_TOOLS})}
    assert body(OpenAIChatAdapter, ModelRules(), **learned)["reasoning_effort"] == "none"
    assert len(losses(OpenAIChatAdapter, ModelRules(), **learned)) == 1
    assert "reasoning_effort" not in body(OpenAIChatAdapter, ModelRules(), without=learned["without"])
    assert "reasoning_effort" not in body(OpenAIChatAdapter, REASONS)
    assert (
        body(OpenAIResponsesAdapter, REASONS, tools=TOOLS, thinking=Thinking("high"))["reasoning"]["effort"] == "high"
    )
