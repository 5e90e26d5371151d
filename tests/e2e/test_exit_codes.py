"""The exit codes scripts rely on, one by one, and the first lines that are fixed word for word."""

from __future__ import annotations

import json
import os
import resource
import socket
from contextlib import closing

import pytest
from support.http_backend import DONE, STREAM, delta, streamed
from support.loopback import Loopback, Stall, answer

MOCK = '[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\nmax_retries = 0\n'
KINDS = {
    "authentication": 4,
    "permission": 4,
    "connection": 5,
    "rate_limit": 6,
    "quota": 6,
    "server": 7,
    "overloaded": 7,
    "protocol": 7,
    "request": 8,
    "model": 8,
    "context_length": 8,
    "content_filter": 8,
    "interrupted": 10,
    "timeout": 124,
}


def error_body(message, **fields):
    return json.dumps({"error": {"message": message, **fields}}).encode()


def nobody_listens(port):
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(("kind", "code"), KINDS.items())
def test_every_kind_of_failure_has_its_code_one_line_and_no_answer(home, kind, code):
    home.configure(f'{MOCK}[[backends.m.replies]]\nerror = "{kind}"\n')
    run = home.run("ask", "hi")
    assert run.code == code
    assert run.out == ""
    assert run.err.startswith("Error: ")
    assert "Traceback" not in run.err


def test_an_answer_exits_0_and_says_nothing_else(home):
    home.configure(f'{MOCK}mode = "echo"\n')
    run = home.run("ask", "hi")
    assert (run.code, run.out, run.err) == (0, "hi\n", "")


def test_a_bug_exits_1_with_one_line_and_shows_its_place_only_to_debug(home, tmp_path):
    (tmp_path / "fractions.py").write_text('raise RuntimeError("boom, api_key=sk-canary-1234567890")\n')
    home.configure(f'{MOCK}mode = "echo"\n')
    env = {"PYTHONPATH": str(tmp_path)}
    run = home.run("ask", "hi", "--schema", "{}", env=env)
    assert run.code == 1
    assert run.err.startswith("Error: this is a bug in arawn: RuntimeError: boom")
    assert "Traceback" not in run.err
    shown = home.run("ask", "hi", "--schema", "{}", "--debug", env=env)
    assert shown.code == 1
    assert "Traceback" in shown.err
    assert "canary" not in run.err + shown.err


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (("ask",), "nothing to ask"),
        (("askk", "hi"), 'no command "askk"'),
        (("ask", "hi", "--jsno"), "no option --jsno"),
        (("ask", "hi", "--max-tokens", "0"), "--max-tokens: expected a whole number above 0, got '0'"),
        (("ask", "hi", "--temperature", "3"), "--temperature: expected a number from 0 to 2, got '3'"),
        (("ask", "hi", "-f", "missing.txt"), "cannot read missing.txt: No such file or directory"),
        (("ask", "hi", "-o", "missing/answer"), "cannot write missing/answer: there is no folder"),
        (("ask", "hi", "--schema", "[]"), "cannot read []: No such file or directory"),
        (("ask", "hi", "--schema", "{"), "--schema: not JSON"),
        (("--bogus",), "no option --bogus"),
    ],
)
def test_a_wrong_command_line_exits_2_and_names_what_is_wrong(home, words, first):
    home.configure(f'{MOCK}mode = "echo"\n')
    run = home.run(*words)
    assert run.code == 2
    assert run.out == ""
    assert run.err.startswith(f"Error: {first}")


def test_a_wrong_configuration_exits_3_with_file_line_and_key(home):
    home.configure('[llm]\ntemperature = "hot"\n')
    run = home.run("ask", "hi")
    assert run.code == 3
    assert run.err.startswith(f"Error: {home.path}/config.toml:2: llm.temperature: expected a number")


def test_a_key_reference_that_cannot_be_looked_up_exits_3(home):
    home.configure('[backends.openai]\napi_key = "$file:relative/path"\n')
    run = home.run("-b", "openai", "ask", "hi")
    assert (run.code, run.out) == (3, "")
    assert run.err.startswith("Error: $file:relative/path needs a path that begins with / or ~/")


