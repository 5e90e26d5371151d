"""What ``ask`` prints: text, one JSON object, JSON lines, a file; and how it judges the end of an answer."""

from __future__ import annotations

import json

import pytest
from support.http_backend import DONE, USAGE, delta, event, streamed
from support.loopback import Loopback, Stall, chunked, head
from support.optional_data import folder_of

MOCK = '[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\nmax_retries = 0\n'
CODE = "Here:\n```python\nprint('hi')\n```\nand\n```\nmore\n```\n"
KEYS = [
    "text",
    "reasoning",
    "tool_calls",
    "citations",
    "images",
    "finish_reason",
    "raw_finish_reason",
    "finish_detail",
    "model",
    "backend",
    "usage",
    "cost",
    "latency_ms",
    "first_token_ms",
    "id",
    "exit_code",
    "error",
]
USAGE_KEYS = [
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "estimated",
]


def scripted(home, **reply):
    """Let the mock answer with this reply."""
    rows = "\n".join(f"{key} = {json.dumps(value)}" for key, value in reply.items())
    home.configure(f"{MOCK}[[backends.m.replies]]\n{rows}\n")


@pytest.mark.parametrize(
    ("text", "printed"),
    [("one", "one\n"), ("one\n", "one\n"), ("one\n\n", "one\n\n"), ("", ""), ("\n", "\n"), ("a\r\n", "a\r\n")],
)
def test_an_answer_ends_with_one_line_end_its_own_or_ours(home, text, printed):
    scripted(home, text=text)
    assert home.run("ask", "hi").bytes == printed.encode()
    assert home.run("ask", "hi", "--no-stream").bytes == printed.encode()


def test_json_is_one_object_with_the_promised_keys_in_their_order(home):
    scripted(home, text="An answer", reasoning="Hm.")
    run = home.run("ask", "hi there", "--json")
    found = json.loads(run.out)
    assert (run.code, run.err, run.out.count("\n")) == (0, "", 1)
    assert list(found) == KEYS
    assert list(found["usage"]) == USAGE_KEYS
    assert found["text"] == "An answer"
    assert found["reasoning"] == "Hm."
    assert (found["model"], found["backend"], found["id"]) == ("mock", "m", "mock-1")
    assert (found["finish_reason"], found["raw_finish_reason"], found["exit_code"]) == ("stop", "stop", 0)
    assert found["usage"]["total_tokens"] == found["usage"]["input_tokens"] + found["usage"]["output_tokens"]
    assert found["error"] is None
    assert found["latency_ms"] >= found["first_token_ms"] >= 0


def test_json_has_tool_calls_with_their_arguments_as_json(home):
    home.configure(
        f'{MOCK}[[backends.m.replies]]\ntool_call = {{ name = "search", arguments = {{ query = "tea", top = 3 }} }}\n'
    )
    found = json.loads(home.run("ask", "hi", "--json").out)
    (call,) = found["tool_calls"]
    assert list(call) == ["id", "name", "arguments"]
    assert (call["name"], call["arguments"]) == ("search", {"query": "tea", "top": 3})
    assert found["finish_reason"] == "tool_calls"


def test_json_has_the_cost_where_the_price_is_known(home):
    usage = event(choices=[], usage={"prompt_tokens": 1_000_000, "completion_tokens": 500_000})
    with Loopback(streamed(delta("Hi"), delta(finish_reason="stop"), usage, DONE)) as server:
        home.serve(server.url, '[models."m-1"]\ninput_price = 3\noutput_price = 15.5\n')
        found = json.loads(home.run("ask", "hi", "--json").out)
    assert found["cost"] == 10.75
    assert found["usage"]["total_tokens"] == 1_500_000


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        (("hi",), "rate_limit", 6),
        ((), "usage", 2),
        (("hi", "-b", "nobody"), "config", 3),
        (("hi", "-f", "no"), "usage", 2),
    ],
)
def test_json_tells_every_failure_as_an_object_too(home, words, kind, code):
    scripted(home, error="rate_limit")
    run = home.run("ask", *words, "--json")
    found = json.loads(run.out)
    assert run.code == found["exit_code"] == code
    assert list(found) == KEYS
    assert found["error"]["kind"] == kind
    assert run.err.startswith(f"Error: {found['error']['message']}\n")


