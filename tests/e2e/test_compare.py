"""``arawn compare``: the same question to several backends at once, each answer or error in its place."""

from __future__ import annotations

import json
import re
import signal

import pexpect
import pytest
from support.http_backend import STREAM, delta, streamed
from support.loopback import CHUNKED, Loopback, Stall, chunked, head
from support.processes import ARAWN

CONFIG = """
[llm]
backend = "m"
[backends.m]
adapter = "mock"
mode = "echo"
[backends.tea]
adapter = "mock"
[[backends.tea.replies]]
text = "Tea is a drink of leaves, and this sentence is too long for one line of a column. 日本語 too.\\n\\tTab."
reasoning = "Hm."
[backends.broke]
adapter = "mock"
[[backends.broke.replies]]
error = "quota"
[backends.down]
adapter = "mock"
[[backends.down.replies]]
error = "connection"
[backends.hostile]
adapter = "mock"
[[backends.hostile.replies]]
text = "\\u001b]0;owned\\u0007\\u001b[2Jred"
[aliases]
fast = "tea/leaf-1"
[models."leaf-1"]
input_price = 1.0
output_price = 2.0
"""
CELLS = re.compile(r" {2,}")


@pytest.fixture
def home(home):
    home.configure(CONFIG)
    return home


def compared(home, *words, code=0):
    run = home.run("compare", *words, "--json")
    assert run.code == code, run
    return json.loads(run.out)


def names(found):
    return [f"{one['backend']}/{one['model']}" for one in found]


def test_the_answers_come_in_the_order_in_which_they_were_asked_for_with_their_numbers(home):
    run = home.run("compare", "Hello", "-b", "m", "-b", "fast")
    assert (run.code, run.err) == (0, "")
    first, second = run.out.index("== m/mock\nHello\n"), run.out.index("== tea/leaf-1\nTea is a drink")
    assert first < second
    head, *rows = [CELLS.split(line.strip()) for line in run.out.splitlines()[-3:]]
    assert head == ["first token", "tokens/s", "tokens in", "out", "cost"]
    assert [row[0] for row in rows] == ["m/mock", "tea/leaf-1"]
    assert rows[0][-1] == "$0.000000"
    assert re.fullmatch(r"\$0\.0000\d\d", rows[1][-1])
    assert all(re.fullmatch(r"[\d,]+ ms", row[1]) for row in rows)


def test_json_has_for_each_what_ask_prints(home):
    [echo, tea] = compared(home, "Hello", "-b", "m", "-b", "fast")
    alone = json.loads(home.run("ask", "Hello", "--json").out)
    assert set(echo) == {*alone, "tokens_per_second"}
    assert (echo["text"], echo["exit_code"], echo["error"]) == ("Hello", 0, None)
    assert (tea["reasoning"], tea["cost"]) == ("Hm.", pytest.approx(tea["usage"]["output_tokens"] * 2e-6, abs=1e-5))


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["-b", "m", "-b", "tea/green"], ["m/mock", "tea/green"]),
        (["-b", "m", "-b", "fast", "-m", "x"], ["m/x", "tea/leaf-1"]),
        (["-b", "m", "-m", "x", "-m", "y"], ["m/x", "m/y"]),
        (["-m", "fast", "-m", "m/z"], ["tea/leaf-1", "m/z"]),
        (["-b", "m", "-b", "m"], ["m/mock", "m/mock"]),
    ],
    ids=" ".join,
)
def test_who_is_asked(home, words, asked):
    assert names(compared(home, "hi", *words)) == asked


def test_the_backends_may_be_named_before_the_command_too(home):
    run = home.run("-b", "m", "-b", "tea", "compare", "hi", "--json")
    assert names(json.loads(run.out)) == ["m/mock", "tea/mock"]


@pytest.mark.parametrize("words", [[], ["-b", "m"], ["-m", "x"], ["-b", "m", "-m", "x"]], ids=" ".join)
def test_one_alone_is_nothing_to_compare(home, words):
    run = home.run("compare", "hi", *words)
    assert (run.code, run.out) == (2, "")
    assert "at least two" in run.err


def test_a_failure_stands_in_its_place_and_stops_nobody(home):
    run = home.run("compare", "hi", "-b", "broke", "-b", "m", "-b", "down")
    assert run.code == 6
    assert '== broke/mock\nError: No quota left at backend "broke"' in run.out
    assert "== m/mock\nhi\n" in run.out
    assert "== down/mock\nError: Cannot connect" in run.out
    assert [line.split()[-1] for line in run.out.splitlines()[-3:]] == ["quota", "$0.000000", "connection"]


def test_the_exit_code_is_that_of_the_first_failure(home):
    assert [one["exit_code"] for one in compared(home, "hi", "-b", "m", "-b", "down", "-b", "broke", code=5)] == [
        0,
        5,
        6,
    ]


