"""A stand-in for the package ``mlx_lm`` (the real one installs only on Apple Silicon), and calls of the backend.

It follows the documented API (github.com/ml-explore/mlx-lm): ``load(name)`` returns a model and a tokenizer,
``stream_generate(model, tokenizer, prompt, max_tokens, sampler=…)`` yields responses with text, token counts and a
finish reason in the last one, ``sample_utils.make_sampler(temp, top_p)``; a tokenizer has ``apply_chat_template``,
``encode`` and, where its model thinks or calls tools, the marks of both. It records its calls and their threads.
"""

from __future__ import annotations

from arawn.backends.mlx import MlxBackend
from arawn.engine.blocking import iterate, run
from arawn.events import collect
from arawn.messages import ChatRequest, LLMMessage, Tool

PACKAGE = '''
    """Stand-in for mlx-lm."""
    import json, threading
    from dataclasses import dataclass

    pieces, finish_reason, prompt_end, calls, threads = ["Hello", ", ", "world"], "stop", "", [], set()
    failure, load_failure, template_failure = None, None, None
    gate, entered, closed = None, threading.Event(), threading.Event()

    @dataclass
    class GenerationResponse:
        text: str
        prompt_tokens: int
        generation_tokens: int
        finish_reason: str | None = None

    class Tokenizer:
        def __init__(self, **marks):
            vars(self).update(marks)

        def apply_chat_template(self, messages, tokenize=True, add_generation_prompt=False, **options):
            note("apply_chat_template", messages=messages, options=options)
            if template_failure:
                raise ValueError(template_failure)
            assert not tokenize and add_generation_prompt
            return "<|user|>" + messages[-1]["content"] + "<|assistant|>" + prompt_end

        def encode(self, text, add_special_tokens=True):
            assert not add_special_tokens
            return list(text.encode())

    thinking = {"think_start": "<think>", "think_end": "</think>"}
    calling = {
        "tool_call_start": "<tool_call>",
        "tool_call_end": "</tool_call>",
        "tool_parser": lambda text, tools=None: json.loads(text),
    }
    tokenizer = Tokenizer()

    def note(what, **values):
        threads.add(threading.current_thread())
        calls.append((what, values))

    def load(path_or_hf_repo):
        note("load", name=path_or_hf_repo)
        if load_failure:
            raise load_failure
        return "weights", tokenizer

    def stream_generate(model, tokenizer, prompt, max_tokens=256, **options):
        note("stream_generate", prompt=bytes(prompt).decode(), max_tokens=max_tokens, options=options)
        try:
            for count, text in enumerate(pieces, 1):
                entered.set()
                assert gate is None or gate.wait(20), "the event loop stood still"
                note("step")
                yield GenerationResponse(text, len(prompt), count, finish_reason if count == len(pieces) else None)
            if failure:
                raise RuntimeError(failure)
        finally:
            note("close")
            closed.set()
'''
SAMPLING = """
    def make_sampler(temp=0.0, top_p=0.0):
        return ("sampler", temp, top_p)
"""
WEATHER = Tool("weather", "Tell the weather", {"type": "object", "properties": {"city": {"type": "string"}}})


def request(text="Say hello", **wishes):
    return ChatRequest("mlx-community/tiny", (LLMMessage("user", text),), **wishes)


def events_of(asked):
    return list(iterate(MlxBackend("local").stream(asked)))


def answer_to(asked):
    return run(collect(MlxBackend("local").stream(asked)))


def called(mlx_lm, what):
    return [values for name, values in mlx_lm.calls if name == what]