def test_json_lines_are_the_events_each_with_the_version_of_its_shape(home):
    scripted(home, text="two words", reasoning="Hm.")
    lines = [json.loads(line) for line in home.run("ask", "hi", "--jsonl").out.splitlines()]
    assert {line["v"] for line in lines} == {1}
    assert [line["type"] for line in lines] == ["start", "reasoning", "delta", "delta", "usage", "end"]
    assert "".join(line["text"] for line in lines if line["type"] == "delta") == "two words"
    assert lines[0] == {"v": 1, "type": "start", "backend": "m", "model": "mock", "id": "mock-1"}
    assert set(USAGE_KEYS) | {"cost"} == set(lines[-2]) - {"v", "type"}
    assert lines[-1]["exit_code"] == 0


def test_json_lines_end_with_the_error_and_the_exit_code(home):
    scripted(home, text="twelve words", error="interrupted")
    run = home.run("ask", "hi", "--jsonl")
    *_, error, end = (json.loads(line) for line in run.out.splitlines())
    assert (error["type"], error["kind"], end["type"], end["exit_code"]) == ("error", "interrupted", "end", 10)
    assert run.code == 10


def test_json_lines_come_while_the_answer_does(home):
    first = [head(headers={"Transfer-Encoding": "chunked"}), chunked(delta("Good "), end=False), Stall()]
    with Loopback(first) as server:
        home.serve(server.url)
        with home.start("ask", "hi", "--jsonl") as process:
            kinds = [json.loads(process.stdout.readline())["type"] for _ in range(2)]
            process.terminate()
            process.communicate()
    assert kinds == ["start", "delta"]


def test_extract_prints_the_first_code_block_alone(home):
    scripted(home, text=CODE)
    run = home.run("ask", "hi", "-x")
    assert (run.code, run.out, run.err) == (0, "print('hi')\n", "")


def test_extract_without_a_code_block_prints_everything_and_says_so(home):
    scripted(home, text="No code at all")
    run = home.run("ask", "hi", "--extract")
    assert (run.code, run.out) == (0, "No code at all\n")
    assert run.err == "Warning: there is no code block in the answer; this is all of it\n"


SCHEMA = '{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}'


@pytest.mark.parametrize("text", ['{"a": 1}', '```json\n{"a": 1}\n```', '  {"a": 1}\n'])
def test_an_answer_that_fits_the_schema_is_printed_as_json(home, text):
    scripted(home, text=text)
    run = home.run("ask", "hi", "--schema", SCHEMA)
    assert (run.code, run.out, run.err) == (0, '{"a": 1}\n', "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": "one"}', "the answer does not fit the schema: /a: expected integer, found string"),
        ("Sorry, no.", "the answer is not JSON"),
        ("", "the answer is not JSON"),
    ],
)
def test_an_answer_that_does_not_fit_the_schema_exits_10_and_prints_nothing(home, text, problem):
    scripted(home, text=text)
    run = home.run("ask", "hi", "--schema", SCHEMA)
    assert (run.code, run.out) == (10, "")
    assert run.err.startswith(f"{problem}: asking once more\nError: {problem}\n")


@pytest.mark.parametrize(
    "schema", ['{"type": "nonsense"}', '{"type": 5}', '{"pattern": "("}', '{"$ref": "other.json"}']
)
def test_a_schema_that_is_none_is_a_wrong_use_and_asks_nobody(home, schema):
    with Loopback(streamed(USAGE)) as server:
        home.serve(server.url)
        run = home.run("ask", "hi", "--schema", schema)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("Error: --schema: ")
    assert not server.requests


def test_a_schema_makes_arawn_fetch_nothing(home):
    scripted(home, text="{}")
    (home.work / "secret.json").write_text('{"type": "object"}')
    with Loopback([b""]) as sink:
        for address in (f"{sink.url}/schema.json", f"file://{home.work}/secret.json"):
            run = home.run("ask", "hi", "--schema", json.dumps({"$ref": address}))
            assert run.code == 2
            assert run.err.startswith(f"Error: --schema: $ref to {address}: nothing is fetched\n")
    assert not sink.connections


