"""``ask`` with a schema: JSON that fits on stdout and nothing else, one more try, lists as lines, a schema in short."""

from __future__ import annotations

import json
import signal

import pytest
from support.chat_server import ChatServer
from support.loopback import Loopback

MOCK = '[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\nmodel = "tiny"\nmax_retries = 0\n'
NAMED = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'
AGAIN = "That does not fit the JSON Schema"


def script(home, *replies, more=""):
    """Let the mock play these replies, each a text or a table."""
    tables = [reply if isinstance(reply, dict) else {"text": reply} for reply in replies]
    rows = ["\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) for table in tables]
    home.configure(MOCK + more + "".join(f"[[backends.m.replies]]\n{row}\n" for row in rows))


def calls(home):
    return json.loads(home.run("usage", "--json").out)["total"]["calls"]


# ---- one more try ----


def test_an_answer_that_does_not_fit_is_asked_for_once_more_with_what_is_wrong(home):
    def reply(prompt):
        return '{"n": 2}' if AGAIN in prompt else '{"n": "two", "m": []}'

    with ChatServer(reply) as server:
        home.serve(server.url)
        run = home.run("ask", "two?", "--schema", NAMED)
        count = calls(home)
    assert (run.code, run.out) == (0, '{"n": 2}\n')
    assert run.err == "the answer does not fit the schema: /n: expected integer, found string: asking once more\n"
    first, second = (body["messages"] for body in server.bodies)
    assert second[: len(first)] == first
    assert second[len(first)] == {"role": "assistant", "content": '{"n": "two", "m": []}'}
    assert "- /n: expected integer, found string\n" in second[-1]["content"]
    assert server.bodies[0]["response_format"] == server.bodies[1]["response_format"]
    assert count == 2


def test_a_second_answer_that_does_not_fit_is_exit_10_with_nothing_on_stdout(home):
    script(home, "One", '{"n": 1.5}')
    run = home.run("ask", "hi", "--schema", NAMED)
    assert (run.code, run.out) == (10, "")
    assert run.err.splitlines()[:2] == [
        "the answer is not JSON: asking once more",
        "Error: the answer does not fit the schema: /n: expected integer, found number",
    ]
    assert calls(home) == 2


def test_json_has_the_last_answer_the_error_and_the_usage_of_both_calls(home):
    with ChatServer(lambda _: '{"n": null}') as server:
        home.serve(server.url)
        run = home.run("ask", "hi", "--schema", NAMED, "--json")
    found = json.loads(run.out)
    assert (run.code, found["exit_code"], found["error"]["kind"], found["text"]) == (
        10,
        10,
        "incomplete",
        '{"n": null}',
    )
    assert (found["usage"]["input_tokens"], found["usage"]["output_tokens"]) == (20, 10)


def test_json_lines_have_no_text_that_does_not_fit(home):
    script(home, "a", "b", '{"n": 1}')
    kinds = [json.loads(line)["type"] for line in home.run("ask", "hi", "--schema", NAMED, "--jsonl").out.splitlines()]
    assert kinds == ["start", "notice", "start", "usage", "error", "end"]


def test_text_is_held_until_it_fits(home):
    script(home, "no", {"text": '{"n": 1}', "tokens_per_second": 1000})
    lines = [json.loads(line) for line in home.run("ask", "hi", "--schema", NAMED, "--jsonl").out.splitlines()]
    assert [line["text"] for line in lines if line["type"] == "delta"] == ['{"n": ', "1}"]


@pytest.mark.parametrize("reason", ["length", "content_filter", "refusal", "pause"])
def test_an_answer_that_would_end_the_same_again_is_not_asked_for_again(home, reason):
    script(home, {"text": '{"n": ', "finish_reason": reason}, '{"n": 1}')
    run = home.run("ask", "hi", "--schema", NAMED)
    assert (run.code, run.out) == (10, "")
    assert run.err.startswith("Error: the answer is not JSON: the ")
    assert f"finish reason: {reason}" in run.err
    assert ("--max-tokens" in run.err) == (reason == "length")
    assert calls(home) == 1


def test_an_answer_that_fits_is_one_however_it_ended(home):
    script(home, {"text": '{"n": 1}', "finish_reason": "length"})
    run = home.run("ask", "hi", "--schema", NAMED)
    assert (run.code, run.out) == (0, '{"n": 1}\n')
    assert run.err.startswith("Warning: the answer was cut at its token limit")


def test_where_the_budget_is_reached_there_is_no_second_call(home):
    prices = '[models."tiny"]\ninput_price = 1000\noutput_price = 1000\ncontext_window = 1000\nmax_output = 10\n'
    script(home, "no", '{"n": 1}', more=f"[budget]\nlimit = 0.055\n{prices}")
    run = home.run("ask", "hi", "--max-tokens", "10", "--schema", NAMED)
    assert (run.code, run.out) == (10, ""), run
    assert "Error: the answer is not JSON\n" in run.err
    assert "  not asked again: " in run.err


def test_a_second_call_that_fails_is_that_failure(home):
    with ChatServer(lambda prompt: 503 if AGAIN in prompt else "no") as server:
        home.serve(server.url)
        run = home.run("ask", "hi", "--schema", NAMED)
    assert (run.code, run.out) == (7, "")


def test_a_session_goes_on_from_the_json_alone(home):
    def reply(prompt):
        return '```json\n{"n": 2}\n```' if AGAIN in prompt or prompt == "again" else "Two."

    with ChatServer(reply) as server:
        home.serve(server.url)
        home.run("ask", "two?", "--schema", NAMED, "-s", "numbers")
        home.run("ask", "again", "--schema", NAMED, "-s", "numbers")
    assert server.bodies[-1]["messages"] == [
        {"role": "user", "content": "two?"},
        {"role": "assistant", "content": '{"n": 2}'},
        {"role": "user", "content": "again"},
    ]


def test_a_file_keeps_what_it_had_where_nothing_fits(home):
    script(home, "no")
    (home.work / "answer.json").write_text("old")
    run = home.run("ask", "hi", "--schema", NAMED, "-o", "answer.json")
    assert (run.code, run.out) == (10, "")
    assert (home.work / "answer.json").read_text() == "old"


def test_each_line_has_a_second_try_of_its_own(home):
    def reply(prompt):
        return '{"n": 2}' if AGAIN in prompt or prompt == "good" else "no"

    with ChatServer(reply) as server:
        home.serve(server.url)
        run = home.run("ask", "--each", "--schema", NAMED, stdin=b"bad\ngood\n")
    assert (run.code, run.out) == (0, '{"n": 2}\n{"n": 2}\n')
    assert run.err.startswith("line 1: the answer is not JSON: asking once more\n")
    assert len(server.bodies) == 3


# ---- any schema ----


@pytest.mark.parametrize(
    ("schema", "answer", "printed", "key"),
    [
        ('{"type": "array", "items": {"type": "integer"}}', '{"items": [1, 2]}', "[1, 2]", "items"),
        ('{"type": "array", "items": {"type": "integer"}}', "[1, 2]", "[1, 2]", "items"),
        ('{"type": "string"}', '{ "answer" : "é\\n" }', '"é\\n"', "answer"),
        ('{"anyOf": [{"type": "number"}, {"type": "null"}]}', '{"answer": 1.50}', "1.50", "answer"),
        ('{"type": ["object", "null"]}', '{"answer": {"answer": 1}}', '{"answer": 1}', "answer"),
        ("{}", '{"answer": [1e400, 1]}', None, "answer"),
    ],
)
def test_a_schema_of_something_else_is_sent_as_a_property_and_the_answer_taken_out(home, schema, answer, printed, key):
    with ChatServer(lambda _: answer) as server:
        home.serve(server.url)
        run = home.run("ask", "hi", "--schema", schema)
    sent = server.bodies[0]["response_format"]["json_schema"]["schema"]
    assert (sent["type"], list(sent["properties"])) == ("object", [key])
    if printed is not None:
        assert (run.code, run.out) == (0, f"{printed}\n")


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (
            '{"properties": {"a": {"unevaluatedProperties": false}}}',
            "unevaluatedProperties at #/properties/a/unevaluatedProperties cannot be checked",
        ),
        ('{"$dynamicRef": "#a"}', "$dynamicRef at #/$dynamicRef cannot be checked"),
        ('{"$ref": "#"}', "not a JSON Schema: $ref to # leads back to itself"),
        ('{"minimum": NaN}', "not JSON: NaN is not JSON"),
        ('{"minimum": 1e999}', "not a JSON Schema: "),
        ("{" + '"items": {' * 5_000 + "}" * 5_001, "not JSON: "),
        ('{"minLength": 1' + "0" * 5_000 + "}", "not JSON: "),
    ],
)
@pytest.mark.parametrize("flag", ["--schema", "--schema-multi"])
def test_a_schema_that_cannot_be_checked_is_exit_2_and_nothing_is_sent(home, flag, schema, said):
    with Loopback([b""]) as server:
        home.serve(server.url)
        run = home.run("ask", "hi", flag, schema)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith(f"Error: {flag}: {said}"), run.err[:300]
    assert not server.connections
    assert "Traceback" not in run.err