def test_a_refused_key_is_told_in_the_fixed_words(home):
    refusal = answer(error_body("invalid x-api-key", type="authentication_error"), 401)
    with Loopback([refusal]) as server:
        home.configure(f'[backends.anthropic]\nbase_url = "{server.url}"\n')
        run = home.run("-b", "anthropic", "ask", "hi", env={"ANTHROPIC_API_KEY": "sk-ant-wrong"})
    assert (run.code, run.out) == (4, "")
    assert run.err.splitlines()[0] == 'Error: Authentication failed for backend "anthropic"'
    assert "arawn config show --secrets" in run.err
    assert len(server.requests) == 1


def test_a_missing_key_is_told_in_the_same_words_and_how_to_give_one(home):
    run = home.run("-b", "anthropic", "ask", "hi")
    assert run.code == 4
    first, *hints = run.err.splitlines()
    assert first == 'Error: Authentication failed for backend "anthropic"'
    assert hints[0] == "  no key: $env:ANTHROPIC_API_KEY is not set"
    assert "  or keep it in the keyring: arawn secrets set anthropic" in hints


def test_a_retired_model_is_told_in_the_fixed_words_with_what_to_use_instead(home):
    refusal = answer(error_body("model: claude-3-opus-20240229", type="not_found_error"), 404)
    with Loopback([refusal]) as server:
        home.configure(f'[backends.anthropic]\nbase_url = "{server.url}"\n')
        words = ("-b", "anthropic", "-m", "claude-3-opus-20240229", "ask", "hi")
        run = home.run(*words, env={"ANTHROPIC_API_KEY": "sk-ant-test"})
    assert (run.code, run.out) == (8, "")
    first, hint, *_ = run.err.splitlines()
    assert first == 'Error: Model "claude-3-opus-20240229" not available'
    assert '"claude-3-opus-20240229" was retired on 2026-01-05; use "claude-opus-' in hint


def test_a_misspelt_model_is_answered_with_the_nearest_names(home):
    refusal = answer(error_body("no such model", code="model_not_found"), 404)
    with Loopback([refusal]) as server:
        home.configure(f'[backends.openai]\nbase_url = "{server.url}/v1"\n')
        run = home.run("-b", "openai", "-m", "gpt-5.4-mni", "ask", "hi", env={"OPENAI_API_KEY": "k"})
    assert run.code == 8
    assert run.err.splitlines()[0] == 'Error: Model "gpt-5.4-mni" not available'
    assert "gpt-5.4-mini" in run.err


def test_an_ollama_that_does_not_run_is_told_in_the_fixed_words(home):
    if not nobody_listens(11434):
        pytest.skip("something listens at Ollama's port on this machine")
    run = home.run("-b", "ollama", "--quiet", "ask", "hi")
    assert (run.code, run.out) == (5, "")
    assert run.err.splitlines() == [
        "Error: Cannot connect to Ollama at http://localhost:11434",
        "  Connection refused: nothing listens there. Is it running?",
        "  Tried 4 times.",
    ]


def test_the_fixed_words_have_the_address_that_is_configured(home):
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        port = reserved.getsockname()[1]
    home.configure(f'[backends.ollama]\nbase_url = "http://127.0.0.1:{port}"\n')
    run = home.run("-b", "ollama", "-q", "ask", "hi")
    assert run.code == 5
    assert run.err.splitlines()[0] == f"Error: Cannot connect to Ollama at http://127.0.0.1:{port}"


def test_a_host_nobody_knows_exits_5(home):
    home.serve("http://nowhere.invalid")
    run = home.run("ask", "hi")
    assert run.code == 5
    assert run.err.startswith("Error: Cannot connect to here at http://nowhere.invalid/v1\n")


def test_a_rate_limit_is_waited_for_and_told_while_it_is(home):
    limited = answer(error_body("slow down"), 429, headers={"retry-after-ms": "10"})
    with Loopback([limited], streamed(*STREAM)) as server:
        home.serve(server.url)
        home.configure((home.path / "config.toml").read_text().replace("max_retries = 0", ""))
        run = home.run("ask", "hi")
        quiet = home.run("ask", "hi", "--quiet")
    assert (run.code, run.out) == (0, "Good day\n")
    assert run.err == 'attempt 2 of 4 in 0.0 s: Rate limit of backend "here" reached (HTTP 429): slow down\n'
    assert (quiet.code, quiet.err) == (0, "")