@pytest.mark.parametrize("reason", ["length", "content_filter", "refusal", "pause", "unknown"])
def test_r28_an_unnatural_end_is_told_and_under_strict_exits_10(home, reason):
    scripted(home, text="Not all", finish_reason=reason)
    loose = home.run("ask", "hi", "-q")
    strict = home.run("ask", "hi", "--strict", "--json")
    assert (loose.code, loose.out) == (0, "Not all\n")
    assert loose.err.startswith("Warning: the ")
    assert f"finish reason: {reason}" in loose.err
    found = json.loads(strict.out)
    assert strict.code == found["exit_code"] == 10
    assert (found["text"], found["finish_reason"], found["error"]["kind"]) == ("Not all", reason, "incomplete")


def test_a_file_gets_the_whole_answer_and_stdout_nothing(home):
    scripted(home, text="precious")
    run = home.run("ask", "hi", "-o", "answer.txt")
    assert (run.code, run.out, run.err) == (0, "", "")
    assert (home.work / "answer.txt").read_text() == "precious\n"


def test_an_empty_answer_makes_an_empty_file(home):
    scripted(home, text="")
    (home.work / "answer.txt").write_text("old")
    assert home.run("ask", "hi", "-o", "answer.txt").code == 0
    assert (home.work / "answer.txt").read_text() == ""


@pytest.mark.parametrize(
    ("reply", "words", "code"),
    [
        ({"text": "half of this", "error": "interrupted"}, (), 10),
        ({"text": "Not all", "finish_reason": "length"}, ("--strict",), 10),
    ],
)
def test_a_file_stays_as_it_was_when_the_answer_is_not_whole(home, reply, words, code):
    scripted(home, **reply)
    (home.work / "answer.txt").write_text("old")
    run = home.run("ask", "hi", "-o", "answer.txt", *words)
    assert (run.code, run.out) == (code, "")
    assert (home.work / "answer.txt").read_text() == "old"
    assert (home.work / "answer.txt.partial").read_text().strip() in reply["text"]
    assert run.err.endswith("what had arrived is in answer.txt.partial\n")
    assert sorted(path.name for path in home.work.iterdir()) == ["answer.txt", "answer.txt.partial"]


def test_nothing_is_written_when_nothing_came(home):
    scripted(home, error="server")
    assert home.run("ask", "hi", "-o", "answer.txt").code == 7
    assert list(home.work.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told_before_anybody_is_asked(home):
    (home.work / "folder").mkdir()
    (home.work / "file").touch()
    with Loopback(streamed(USAGE)) as server:
        home.serve(server.url)
        for place in ("folder", "none/answer", "file/answer"):
            run = home.run("ask", "hi", "-o", place)
            assert (run.code, run.out) == (2, ""), place
            assert run.err.startswith(f"Error: cannot write {place}: ")
    assert not server.requests


def test_the_file_may_be_a_device(home):
    scripted(home, text="gone")
    run = home.run("ask", "hi", "-o", "/dev/null")
    assert (run.code, run.out, run.err) == (0, "", "")


def test_quiet_hides_notices_but_no_warning_and_no_error(home):
    scripted(home, text="Not all", finish_reason="length")
    assert home.run("ask", "hi", "--quiet").err.startswith("Warning: ")
    scripted(home, error="server")
    assert home.run("-q", "ask", "hi").err.startswith("Error: ")


@pytest.mark.parametrize("words", [(), ("--no-stream",), ("--json",)])
def test_r2_a_pipe_gets_every_naughty_string_byte_for_byte(home, words):
    strings = json.loads((folder_of("ARAWN_CORPORA") / "blns.json").read_text(encoding="utf-8"))
    assert len(strings) == 515
    text = "\n".join(strings) + "\x1b]52;c;aGk=\x07 \x9b2J \r\b \u202e \U000e0041 [/foo]\n"
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    with Loopback(streamed(*map(delta, pieces), delta(finish_reason="stop"), DONE)) as server:
        home.serve(server.url)
        run = home.run("ask", "hi", *words)
    assert (run.code, run.err) == (0, "")
    assert (json.loads(run.out)["text"] if "--json" in words else run.bytes.decode()) == text


def test_r2_the_guard_can_be_forced_on_for_a_pipe(home):
    scripted(home, text="a\u001b[31mred\u009b2J\tb")
    assert home.run("ask", "hi", "--plain").out == "a␛[31mred<U+009B>2J\tb\n"
    assert home.run("ask", "hi", "--plain", "-o", "f").code == 0
    assert (home.work / "f").read_text() == "a␛[31mred<U+009B>2J\tb\n"