def test_a_dry_run_shows_the_schema_that_would_be_sent(home):
    home.serve("http://127.0.0.1:9")
    run = home.run("ask", "hi", "--dry-run", "--schema", '{"type": "array", "items": {"type": "string"}}')
    form = json.loads(run.out[run.out.index("{\n") if "{\n" in run.out else run.out.index("{") :])["response_format"]
    assert form["json_schema"]["schema"]["required"] == ["items"]
    assert form["json_schema"]["strict"] is True


def test_an_answer_with_a_number_beyond_all_limits_does_not_fit(home):
    script(home, '{"n": 1e999}')
    assert home.run("ask", "hi", "--schema", NAMED).code == 10


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer on this system")
def test_a_pattern_that_takes_for_ever_ends(home):
    script(home, json.dumps("a" * 64 + "!"))
    run = home.run("ask", "hi", "--schema", '{"type": "string", "pattern": "^(a+)+$"}')
    assert (run.code, run.out) == (10, "")
    assert "cannot be checked: it takes longer than" in run.err


# ---- lists and short schemas ----


def test_a_list_is_printed_as_a_line_for_each_item(home):
    items = [{"name": "Ada", "age": 36}, {"name": "Bob\né", "age": 2}]
    with ChatServer(lambda _: json.dumps({"items": items}, indent=2)) as server:
        home.serve(server.url)
        run = home.run("ask", "two people", "--schema-multi", "name, age int: in years")
        whole = json.loads(home.run("ask", "two people", "--schema-multi", "name, age int", "--json").out)
    assert (run.code, [json.loads(line) for line in run.out.splitlines()]) == (0, items)
    assert json.loads(whole["text"]) == items
    item = server.bodies[0]["response_format"]["json_schema"]["schema"]["properties"]["items"]["items"]
    assert (item["required"], item["properties"]["age"]["description"]) == (["name", "age"], "in years")


