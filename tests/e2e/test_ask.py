"""What ``ask`` asks: where the question comes from, which options reach the wire, and who is asked."""

from __future__ import annotations

import json
import os
from base64 import b64encode

import pytest
from support.http_backend import STREAM, WHOLE, streamed
from support.loopback import Loopback, answer
from support.processes import ECHO

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.fixture
def service(home):
    """A service that answers everything with "Good day"; what it was asked is in its requests."""
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, 'api_key = "$env:HERE_KEY"')
        home.environ["HERE_KEY"] = "sk-canary-of-here"
        yield server


def asked(service):
    return json.loads(service.requests[-1].body)


@pytest.mark.parametrize(
    ("words", "stdin", "question"),
    [
        (("two", "words"), None, "two words"),
        (("sum up",), b"a text\n", "sum up\n\na text"),
        (("-",), b"only this\n", "only this"),
        ((), b"only this\n\n", "only this\n"),
        (("hi",), b"", "hi"),
        (("hi",), b" \n\t", "hi"),
        (("--", "-x", "--json"), None, "-x --json"),
        (("one", "--temperature", "1", "two"), None, "one two"),
        (("-",), "\N{ZERO WIDTH NO-BREAK SPACE}é\n".encode(), "é"),
    ],
)
def test_the_question_is_the_words_then_a_blank_line_and_standard_input(home, words, stdin, question):
    home.configure(ECHO)
    run = home.run("ask", *words, stdin=stdin)
    assert (run.code, run.out.removesuffix("\n")) == (0, question.removesuffix("\n"))


@pytest.mark.parametrize("stdin", [None, b"", b"\n"])
def test_no_question_is_a_wrong_use_and_asks_nobody(home, service, stdin):
    for words in (("ask",), ("ask", "-"), ("ask", "  ")):
        run = home.run(*words, stdin=stdin)
        assert (run.code, run.out) == (2, "")
        assert run.err.startswith('Error: nothing to ask\n  arawn ask "your question"\n')
    assert not service.requests


def test_a_closed_standard_input_is_an_empty_one(home):
    home.configure(ECHO)
    run = home.run("ask", "hi", preexec_fn=lambda: os.close(0))
    assert (run.code, run.out, run.err) == (0, "hi\n", "")
    assert home.run("ask", "-", preexec_fn=lambda: os.close(0)).code == 2


def test_text_files_stand_before_the_words_with_their_names(home):
    home.configure(ECHO)
    (home.work / "a.txt").write_text("alpha\n")
    (home.work / "b.md").write_text("# beta\n")
    run = home.run("ask", "compare", "-f", "a.txt", "--file", "b.md", stdin=b"and this\n")
    assert run.out == (
        '<file path="a.txt">\nalpha\n</file>\n\n<file path="b.md">\n# beta\n</file>\n\ncompare\n\nand this\n'
    )


def test_an_image_reaches_the_wire_as_base64_by_what_it_is_and_not_by_its_name(home, service):
    (home.work / "picture.txt").write_bytes(PNG)
    assert home.run("ask", "what is this?", "-f", "picture.txt").code == 0
    image, text = asked(service)["messages"][0]["content"]
    assert image["image_url"]["url"] == f"data:image/png;base64,{b64encode(PNG).decode()}"
    assert text == {"type": "text", "text": "what is this?"}


def test_a_file_alone_is_a_question(home):
    home.configure(ECHO)
    (home.work / "a.txt").write_text("alpha")
    assert "alpha" in home.run("ask", "-f", "a.txt").out


def test_r37_what_is_no_regular_file_of_text_or_picture_is_refused_by_name(home):
    home.configure(ECHO)
    (home.work / "noise").write_bytes(b"\xff\xfe\x00\x01")
    for path in ("/dev/zero", "/proc/self/environ", ".", "noise"):
        run = home.run("ask", "read", "-f", path)
        assert (run.code, run.out) == (2, ""), path
        assert path in run.err.splitlines()[0]
    with (home.work / "huge").open("wb") as huge:
        huge.truncate(5 << 30)
    assert home.run("ask", "read", "-f", "huge").err.startswith("Error: huge is too large: 5,368,709,120 bytes")
    (home.work / "link").symlink_to(home.work / "real")
    (home.work / "real").write_text("through a link")
    assert "through a link" in home.run("ask", "read", "-f", "link").out


def test_binary_standard_input_is_refused_and_not_guessed_at(home):
    home.configure(ECHO)
    run = home.run("ask", "read", stdin=b"\xff\xfe\x00")
    assert run.code == 2
    assert run.err.startswith("Error: standard input is neither UTF-8 text nor a PNG, JPEG, GIF or WebP image\n")


