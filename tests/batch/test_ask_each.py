"""``arawn ask --each``: a line is a question, and its answer a line, in the same order."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import threading
import time

import pytest
from support.chat_server import echo, wait_for_all
from support.ledger_file import query
from support.processes import ARAWN
from support.waiting import wait_until


def each(home, lines, *words, **options):
    given = lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode()
    return home.run("ask", "--each", *words, stdin=given, **options)


def out_of_order(prompt):
    """The earlier an even number, the longer it takes."""
    number = int(prompt)
    time.sleep(0 if number % 2 else (20 - number) / 100)
    return str(number)


def held_back(word, until):
    """Answer with the prompt; this one only when it is time."""

    def reply(prompt):
        if prompt == word:
            until.wait(20)
        return prompt

    return reply


def test_answers_come_in_the_order_of_the_lines_though_they_are_there_in_another(home, server):
    server.reply = out_of_order
    run = each(home, range(20))
    assert (run.code, run.err) == (0, "")
    assert run.out.split() == [str(n) for n in range(20)]


def test_an_answer_is_printed_when_its_turn_has_come_not_at_the_end(home, server):
    held = threading.Event()
    server.reply = held_back("slow", held)
    with home.start("ask", "--each", stdin=subprocess.PIPE) as process:
        process.stdin.write(b"a\nb\nslow\nc\n")
        process.stdin.close()
        assert [process.stdout.readline() for _ in range(2)] == [b"a\n", b"b\n"]
        held.set()
        assert process.stdout.read() == b"slow\nc\n"
    assert process.returncode == 0


def test_lines_are_asked_while_they_are_still_being_written(home, server):
    with home.start("ask", "--each", "Say", stdin=subprocess.PIPE) as process:
        for word in (b"one", b"two"):
            process.stdin.write(word + b"\n")
            process.stdin.flush()
            found = [process.stdout.readline() for _ in range(3)]
            assert found == [b"re: Say\n", b"\n", word + b"\n"]
        process.stdin.close()
        assert process.wait(20) == 0


def test_the_words_and_files_stand_before_each_line_as_they_do_for_ask_alone(home, server):
    (home.work / "notes.txt").write_text("Notes.")
    words = ["Translate", "to French:", "-f", "notes.txt", "--system", "Be brief.", "--max-tokens", "9"]
    alone = home.run("ask", "--no-save", *words, stdin=b"cat\n")
    run = each(home, ["cat", "dog"], *words, "--jobs", "1")
    assert (alone.code, run.code) == (0, 0)
    first, second, third = server.bodies
    assert first == second
    assert second["messages"][-1]["content"].endswith("Translate to French:\n\ncat")
    assert third == json.loads(json.dumps(second).replace("\\n\\ncat", "\\n\\ndog"))


@pytest.mark.parametrize(("words", "jobs"), [([], 4), (["--jobs", "7"], 7)])
def test_so_many_are_asked_at_a_time_as_jobs_says(home, server, words, jobs):
    server.reply = wait_for_all(jobs)
    assert each(home, range(40), *words).code == 0
    assert server.max_concurrent == jobs


@pytest.mark.parametrize("text", ["a", "a\n", "a\n\n\n", ""])
def test_each_answer_ends_with_exactly_one_line_end(home, server, text):
    server.reply = lambda _: text
    assert each(home, "xy", "--jobs", "1").out == "a\na\n" if text else "\n\n"


def test_lines_end_at_a_line_feed_and_blank_ones_are_passed_over(home, server):
    run = each(home, "\ufeffa\u2028b\r\n\n  \nc\x0bd".encode())
    assert sorted(server.prompts) == ["a\u2028b", "c\x0bd"]
    assert run.out == "re: a\u2028b\nre: c\x0bd\n"


def test_a_failure_is_told_with_its_line_and_the_rest_goes_on(home, server):
    server.reply = lambda prompt: {"bad": 500, "worse": 429}.get(prompt, prompt)
    run = each(home, b"a\nbad\n\xff\n\nworse\nb\n")
    assert (run.code, run.out) == (7, "a\nb\n")
    assert 'Error: line 2: Backend "here" failed (HTTP 500)' in run.err
    assert "Error: line 3: the line is not UTF-8 text" in run.err
    assert 'Error: line 5: Rate limit of backend "here" reached' in run.err


@pytest.mark.parametrize("shape", ["--json", "--jsonl"])
def test_json_is_an_object_a_line_failures_too(home, server, shape):
    server.reply = lambda prompt: 500 if prompt == "bad" else prompt
    run = each(home, ["a", "bad", "b"], shape)
    assert run.code == 7
    found = [json.loads(line) for line in run.out.splitlines()]
    assert [(one["line"], one["text"], one["exit_code"]) for one in found] == [(1, "a", 0), (2, "", 7), (3, "b", 0)]
    alone = json.loads(home.run("ask", "--json", "a").out)
    assert set(found[0]) == {*alone, "line"}


def test_every_answer_must_fit_the_schema(home, server):
    server.reply = lambda prompt: f"```json\n{prompt if len(prompt) < 9 else 'true'}\n```"
    run = each(home, ["1", "true", "2"], "--schema", '{"type": "integer"}')
    assert (run.code, run.out) == (10, "1\n2\n")
    assert "Error: line 2: the answer does not fit the schema" in run.err


def test_an_answer_that_was_cut_is_told_with_its_line_and_fails_under_strict(home):
    home.configure(
        '[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\n[[backends.m.replies]]\ntext = "hm"\n'
        'finish_reason = "length"\n'
    )
    run = each(home, ["a", "b"])
    assert (run.code, run.out) == (0, "hm\nhm\n")
    assert "Warning: line 2: the answer was cut at its token limit" in run.err
    strict = each(home, ["a"], "--strict")
    assert strict.code == 10
    assert "Error: line 1: the answer was cut at its token limit" in strict.err


def test_a_budget_that_is_reached_stops_it(home, server):
    home.serve(server.url, '[models."m-1"]\ninput_price = 100.0\noutput_price = 100.0\n[budget]\nlimit = 0.004\n')
    run = each(home, range(50), "--jobs", "1", "--max-tokens", "5")
    asked = len(server.prompts)
    assert run.code == 9
    assert 0 < asked < 50
    assert run.out.split("re: ")[1:] == [f"{n}\n" for n in range(asked)]
    assert run.err.count("Error:") == 1
    assert f"Error: line {asked + 1}: " in run.err


def test_answers_that_are_early_wait_in_a_room_that_has_an_end(home, server):
    held = threading.Event()
    server.reply = held_back("0", held)
    with home.start("ask", "--each", "--jobs", "2", stdin=subprocess.PIPE) as process:
        process.stdin.write("".join(f"{n}\n" for n in range(500)).encode())
        process.stdin.close()
        wait_until(lambda: len(server.prompts) >= 2 * 32)
        time.sleep(0.3)
        assert len(server.prompts) == 2 * 32
        held.set()
        assert process.stdout.read().split() == [str(n).encode() for n in range(500)]


def test_nothing_of_it_is_in_the_sessions(home, server):
    assert each(home, ["a"]).code == 0
    assert json.loads(home.run("sessions", "list", "--json").out) == []


@pytest.mark.parametrize("given", [b"", b"\n \n"])
def test_no_lines_are_no_questions(home, server, given):
    run = each(home, given, "Translate:")
    assert (run.code, run.out, server.prompts) == (2, "", [])
    assert run.err.startswith("Error: nothing to ask: standard input is empty\n")


@pytest.mark.parametrize(
    "words",
    [["-c"], ["-s", "trip"], ["-o", "out"], ["-x"], ["--no-stream"], ["--dry-run"], ["--usage"]],
    ids=lambda words: words[0],
)
def test_what_makes_no_sense_together_is_told(home, server, words):
    run = each(home, ["a"], *words)
    assert (run.code, server.prompts) == (2, [])
    assert run.err.startswith(f"Error: --each does not go together with {words[0]}")
    assert not (home.work / "out").exists()


def test_jobs_without_each_is_told(home, server):
    run = home.run("ask", "--jobs", "3", "hi")
    assert (run.code, server.prompts) == (2, [])
    assert "--each" in run.err


def test_r51_a_signal_prints_what_is_there_and_ends_it_by_itself(home, server):
    held = threading.Event()
    server.reply = held_back("slow", held)
    with home.start("ask", "--each", "--jobs", "2", stdin=subprocess.PIPE) as process:
        process.stdin.write(b"a\nslow\nb\nc\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"a\n"
        wait_until(lambda: query(home.path, "SELECT count(*) FROM calls WHERE outcome = 'complete'") == [(3,)])
        time.sleep(0.3)  # from the ledger to the answers that wait for their turn
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=20)
    held.set()
    assert (process.returncode, out, told) == (-signal.SIGINT, b"b\nc\n", b"")


def test_a_reader_that_leaves_ends_it_silently_by_sigpipe(home, server):
    words = shlex.join([*ARAWN, "ask", "--each"])
    script = f"seq 2000 | {words} 2> told | head -n 1; echo ${{PIPESTATUS[1]}}; cat told"
    done = subprocess.run(["bash", "-c", script], capture_output=True, cwd=home.work, env=home.environ, timeout=60)
    assert done.stdout.decode().splitlines() == [echo("1"), "141"]
    assert len(server.prompts) < 2000