def test_a_backend_that_is_not_defined_is_a_failure_like_others(home):
    [echo, unknown] = compared(home, "hi", "-b", "m", "-b", "tee", code=3)
    assert echo["text"] == "hi"
    assert unknown["backend"] == "tee"
    assert unknown["error"]["message"] == 'no backend "tee"'
    assert unknown["error"]["hints"][0] == 'did you mean "tea"?'


def test_all_are_asked_at_the_same_time(home):
    with Loopback([Stall()]) as server:
        home.serve(server.url)
        with home.start("compare", "hi", "-m", "here/a", "-m", "here/b", "-m", "here/c") as process:
            while len(server.requests) < 3:
                assert process.poll() is None
            process.kill()
    assert {json.loads(request.body)["model"] for request in server.requests} == {"a", "b", "c"}


def test_the_prompt_comes_as_for_ask_and_nothing_is_kept(home):
    (home.work / "a.txt").write_text("from a file")
    run = home.run("compare", "words", "-f", "a.txt", "-b", "m", "-b", "m", "--json", stdin=b"and a pipe")
    [text, again] = [one["text"] for one in json.loads(run.out)]
    assert text == again
    assert all(part in text for part in ("words", "from a file", "and a pipe"))
    assert not home.holds("a pipe")


def test_every_one_gets_the_system_prompt_and_the_limits(home):
    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url)
        words = ["--system", "Be brief.", "--max-tokens", "7", "--temperature", "0.5"]
        assert home.run("compare", "hi", "-m", "here/a", "-m", "here/b", *words).code == 0
    bodies = [json.loads(request.body) for request in server.requests]
    assert {body["model"] for body in bodies} == {"a", "b"}
    for body in bodies:
        assert [message["role"] for message in body["messages"]] == ["system", "user"]
        assert (body["max_tokens"], body["temperature"]) == (7, 0.5)


# ---- stopped ----


STUCK = [head(headers=CHUNKED), chunked(delta("Half a sen"), end=False), Stall()]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("shape", [[], ["--json"]], ids=["text", "json"])
def test_r51_a_signal_stops_all_and_prints_what_came(home, signum, shape):
    with Loopback(STUCK) as server:
        home.serve(server.url, CONFIG.replace('[llm]\nbackend = "m"\n', ""))
        with home.start("compare", "hi", "-b", "m", "-b", "here", *shape) as process:
            while not server.requests:
                assert process.poll() is None
            process.send_signal(signum)
            out, told = process.communicate(timeout=20)
    assert (process.returncode, told) == (-signum, b"")
    assert b"hi" in out
    assert b"stopped by a signal" in out


# ---- on a terminal ----


def on_terminal(home, *words, columns):
    process = pexpect.spawn(
        ARAWN[0],
        [*ARAWN[1:], "compare", *words],
        env={**home.environ, "TERM": "xterm-256color", "NO_COLOR": "1"},
        cwd=str(home.work),
        dimensions=(40, columns),
        encoding="utf-8",
        timeout=30,
    )
    process.expect(pexpect.EOF)
    process.close()
    return process.exitstatus, process.before


def test_on_a_wide_terminal_the_answers_stand_side_by_side(home):
    code, seen = on_terminal(home, "Hello", "-b", "m", "-b", "tea", columns=100)
    assert code == 0
    plain = re.sub(r"\x1b\[[?\d;]*[a-zA-Z]|\r", "", seen)
    shown = [line for line in plain.split("\n") if line.strip()]
    [at] = [at for at, line in enumerate(shown) if "───" in line]
    assert CELLS.split(shown[at - 1].strip())[-2:] == ["m/mock", "tea/mock"]
    assert re.fullmatch(r"Hello {46}Tea is a drink of leaves, and this sentence is", shown[at + 1].strip())
    assert any("日本語" in line for line in shown[at:])


def test_on_a_narrow_terminal_they_stand_one_below_the_other(home):
    code, seen = on_terminal(home, "Hello", "-b", "m", "-b", "broke", columns=60)
    assert code == 6
    assert "== m/mock\r\nHello\r\n" in seen
    assert "== broke/mock\r\nError: No quota left" in seen
    assert "───" not in seen


@pytest.mark.parametrize("columns", [60, 200])
def test_r5_a_hostile_answer_is_shown_not_obeyed(home, columns):
    code, seen = on_terminal(home, "hi", "-b", "hostile", "-b", "m", columns=columns)
    assert code == 0
    assert "owned" in seen
    assert "\x1b]0;" not in seen
    assert "\x1b[2Jred" not in seen
    assert "\x07" not in seen


def test_nobody_answers_in_anothers_place(home):
    config = home.path / "config.toml"
    home.configure(config.read_text().replace("[llm]\n", '[llm]\nfallback = ["m"]\n', 1))
    run = home.run("compare", "hi", "-b", "down", "-b", "m")
    assert run.code == 5
    assert "== down/mock\nError: Cannot connect" in run.out
    assert home.run("ask", "hi", "-b", "down").out == "hi\n"
