"""A server keeps the prefix of a conversation where that pays: in a chat from the first question, not for one ask."""

from __future__ import annotations

import json
from itertools import pairwise

from support.chat_terminal import PROMPT, ChatTerminal
from support.http_backend import streamed
from support.loopback import Loopback, answer

USAGE = {
    "input_tokens": 5,
    "cache_read_input_tokens": 600,
    "cache_creation_input_tokens": 100,
    "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 70},
    "output_tokens": 7,
}


def event(kind, **fields):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def answered(text):
    return streamed(
        event("message_start", message={"id": "msg_1", "model": "m-1", "usage": USAGE}),
        event("content_block_start", index=0, content_block={"type": "text", "text": text}),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7}),
        event("message_stop"),
    )


def serve(home, url, keys='prompt_cache = "5m"'):
    home.configure(
        f'[llm]\nbackend = "here"\n[backends.here]\nadapter = "anthropic"\nbase_url = "{url}"\nmodel = "m-1"\n'
        f"max_retries = 0\n{keys}\n"
    )


def markers(server):
    return [json.loads(request.body).get("cache_control") for request in server.requests]


def items(body):
    """What a server caches, in its order: system prompt, then the blocks of the messages."""
    blocks = [(turn["role"], block) for turn in body["messages"] for block in turn["content"]]
    return [json.dumps(item) for item in (body.get("system"), *blocks)]


def test_a_chat_marks_its_prefix_from_the_first_question_and_never_changes_it(home):
    with Loopback(answered("One."), answered("Two."), answered("Three.")) as server:
        serve(home, server.url)
        with ChatTerminal(home) as person:
            for times, answer in enumerate(("One.", "Two.", "Three."), 1):
                person.wait_for(PROMPT, times=times)
                person.send_line("and?")
                person.wait_for(answer)
                person.wait_for("705 in", times=times)
    assert markers(server) == [{"type": "ephemeral"}] * 3
    bodies = [items(json.loads(request.body)) for request in server.requests]
    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(bodies))


def test_one_question_pays_for_no_cache_and_its_continuation_does(home):
    with Loopback(answered("One.")) as server:
        serve(home, server.url, 'prompt_cache = "1h"')
        home.run("ask", "first")
        home.run("ask", "--no-save", "second")
        home.run("ask", "-c", "third")
    assert markers(server) == [None, None, {"type": "ephemeral", "ttl": "1h"}]


def test_the_cache_can_be_switched_off(home):
    with Loopback(answered("One.")) as server:
        serve(home, server.url, 'prompt_cache = "off"')
        home.run("ask", "first")
        home.run("ask", "-c", "second")
    assert markers(server) == [None, None]


def test_what_was_read_and_written_is_shown(home):
    with Loopback(answered("One.")) as server:
        serve(home, server.url)
        run = home.run("ask", "--json", "first")
        table = home.run("usage", "--json")
    usage = json.loads(run.out)["usage"]
    assert (usage["input_tokens"], usage["cache_read_tokens"], usage["cache_write_tokens"]) == (705, 600, 100)
    assert '"cache_read_tokens": 600' in table.out


def test_a_setting_that_is_none_of_the_three_is_refused(home):
    serve(home, "http://127.0.0.1:9", 'prompt_cache = "2h"')
    run = home.run("ask", "first")
    assert run.code == 3
    assert "prompt_cache" in run.err


def test_the_questions_of_one_session_have_one_key_from_the_first_on(home):
    done = {"id": "r1", "model": "m-1", "status": "completed", "output": [], "usage": {}}
    whole = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "One."}]}
    with Loopback([answer(json.dumps({**done, "object": "response", "output": [whole]}).encode())]) as server:
        home.configure(
            f'[llm]\nbackend = "here"\n[backends.here]\nadapter = "openai_responses"\nbase_url = "{server.url}/v1"\n'
            'model = "m-1"\ncache_key = "prompt_cache_key"\n'
        )
        runs = [home.run("ask", *words) for words in (["first"], ["-c", "second"], ["other"], ["--no-save", "third"])]
    assert [run.out for run in runs] == ["One.\n"] * 4, runs
    first, second, other, private = [json.loads(request.body).get("prompt_cache_key") for request in server.requests]
    assert first == second != other
    assert first is not None
    assert private is None
