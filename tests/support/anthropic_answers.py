"""Answers of the Messages API, built from its documentation, and what the adapter reads in them."""

import json

from arawn.adapters.anthropic.messages import AnthropicAdapter
from arawn.adapters.base import Quirks
from arawn.errors import ArawnError
from arawn.events import ResponseBuilder

USAGE = {"input_tokens": 25, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 600, "output_tokens": 1}


def sse(*events):
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def message_start(usage=None):
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "content": []}
    tail = {"stop_reason": None, "usage": USAGE if usage is None else usage}
    return {"type": "message_start", "message": message | tail}


def block(index, kind, *deltas, **fields):
    start = {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}
    moves = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [start, *moves, {"type": "content_block_stop", "index": index}]


def text(index, *texts):
    return block(index, "text", *({"type": "text_delta", "text": piece} for piece in texts), text="")


def json_deltas(*pieces):
    return [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


def end(reason="end_turn", **usage):
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 15, **usage}},
        {"type": "message_stop"},
    ]


HELLO = [message_start(), *text(0, "Good ", "day"), *end()]


def adapter():
    return AnthropicAdapter("mine", Quirks())


def read(data):
    parser = adapter().stream_parser()
    return [*parser.feed(data), *parser.close()]


def answer(*blocks):
    """Return the events of a whole answer, without its first and last."""
    return read(sse(message_start(), *(event for events in blocks for event in events), *end()))[1:-1]


def response(events):
    builder = ResponseBuilder()
    for event in events:
        builder.add(event)
    return builder.response()


def gather(data):
    """Return what came out of a stream, and the error it ended with."""
    events = []
    try:
        for event in adapter().stream_parser().feed(data):
            events.append(event)  # noqa: PERF402 -- what came before the error counts
    except ArawnError as error:
        return events, error
    return events, None
