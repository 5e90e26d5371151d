"""What a line of a batch may say, and what is sent for it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from support.batch_runs import QUESTIONS, batch, content, records, texts, write
from support.chat_server import ChatServer
from support.processes import Home

from arawn.batch.questions import KEYS

SCHEMA = {"type": "object", "properties": {"rain": {"type": "boolean"}}, "required": ["rain"]}
TOOL = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": SCHEMA}}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def sent(home, *lines, words=(), reply=None):
    """The requests that some lines become, in the order of the lines, without what every one has."""
    with ChatServer(reply) if reply else ChatServer() as server:
        home.serve(server.url)
        write(home, lines)
        run = batch(home, "--jobs", "1", *words)
    assert run.code == 0, run
    return [{key: value for key, value in body.items() if not key.startswith("stream")} for body in server.bodies]


def said(body):
    return [(message["role"], message["content"]) for message in body["messages"]]


def test_a_text_is_a_prompt_and_so_is_an_object_with_one(home):
    first, second = sent(home, "Hello", {"prompt": "Hello"})
    assert first == second == {"model": "m-1", "messages": [{"role": "user", "content": "Hello"}]}


def test_an_object_says_how_it_is_asked(home):
    line = {
        "prompt": "Hi",
        "system": "Be brief.",
        "model": "m-2",
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "stop": "END",
        "think": "low",
        "extra": {"user": "u1"},
    }
    [body] = sent(home, line)
    assert said(body) == [("system", "Be brief."), ("user", "Hi")]
    assert {key: body[key] for key in ("model", "max_tokens", "temperature", "top_p", "seed", "user")} == {
        "model": "m-2",
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "user": "u1",
    }
    assert (body["stop"], body["reasoning_effort"]) == (["END"], "low")


def test_the_command_line_fills_what_a_line_leaves_open(home):
    words = ["--system", "Be brief.", "--max-tokens", "5", "--temperature", "1"]
    own = {"prompt": "b", "system": "Be long.", "max_tokens": 50, "temperature": 0}
    first, second = sent(home, "a", own, words=words)
    assert (said(first)[0], first["max_tokens"], first["temperature"]) == (("system", "Be brief."), 5, 1)
    assert (said(second)[0], second["max_tokens"], second["temperature"]) == (("system", "Be long."), 50, 0)


def test_messages_are_a_whole_conversation(home):
    messages = [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "What is this?"}, picture(f"data:image/png;base64,{PNG}")],
        },
        {"role": "assistant", "content": None, "tool_calls": [called("c1", "look", '{"rain": true}')]},
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        {"role": "user", "content": [picture("https://example.com/cat.png")]},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "Sure?"},
    ]
    [body] = sent(home, {"messages": messages, "tools": [TOOL], "tool_choice": "required"}, words=["--system", "No."])
    assert body["messages"] == messages
    assert (body["tools"], body["tool_choice"]) == ([TOOL], "required")


def picture(url):
    return {"type": "image_url", "image_url": {"url": url}}


def called(call, name, arguments):
    return {"id": call, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_the_form_of_openais_batches_is_sent_with_all_it_holds(home):
    body = {
        "model": "m-3",
        "messages": [{"role": "developer", "content": "Add."}, {"role": "user", "content": "2+2?"}],
        "max_completion_tokens": 20,
        "reasoning_effort": "high",
        "stream": True,
        "response_format": {"type": "json_object"},
        "logprobs": True,
    }
    [found] = sent(home, {"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": body})
    assert said(found) == [("system", "Add."), ("user", "2+2?")]
    assert (found["model"], found["max_tokens"], found["reasoning_effort"]) == ("m-3", 20, "high")
    assert (found["response_format"], found["logprobs"]) == ({"type": "json_object"}, True)
    assert [record["id"] for record in records(home)] == ["r-1"]


def test_each_line_may_name_whom_it_asks(home):
    with ChatServer() as server:
        home.serve(server.url, '[backends.m]\nadapter = "mock"\nmode = "echo"\n[aliases]\nother = "m/large"\n')
        write(
            home,
            ["a", {"prompt": "b", "backend": "m"}, {"prompt": "c", "model": "other"}, {"prompt": "d", "model": "x"}],
        )
        assert batch(home).code == 0
    found = [(record["backend"], record["model"]) for record in records(home)]
    assert found == [("here", "m-1"), ("m", "mock"), ("m", "large"), ("here", "x")]


def test_a_line_that_says_whom_it_asks_is_asked_there_whatever_the_command_line_says(home):
    with ChatServer() as server:
        home.serve(server.url, '[backends.m]\nadapter = "mock"\nmode = "echo"\n[aliases]\nother = "m/large"\n')
        lines = [
            "a",
            {"prompt": "b", "model": "other"},
            {"prompt": "c", "model": "here/y"},
            {"prompt": "d", "model": "z"},
        ]
        write(home, [*lines, {"prompt": "e", "backend": "here"}])
        assert batch(home, "-b", "m", "-m", "x").code == 0
    found = [(record["backend"], record["model"]) for record in records(home)]
    assert found == [("m", "x"), ("m", "large"), ("here", "y"), ("m", "z"), ("here", "m-1")]


def test_an_id_comes_back_whatever_it_is(home):
    ids = ["seven", 7, None, {"row": [1, 2]}]
    sent(home, *({"prompt": "hi", "id": given} for given in ids))
    assert [record["id"] for record in records(home)] == ids
    assert {record["answer_id"] for record in records(home)} == {"a1"}


def test_a_column_of_the_users_is_not_sent_and_is_told_once(home):
    with ChatServer() as server:
        home.serve(server.url)
        write(home, [{"prompt": f"q{n}", "expected": "4", "max_token": 1} for n in range(3)])
        run = batch(home)
    assert run.code == 0
    assert all("expected" not in body and "max_token" not in body for body in server.bodies)
    assert run.err.splitlines()[:2] == [
        'Warning: "expected" means nothing to arawn and is not sent',
        'Warning: "max_token" means nothing to arawn and is not sent; did you mean "max_tokens"?',
    ]


@pytest.mark.parametrize("key", ["schema", "response_format"])
def test_an_answer_must_fit_the_schema_of_its_line(home, key):
    wanted = SCHEMA if key == "schema" else {"type": "json_schema", "json_schema": {"name": "w", "schema": SCHEMA}}
    line = {"prompt": '{"rain": true}', "schema": SCHEMA} if key == "schema" else None
    line = line or {"body": {"messages": [{"role": "user", "content": '{"rain": true}'}], key: wanted}}
    wrong = json.loads(json.dumps(line).replace("true", "12"))
    with ChatServer(lambda prompt: prompt if prompt.startswith("{") else '{"rain": 1}') as server:
        home.serve(server.url)
        write(home, [line, wrong])
        run = batch(home)
    assert run.code == 10
    good, bad = records(home)
    assert (good["error"], good["text"]) == (None, '{"rain": true}')
    assert "does not fit the schema" in bad["error"]["message"]
    assert (bad["text"], bad["usage"]["input_tokens"]) == ('{"rain": 1}', 20)  # of two calls
    assert len(server.bodies) == 3
    wanted = {"name": "answer" if key == "schema" else "w", "schema": {**SCHEMA, "additionalProperties": False}}
    assert server.bodies[0]["response_format"]["json_schema"] == {**wanted, "strict": True}


USER = {"role": "user", "content": "hi"}
BAD = [
    (b"{", "the line is not JSON: Expecting property name enclosed in double quotes at column 2"),
    (b"[" * 100_000, "the line is not JSON"),
    (b'"\xff"', "the line is not UTF-8 text"),
    (12, "the line is no question: expected a text or an object"),
    ("  ", "the line asks nothing: its prompt is empty"),
    ({"id": 1}, 'the line asks nothing: expected "prompt" or "messages"'),
    ({"prompt": 1}, '"prompt": expected a text'),
    ({"messages": []}, '"messages": expected a list of messages'),
    ({"prompt": "a", "messages": [USER]}, '"prompt" and "messages" exclude each other'),
    ({"messages": ["a"]}, '"messages": expected objects like {"role": "user", "content": "…"}'),
    ({"messages": [{**USER, "content": [{"type": "audio"}]}]}, '"messages": a part of "content" is of type'),
    ({"messages": [{**USER, "content": [picture("file:///etc/passwd")]}]}, '"image_url": expected https://… or data:'),
    ({"messages": [{**USER, "content": [picture("data:image/png;base64,%")]}]}, '"image_url": its data is not base64'),
    ({"prompt": "a", "max_tokens": 0}, '"max_tokens": expected a whole number, at least 1'),
    ({"prompt": "a", "max_tokens": True}, '"max_tokens": expected a whole number, at least 1'),
    ({"prompt": "a", "temperature": 3}, '"temperature": expected a number from 0 to 2'),
    ({"prompt": "a", "stop": [1]}, '"stop": expected a text or a list of texts'),
    ({"prompt": "a", "think": "hard"}, '"think": expected one of none, minimal, low'),
    ({"prompt": "a", "schema": "file.json"}, '"schema": a JSON Schema is an object'),
    ({"prompt": "a", "schema": {"type": "nothing"}}, '"schema": not a JSON Schema'),
    ({"prompt": "a", "tools": [{}]}, '"tools": expected {"type": "function"'),
    ({"prompt": "a", "system": 1}, '"system": expected a text'),
    ({"prompt": "a", "extra": 1}, '"extra": expected an object'),
    ({"prompt": "a", "backend": "nobody"}, 'no backend "nobody"'),
    ({"body": {"messages": [USER]}, "url": "/v1/embeddings"}, '"url": only /v1/chat/completions can be asked'),
    ({"body": {"input": "hi"}}, 'the line asks nothing: expected "prompt" or "messages"'),
]


def test_a_line_that_is_no_question_has_its_error_in_its_record_and_the_rest_is_asked(home):
    with ChatServer() as server:
        home.serve(server.url)
        write(home, ["first", *(line for line, _ in BAD), "last"])
        run = batch(home)
    assert run.code == 2
    assert sorted(server.prompts) == ["first", "last"]
    first, *bad, last = records(home)
    assert (first["text"], last["text"]) == ("re: first", "re: last")
    for record, (line, message) in zip(bad, BAD, strict=True):
        assert record["error"]["message"].startswith(message), line
        assert record["exit_code"] == (3 if "no backend" in message else 2)


def test_the_exit_code_and_the_message_are_of_the_first_line_that_failed(home):
    with ChatServer(lambda prompt: 429 if prompt == "busy" else prompt) as server:
        home.serve(server.url)
        write(home, ["fine", "busy", b"{", "fine"])
        run = batch(home)
    assert run.code == 6
    assert run.err.startswith('Error: line 2: Rate limit of backend "here" reached')
    assert "2 done, 2 failed" in run.err


def test_lines_end_at_a_line_feed_and_nowhere_else(home):
    odd = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh"
    lines = [json.dumps(odd, ensure_ascii=False).replace("\x0b", "\\u000b").replace("\x0c", "\\f")]
    lines = [
        lines[0].replace("\x1c", "\\u001c").replace("\x1d", "\\u001d").encode(),
        b'"next"\r',
        b"",
        b" \t\r",
        b'"end"',
    ]
    [first, second, third] = sent(home, *lines)
    assert [said(body)[0][1] for body in (first, second, third)] == [odd, "next", "end"]
    assert [record["line"] for record in records(home)] == [1, 2, 5]
    assert texts(home) == [f"re: {odd}", "re: next", "re: end"]
    assert len(content(home).splitlines(keepends=False)) >= content(home).count(b"\n") == 3


def test_a_byte_order_mark_and_a_last_line_without_an_end_do_no_harm(home):
    with ChatServer() as server:
        home.serve(server.url)
        (home.work / QUESTIONS).write_bytes(b'\xef\xbb\xbf"a"\r\n"b"')
        assert batch(home).code == 0
    assert texts(home) == ["re: a", "re: b"]


@pytest.mark.parametrize(
    "line",
    [
        b'"a\\ud83db"',
        b'{"prompt": "a\\uDE42"}',
        b'{"prompt": "a", "system": "\\ude42\\ud83d"}',
        b'{"prompt": "a", "extra": {"user": ["\\ud83d"]}}',
        b'{"prompt": "a", "id": "\\ud83d"}',
    ],
)
def test_a_line_with_half_a_surrogate_pair_is_not_sent_and_the_others_are(home, server, line):
    write(home, [line, b'"\\ud83d\\ude42 \\\\ud83d"'])
    run = batch(home)
    assert (run.code, server.prompts) == (2, ["🙂 \\ud83d"])
    words = "the line holds half of a surrogate pair (\\ud800 to \\udfff), which is no character"
    assert records(home)[0]["error"]["message"] == words
    assert f"line 1: {words}" in run.err


def test_a_huge_line_is_asked_and_one_beyond_all_reason_is_refused_without_being_read(home):
    huge = "x" * (8 << 20)
    with ChatServer(lambda prompt: str(len(prompt))) as server:
        home.serve(server.url)
        write(home, [huge, b'"' + b"y" * (40 << 20) + b'"', "after"])
        run = batch(home)
    assert run.code == 2
    assert [record["text"] for record in records(home)] == [str(8 << 20), "", "5"]
    assert records(home)[1]["error"]["message"] == "the line is longer than 32 MiB"
    assert len(server.bodies) == 2


def test_the_page_names_every_key():
    page = (Path(__file__).parents[2] / "docs" / "batch.md").read_text(encoding="utf-8")
    openai = {"max_completion_tokens", "reasoning_effort", "response_format", "parallel_tool_calls"}
    assert [key for key in KEYS if f"`{key}`" not in page and key not in openai] == []