def test_a_rate_limit_that_stays_exits_6_and_says_how_often_it_was_tried(home):
    with Loopback([answer(error_body("slow down"), 429, headers={"retry-after-ms": "10"})]) as server:
        home.serve(server.url)
        home.configure((home.path / "config.toml").read_text().replace("max_retries = 0", "max_retries = 2"))
        run = home.run("ask", "hi", "-q")
    assert run.code == 6
    assert run.err.startswith('Error: Rate limit of backend "here" reached (HTTP 429): slow down\n')
    assert "Tried 3 times." in run.err
    assert len(server.requests) == 3


def test_r29_a_web_page_instead_of_an_answer_exits_7_and_is_shown(home):
    with Loopback([answer(b"<html><title>Log in</title>\x1b]0;x\x07", content_type="text/html")]) as server:
        home.serve(server.url)
        run = home.run("ask", "hi")
    assert run.code == 7
    assert "answered HTTP 200, but not in its protocol (text/html): <html><title>Log in" in run.err
    assert "\x1b" not in run.err
    assert "\x07" not in run.err


def test_r27_a_stream_without_its_end_exits_10_and_keeps_what_came(home):
    with Loopback(streamed(delta("Half a sen"))) as server:
        home.serve(server.url)
        run = home.run("ask", "hi")
        counted = home.run("ask", "hi", "--json")
    assert (run.code, run.out) == (10, "Half a sen\n")
    assert run.err.startswith("Error: ")
    found = json.loads(counted.out)
    assert counted.code == found["exit_code"] == 10
    assert (found["text"], found["error"]["kind"]) == ("Half a sen", "interrupted")


def test_an_answer_that_cannot_be_saved_is_printed_and_exits_11(home):
    home.configure(f'{MOCK}mode = "echo"\n')
    no_files = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))}
    run = home.run("ask", "precious", "-o", "answer.txt", "--no-save", **no_files)
    assert (run.code, run.out) == (11, "precious\n")
    assert "\nError: cannot write answer.txt: File too large" in run.err
    assert not (home.work / "answer.txt").exists()


def test_a_full_disk_behind_stdout_is_no_bug_of_arawn(home):
    home.configure(f'{MOCK}mode = "echo"\n')
    with open("/dev/full", "wb") as full, home.start("ask", "hi", stdout=full) as process:
        told = process.communicate()[1]
    assert process.returncode == 11
    assert told == b"Error: cannot write to standard output: No space left on device\n"


def test_a_closed_stdout_is_an_error_and_never_a_socket_to_write_to(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url)
        with home.start("ask", "hi", preexec_fn=lambda: os.close(1)) as process:
            told = process.communicate()[1]
    assert process.returncode == 11
    assert told == b"Error: cannot write to standard output: Bad file descriptor\n"
    assert server.requests[0].raw.count(b"Good") == 0


@pytest.mark.parametrize("reply", [[Stall()], [*streamed(delta("Well, "))[:1], b"5\r\n: hi\n\r\n", Stall()]])
def test_a_silent_server_exits_124_when_the_time_is_over(home, reply):
    with Loopback(reply) as server:
        home.serve(server.url)
        run = home.run("ask", "hi", "--timeout", "0.5")
    assert (run.code, run.out) == (124, "")
    assert "was not done after 0.5 s (clock: total)" in run.err


def test_the_timeout_holds_for_the_mock_too(home):
    home.configure(f'{MOCK}[[backends.m.replies]]\ntext = "late"\nlatency_ms = 60000\n')
    run = home.run("ask", "hi", "--timeout", "0.2")
    assert (run.code, run.out) == (124, "")
    assert run.err == "Error: m was not done after 0.2 s (clock: total)\n"


def test_an_answer_that_is_too_long_for_its_time_keeps_what_came(home):
    with Loopback(
        [*streamed(delta("Well, "))[:1], b"%x\r\n%s\r\n" % (len(delta("Well, ")), delta("Well, ")), Stall()]
    ) as server:
        home.serve(server.url)
        run = home.run("ask", "hi", "--timeout", "4")
    assert (run.code, run.out) == (124, "Well, \n")


def test_the_exit_codes_stand_in_every_help(home):
    assert "124 timeout" in home.run("--help").out
    assert "124 timeout" in home.run("ask", "--help").out


def test_done_needs_the_terminator_but_not_the_word_done(home):
    with Loopback(streamed(delta("Good "), delta("day"), delta(finish_reason="stop"))) as server:
        home.serve(server.url)
        run = home.run("ask", "hi")
    assert (run.code, run.out) == (0, "Good day\n")
    assert DONE not in b"".join(streamed(delta(finish_reason="stop")))
