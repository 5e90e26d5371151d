"""A batch that is killed, loses its power or its disk: whatever is written stays, and nothing is asked for twice."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time

import pytest
from support.batch_runs import ANSWERS, QUESTIONS, batch, content, numbered, records, texts, write
from support.chat_server import echo
from support.optional_data import THOROUGH
from support.processes import ARAWN
from support.waiting import wait_until

KILLS = 20 if THOROUGH else 6
LINES = KILLS * 70


def complete(home):
    """The prompts whose answers stand in the file as whole lines."""
    return [record["text"].removeprefix("re: ") for record in records(home)] if (home.work / ANSWERS).exists() else []


def test_r47_killed_again_and_again_it_loses_no_answer_and_asks_for_none_twice(home, server):
    chance = random.Random(20)

    def dawdle(prompt):
        time.sleep(0.01)
        return echo(prompt)

    server.reply = dawdle
    write(home, numbered(LINES))
    kept = set()
    for _ in range(KILLS):
        server.bodies.clear()
        with home.start("batch", QUESTIONS, "-o", ANSWERS, "-q") as process:
            wanted = chance.randint(1, 80)
            wait_until(lambda wanted=wanted: len(server.bodies) >= wanted)
            process.kill()
        assert process.returncode == -9
        assert kept & set(server.prompts) == set()
        found = complete(home)
        assert len(set(found)) == len(found), "an answer stands there twice"
        assert kept <= set(found)
        kept = set(found)
    assert KILLS * 5 < len(kept) < LINES, "the kills came too early or too late to prove anything"
    server.settle()  # what the last one asked has arrived
    server.bodies.clear()
    assert batch(home).code == 0
    assert sorted(server.prompts) == sorted(set(numbered(LINES)) - kept)
    assert texts(home) == [f"re: {prompt}" for prompt in numbered(LINES)]
    assert [record["line"] for record in records(home)] == list(range(1, LINES + 1))


# ---- what is left of a file ----


@pytest.fixture
def answered(home, server):
    """Three answers; the server has forgotten that it was asked."""
    write(home, numbered(3))
    assert batch(home).code == 0
    server.bodies.clear()
    return content(home)


def left(home, data):
    (home.work / ANSWERS).write_bytes(data)
    run = batch(home)
    assert run.code == 0, run
    return run


@pytest.mark.parametrize("cut", [1, 5, 20, 100, 400])
def test_a_half_written_record_is_removed_and_asked_for_again(home, server, answered, cut):
    left(home, answered[:-cut])
    assert server.prompts == ([] if cut == 1 else ["q2"])
    assert texts(home) == ["re: q0", "re: q1", "re: q2"]


@pytest.mark.parametrize("size", [1, 3, 9, 30])
def test_a_file_that_holds_only_the_beginning_of_a_record_is_begun_anew(home, server, answered, size):
    left(home, answered[:size])
    assert sorted(server.prompts) == numbered(3)
    assert texts(home) == ["re: q0", "re: q1", "re: q2"]


def test_blocks_that_a_power_failure_left_empty_are_asked_for_again(home, server, answered):
    first, second, third = answered.splitlines(keepends=True)
    left(home, first + b"\0" * 300 + second[300:] + third + b"\0" * 50)
    assert server.prompts == ["q1"]
    assert texts(home) == ["re: q0", "re: q1", "re: q2"]
    assert b"\0" not in content(home)


def test_of_several_records_for_a_line_the_last_counts_and_stays(home, server, answered):
    first, *_ = answered.splitlines(keepends=True)
    record = json.loads(first)
    failed = {**record, "error": {"kind": "server"}, "exit_code": 7, "text": ""}
    left(home, b"".join(json.dumps(each).encode() + b"\n" for each in (failed, record)))
    assert sorted(server.prompts) == ["q1", "q2"]
    left(home, b"".join(json.dumps(each).encode() + b"\n" for each in (record, failed)))
    assert texts(home) == ["re: q0", "re: q1", "re: q2"]
    assert sorted(server.prompts) == ["q0", "q1", "q1", "q2", "q2"]


def test_records_in_any_order_and_of_any_line_are_put_in_order(home, server, answered):
    first, second, third = answered.splitlines(keepends=True)
    far = json.dumps({**json.loads(first), "line": 10**18}).encode() + b"\n"
    left(home, third + far + second + first)
    assert server.prompts == []
    assert content(home) == answered


def test_what_a_run_left_that_was_killed_while_it_put_them_in_order_goes(home, server, answered):
    lines = answered.splitlines(keepends=True)
    (home.work / ANSWERS).write_bytes(b"".join(reversed(lines)))
    # the moment between writing the new file and renaming it: stopped there by a folder that takes no new name
    run = batch(home, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (len(lines[0]) + 10, len(answered))))
    assert run.code == 11
    assert content(home) == b"".join(reversed(lines))
    assert "every answer is in it, in the order in which they came" in run.err
    assert batch(home).code == 0
    assert content(home) == answered
    assert sorted(file.name for file in home.work.iterdir()) == [ANSWERS, QUESTIONS]


# ---- a full disk ----


def test_r48_a_full_disk_stops_it_keeps_what_is_there_and_the_next_run_goes_on(home, server):
    write(home, [prompt + " " + "x" * 4000 for prompt in numbered(80)])
    full = 200_000
    run = batch(home, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (full, full)))
    assert run.code == 11
    assert f"Error: cannot write {ANSWERS}: File too large" in run.err
    assert f"the same command again asks what has no answer in {ANSWERS} yet" in run.err
    kept = texts(home)
    assert content(home).endswith(b"\n")
    assert full - 10_000 < len(content(home)) <= full
    assert len(server.prompts) <= len(kept) + 2 * 8 + 1, "it went on asking"
    server.settle()  # what the first one asked has arrived
    server.bodies.clear()
    assert batch(home).code == 0
    assert len(server.prompts) == 80 - len(kept)
    assert [text.split()[1] for text in texts(home)] == numbered(80)


# ---- memory ----


def test_memory_does_not_grow_with_the_questions(home):
    home.configure('[llm]\nbackend = "m"\n[backends.m]\nadapter = "mock"\n')
    line = b'{"prompt": 12, "padding": "' + b"x" * 5000 + b'"}'
    peaks = [peak(home, [line] * count, code=2) for count in (1_000, 15_000)]
    assert peaks[1] - peaks[0] < 25_000, "15,000 lines of 5 kB"


def test_memory_does_not_grow_with_the_answers(home, server):
    server.reply = lambda _: "x" * 1_000_000
    peaks = [peak(home, numbered(count), code=0) for count in (20, 120)]
    assert peaks[1] - peaks[0] < 25_000, "100 answers of 1 MB"


def peak(home, lines, *, code):
    """The most memory of a run over these questions, in KiB."""
    write(home, lines)
    (home.work / ANSWERS).unlink(missing_ok=True)
    script = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True)\n"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    words = [*ARAWN, "batch", QUESTIONS, "-o", ANSWERS, "-q", "--jobs", "4"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, env=home.environ, cwd=home.work)
    ended, size = done.stdout.split()
    assert int(ended) == code
    return int(size)