def test_what_options_ask_for_is_what_the_service_is_asked_for(home, service):
    words = ("--system", "Be brief.", "--max-tokens", "77", "--temperature", "0.5", "--think", "low")
    assert home.run("ask", "hi", *words).code == 0
    assert asked(service) == {
        "model": "m-1",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "max_tokens": 77,
        "temperature": 0.5,
        "reasoning_effort": "low",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert service.requests[0].headers["authorization"] == "Bearer sk-canary-of-here"


def test_what_is_not_asked_for_is_not_sent(home, service):
    assert home.run("ask", "hi").code == 0
    assert set(asked(service)) == {"model", "messages", "stream", "stream_options"}


def test_the_role_section_fills_what_the_command_line_leaves_open(home, service):
    text = (home.path / "config.toml").read_text().replace("[llm]\n", '[llm]\nsystem = "Be kind."\nmax_tokens = 5\n')
    home.configure(text)
    home.run("ask", "hi", "--max-tokens", "6")
    assert asked(service)["max_tokens"] == 6
    assert asked(service)["messages"][0] == {"role": "system", "content": "Be kind."}
    home.run("ask", "hi", "--system", "Be brief.")
    assert [message["content"] for message in asked(service)["messages"]] == ["Be brief.", "hi"]
    assert asked(service)["max_tokens"] == 5


def test_no_stream_asks_for_a_whole_answer(home):
    with Loopback([answer(WHOLE)]) as server:
        home.serve(server.url)
        run = home.run("ask", "hi", "--no-stream")
        assert (run.code, run.out, run.err) == (0, "Good day\n", "")
        assert asked(server).get("stream", False) is False


def test_a_schema_goes_with_the_request(home, service):
    (home.work / "schema.json").write_text('{"type": "object", "properties": {"a": {"type": "integer"}}}')
    home.run("ask", "hi", "--schema", "schema.json")
    wanted = asked(service)["response_format"]
    assert wanted["type"] == "json_schema"
    assert "a" in wanted["json_schema"]["schema"]["properties"]


def test_a_dry_run_shows_the_request_and_neither_sends_it_nor_shows_the_key(home, service):
    run = home.run("ask", "hi", "--dry-run", "--schema", '{"type": "object"}')
    assert run.code == 0
    head, _, body = run.out.partition("\n\n")
    assert head.startswith(f"POST {service.url}/v1/chat/completions\n")
    assert "canary" not in run.out + run.err
    assert json.loads(body)["response_format"]["json_schema"]["schema"]["type"] == "object"
    assert not service.connections


def test_a_dry_run_says_what_would_not_be_sent(home):
    run = home.run("ask", "hi", "--dry-run", "-b", "anthropic", "-m", "claude-opus-5-5", "--temperature", "0.5")

    assert run.code == 0
    assert "temperature" not in run.out
    assert run.err == 'temperature not sent to backend "anthropic": this model takes none\n'


def test_global_options_count_before_and_after_the_command(home, service):
    home.configure((home.path / "config.toml").read_text() + '[backends.m]\nadapter = "mock"\nmode = "echo"\n')
    for words in (
        ("-b", "m", "ask", "hi"),
        ("ask", "hi", "-b", "m"),
        ("ask", "-b", "m", "hi"),
        ("--backend=m", "ask", "hi"),
    ):
        assert home.run(*words).out == "hi\n", words
    assert not service.requests


@pytest.mark.parametrize(
    ("name", "backend", "model"),
    [
        ("fast", "here", "m-small"),
        ("big", "m", "giant:70b"),
        ("m-1", "here", "m-1"),
        ("unknown:7b", "here", "unknown:7b"),
        ("org/unknown:7b", "here", "org/unknown:7b"),
        ("m/qwen/qwen3:8b", "m", "qwen/qwen3:8b"),
        ("haiku", "m", "my-haiku"),
    ],
)
def test_the_model_option_takes_aliases_tiers_ids_and_backend_slash_model(home, name, backend, model):
    home.configure(
        '[llm]\nbackend = "here"\n[backends.here]\nadapter = "mock"\nmode = "echo"\nmodel = "m-1"\n'
        '[backends.m]\nadapter = "mock"\nmode = "echo"\n'
        '[tiers]\nfast = "here/m-small"\n[aliases]\nbig = "m/giant:70b"\nhaiku = "m/my-haiku"\n'
    )
    found = json.loads(home.run("ask", "hi", "-m", name, "--json").out)
    assert (found["backend"], found["model"]) == (backend, model)


def test_an_environment_variable_chooses_and_the_command_line_is_stronger(home):
    home.configure(ECHO + '[backends.other]\nadapter = "mock"\nmode = "echo"\n')
    by_variable = json.loads(home.run("ask", "hi", "--json", env={"LLM_BACKEND": "other"}).out)
    by_option = json.loads(home.run("ask", "hi", "--json", "-b", "m", env={"LLM_BACKEND": "other"}).out)
    assert (by_variable["backend"], by_option["backend"]) == ("other", "m")


def test_a_backend_nobody_defined_is_answered_with_the_nearest_name(home):
    run = home.run("-b", "antropic", "ask", "hi")
    assert run.code == 3
    assert run.err.splitlines()[:2] == ['Error: no backend "antropic"', '  did you mean "anthropic"?']


def test_a_file_of_variables_is_read_when_it_is_named(home, service):
    del home.environ["HERE_KEY"]
    (home.work / "keys.env").write_text("HERE_KEY=sk-from-the-file\n")
    assert home.run("ask", "hi").code == 4
    assert home.run("--env-file", "keys.env", "ask", "hi").code == 0
    assert service.requests[0].headers["authorization"] == "Bearer sk-from-the-file"


def test_another_configuration_file_stands_in_for_the_user_s(home):
    home.configure('[llm]\nbackend = "nobody"\n')
    (home.work / "other.toml").write_text(ECHO)
    assert home.run("--config", "other.toml", "ask", "hi").out == "hi\n"
    assert home.run("ask", "hi", env={"ARAWN_CONFIG": str(home.work / "other.toml")}).out == "hi\n"


def test_r36_an_address_given_as_a_file_is_not_fetched(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url)
        run = home.run("ask", "-f", f"{server.url}/secret.png", "what is this?")
    assert run.code == 2
    assert f"{server.url}/secret.png" in run.err
    assert server.requests == []
