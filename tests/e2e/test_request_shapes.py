"""Requests as the providers' own SDKs would write them: each body arawn renders, judged by the SDK's types."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
from e2e.upstream import NEEDED, python_with
from support.model_rules import ADAPTIVE, NO_SAMPLING

from arawn.adapters.anthropic.messages import AnthropicAdapter
from arawn.adapters.base import Quirks
from arawn.adapters.embeddings import OllamaEmbeddings, OpenAIEmbeddings
from arawn.adapters.ollama import OllamaAdapter
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.adapters.openai.responses import OpenAIResponsesAdapter
from arawn.messages import (
    ChatRequest,
    Effort,
    Image,
    Message,
    OutputFormat,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from arawn.values import as_dict, replace

pytestmark = NEEDED
SDKS = ("openai==3.52.0", "anthropic==2.11.0", "ollama==0.6.3")
JUDGE = Path(__file__).with_name("request_shapes.py")
PROTOCOLS = {
    "openai_chat": OpenAIChatAdapter,
    "openai_responses": OpenAIResponsesAdapter,
    "anthropic": AnthropicAdapter,
    "ollama": OllamaAdapter,
}
QUIRKS = {
    "openai_chat": [Quirks(max_tokens_key="max_completion_tokens"), Quirks(system_role="developer"), Quirks()],
    # no sampling: older models take it, but since its version 1 the SDK has no keys for it
    "anthropic": [Quirks(rules=replace(ADAPTIVE, refused=NO_SAMPLING.rules.refused)), NO_SAMPLING],
}

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452")
PICTURE = Image(PNG, "image/png")
LINKED = Image(url="https://example.com/cat.png")
WEATHER = {"type": "object", "properties": {"place": {"type": "string", "enum": ["Oslo"]}}, "required": ["place"]}
LOOK = Tool("look", "Look at a place", WEATHER)
CALL = ToolCall("call_1", "look", '{"place":"Oslo"}')
OWN_THOUGHTS = {
    "openai_chat": (Reasoning("Hm.", owner="openai_chat"),),
    "openai_responses": (
        Reasoning(
            "Hm.",
            item={"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
            owner="openai_responses",
        ),
    ),
    "anthropic": (
        Reasoning("Hm.", signature="c2ln", owner="anthropic"),
        Reasoning(item={"type": "redacted_thinking", "data": "ZGF0YQ=="}, owner="anthropic"),
    ),
    "ollama": (Reasoning("Hm.", owner="ollama"),),
}


def said(role: Role, *parts: Any) -> Message:
    return Message(role, parts)


HELLO = said(Role.USER, Text("Hello"))


def wishes() -> dict[str, dict[str, Any]]:
    """What a request may ask for, each by itself."""
    return {
        "limits": {"max_tokens": 5000, "temperature": 0.5, "top_p": 0.9, "stop": ("END",), "seed": 7},
        "some JSON": {"output": OutputFormat()},
        "a schema": {"output": OutputFormat(WEATHER)},
        "a loose schema": {"output": OutputFormat(WEATHER, "place", strict=False)},
        "a budget": {"thinking": Thinking(budget_tokens=2048), "max_tokens": 5000},
        "some thinking": {"thinking": Thinking()},
        **{f"effort {effort}": {"thinking": Thinking(effort)} for effort in get_args(Effort)},
        "tools": {"tools": (LOOK, Tool("wait"))},
        "a strict tool": {"tools": (Tool("look", "", WEATHER, strict=True),)},
        **{
            f"tool choice {mode}": {"tools": (LOOK,), "tool_choice": ToolChoice(mode, "look" * (mode == "tool"))}
            for mode in ("auto", "none", "required", "tool")
        },
        "one call at a time": {"tools": (LOOK,), "parallel_tool_calls": False},
    }


def conversations(protocol: str) -> dict[str, tuple[Message, ...]]:
    """What may have been said before, and what is asked."""
    called = (HELLO, said(Role.ASSISTANT, Text("Let me look."), CALL))
    pictures = {"a picture": PICTURE} | ({} if protocol == "ollama" else {"a picture by its address": LINKED})
    return {
        "a word": (HELLO,),
        "a system prompt": (said(Role.SYSTEM, Text("Be brief.")), HELLO),
        "a system prompt in the middle": (HELLO, said(Role.SYSTEM, Text("Be brief.")), HELLO),
        "an answer": (HELLO, said(Role.ASSISTANT, Text("Hello!")), HELLO),
        "an answer begun": (HELLO, said(Role.ASSISTANT, Text("It is"))),
        "a refusal": (HELLO, said(Role.ASSISTANT, Refusal("No.")), HELLO),
        **{name: (said(Role.USER, Text("What is it?"), picture),) for name, picture in pictures.items()},
        "a tool's result": (*called, said(Role.TOOL, ToolResult("call_1", (Text("Snow"),), "look"))),
        "a tool's failure": (*called, said(Role.TOOL, ToolResult("call_1", (Text("No"),), is_error=True))),
        "a tool's empty result": (*called, said(Role.TOOL, ToolResult("call_1", ()))),
        "a tool's picture": (*called, said(Role.TOOL, ToolResult("call_1", (Text("See"), PICTURE)))),
        "a call without arguments": (
            HELLO,
            said(Role.ASSISTANT, ToolCall("call_2", "wait")),
            said(Role.TOOL, ToolResult("call_2", (Text("Done"),))),
        ),
        "thoughts": (HELLO, said(Role.ASSISTANT, *OWN_THOUGHTS[protocol], Text("Hi"), CALL), called[-1]),
    }


def requests(protocol: str) -> dict[str, ChatRequest]:
    """Every wish about a word, every conversation without a wish, and everything at once."""
    said_before = conversations(protocol)
    every = {key: value for wish in wishes().values() for key, value in wish.items()}
    return {
        **{name: ChatRequest("model", (HELLO,), **wish) for name, wish in wishes().items()},
        **{name: ChatRequest("model", messages) for name, messages in said_before.items()},
        "everything": ChatRequest("model", tuple(one for told in said_before.values() for one in told), **every),
    }


def bodies(protocol: str) -> dict[str, dict[str, Any]]:
    """The body of every request, streamed and not, by what it is."""
    written = {}
    for number, quirks in enumerate(QUIRKS.get(protocol, [Quirks()])):
        adapter = PROTOCOLS[protocol](protocol, quirks)
        for name, request in requests(protocol).items():
            for stream in (True, False):
                asked = ChatRequest(**{**as_dict(request), "stream": stream})
                written[f"{name}, stream {stream}, quirks {number}"] = json.loads(adapter.render_chat(asked).body)
    return written


def judged(shape: str, written: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What the SDK finds wrong, by the name of the body."""
    python = python_with("sdks", *SDKS) / "python"
    asked = json.dumps([(shape, body) for body in written.values()])
    done = subprocess.run([python, JUDGE], input=asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name: reason for name, reason in zip(written, json.loads(done.stdout), strict=True) if reason}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_request_is_one_the_providers_sdk_could_have_written(protocol: str) -> None:
    assert judged(protocol, bodies(protocol)) == {}


@pytest.mark.parametrize(
    ("shape", "adapter"), [("openai embeddings", OpenAIEmbeddings), ("ollama embeddings", OllamaEmbeddings)]
)
def test_every_request_for_vectors_is_one_the_sdk_could_have_written(shape: str, adapter: Any) -> None:
    embeddings = adapter("backend", Quirks())
    calls = {size: embeddings.render_embed("model", ["a", "b"], size) for size in (None, 256)}
    assert judged(shape, {str(size): json.loads(call.body) for size, call in calls.items()}) == {}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "change", [{"topp": 1}, {"messages": [{"role": "user", "txt": "a"}], "input": [{"role": "user"}]}], ids=str
)
def test_the_judge_sees_a_key_no_sdk_knows(protocol: str, change: dict[str, Any]) -> None:
    body = {"model": "model", "max_tokens": 10, "messages": [], "stream": True}
    assert judged(protocol, {"broken": body | change})["broken"]
