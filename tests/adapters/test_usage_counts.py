"""Usage: totals that tell whether reasoning is included, and iterations."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.answers import (
    ANTHROPIC,
    CHAT,
    RESPONSES,
    anthropic_answer,
    message_start,
    whole_answer,
)


def usage(wire, counts: dict[str, Any], **quirks: Any):
    if wire is CHAT:
        answer = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": counts}
    else:
        answer = {"status": "completed", "output": [], "usage": counts}
    return wire.adapter(**quirks).parse_chat(json.dumps(answer).encode())[-1].usage


def counts(wire, given: int, made: int, reasoning: int, total: int | None) -> dict[str, Any]:
    words = ("prompt", "completion") if wire is CHAT else ("input", "output")
    found: dict[str, Any] = {f"{words[0]}_tokens": given, f"{words[1]}_tokens": made}
    found[f"{words[1]}_tokens_details"] = {"reasoning_tokens": reasoning}
    return found if total is None else {**found, "total_tokens": total}


@pytest.mark.parametrize("wire", [CHAT, RESPONSES], ids=["chat", "responses"])
@pytest.mark.parametrize("separate", [True, False])
def test_a_total_says_whether_the_output_includes_reasoning(wire, separate):
    quirks = {"output_includes_reasoning": not separate}

    def output(total: int | None) -> int:
        return usage(wire, counts(wire, 160, 249, 186, total), **quirks).output_tokens

    assert output(409) == 249
    assert output(409 + 186) == 249 + 186
    assert output(None) == output(0) == (249 + 186 if separate else 249)


def iterations(*rows: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"type": "message", "input_tokens": given, "output_tokens": made} for given, made in rows]


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [([], (612, 19)), ([(612, 19)], (612, 19)), ([(60385, 522), (612, 19)], (60997, 541))],
)
def test_all_iterations_count_streamed_or_not(rows, wanted):
    found = {"input_tokens": 612, "output_tokens": 19, "iterations": iterations(*rows)}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": found}
    message = message_start(usage=found)["message"] | {"stop_reason": "end_turn"}

    for response in (
        anthropic_answer(message_start(), end, {"type": "message_stop"}),
        whole_answer(ANTHROPIC, **message),
    ):
        assert (response.usage.input_tokens, response.usage.output_tokens) == wanted


@pytest.mark.parametrize("strange", [None, 7, [7], [{"input_tokens": "x"}]])
def test_strange_iterations_do_no_harm(strange):
    found = {"input_tokens": 612, "output_tokens": 19, "iterations": strange}
    message = message_start(usage=found)["message"] | {"stop_reason": "end_turn"}

    assert whole_answer(ANTHROPIC, **message).usage.output_tokens in {0, 19}