@pytest.mark.parametrize(("items", "printed"), [([], ""), ([1], "1\n"), ([1, 2], "1\n2\n")])
def test_none_one_and_two_items(home, items, printed):
    script(home, json.dumps({"items": items}))
    run = home.run("ask", "hi", "--schema-multi", '{"type": "integer"}')
    assert (run.code, run.out) == (0, printed)


def test_each_item_must_fit(home):
    script(home, '[{"n": 1}, {"n": "2"}]')
    run = home.run("ask", "hi", "--schema-multi", "n int,")
    assert (run.code, run.out) == (10, "")
    assert "/1/n: expected integer, found string" in run.err


def test_items_of_each_line_follow_one_another(home):
    with ChatServer(lambda prompt: json.dumps([prompt, prompt])) as server:
        home.serve(server.url)
        run = home.run("ask", "--each", "--schema-multi", '{"type": "string"}', stdin=b"a\nb\n")
    assert (run.code, run.out) == (0, '"a"\n"a"\n"b"\n"b"\n')


@pytest.mark.parametrize("other", [("--schema", NAMED), ("-x",)])
def test_one_shape_excludes_another(home, other):
    run = home.run("ask", "hi", "--schema-multi", NAMED, *other)
    assert run.code == 2
    assert "is not allowed with" in run.err


def test_the_help_shows_the_short_form_and_an_example_of_a_list(home):
    shown = " ".join(home.run("ask", "--help").out.split())
    assert "--schema-multi" in shown
    assert "name, age int, tags [str]" in shown
    assert '--schema-multi "name, age int" -f' in shown


def test_a_schema_may_come_from_a_file_and_a_recursive_one_is_sent_whole(home):
    tree = {
        "$ref": "#/definitions/N",
        "definitions": {
            "N": {
                "type": "object",
                "properties": {
                    "v": {"type": "integer"},
                    "kids": {"type": "array", "items": {"$ref": "#/definitions/N"}},
                },
                "required": ["v", "kids"],
            }
        },
    }
    (home.work / "tree.json").write_text(json.dumps(tree))
    with ChatServer(lambda _: '{"v": 1, "kids": [{"v": 2, "kids": []}]}') as server:
        home.serve(server.url)
        run = home.run("ask", "hi", "--schema", "tree.json")
    assert run.code == 0
    form = server.bodies[0]["response_format"]["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["properties"]["kids"]["items"] == {"$ref": "#/$defs/N"}
    assert form["schema"]["$defs"]["N"]["additionalProperties"] is False
