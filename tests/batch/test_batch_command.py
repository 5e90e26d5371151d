"""``arawn batch``: who is asked, what is written, how it ends, and what the next run still does."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import time

import pytest
from support.batch_runs import (
    ANSWERS,
    COST,
    PRICED,
    QUESTIONS,
    answers_to,
    batch,
    content,
    numbered,
    records,
    texts,
    write,
)
from support.chat_server import echo, wait_for_all

# ---- what is written ----


def test_there_is_a_record_for_each_line_in_the_order_of_the_lines_though_answers_come_in_any(home, server):
    def dawdle(prompt):
        time.sleep(random.Random(prompt).random() / 50)
        return echo(prompt)

    server.reply = dawdle
    write(home, numbered(150))
    run = batch(home)
    assert (run.code, run.out) == (0, "")
    assert [record["line"] for record in records(home)] == list(range(1, 151))
    assert texts(home) == answers_to(numbered(150))


@pytest.mark.parametrize(("words", "jobs"), [([], 8), (["--jobs", "20"], 20), (["--jobs", "1"], 1)])
def test_so_many_are_asked_at_a_time_as_jobs_says(home, server, words, jobs):
    server.reply = wait_for_all(jobs)
    write(home, numbered(60))
    assert batch(home, *words).code == 0
    assert server.max_concurrent == jobs


def test_a_record_has_all_that_ask_prints(home, server):
    write(home, [{"prompt": "hi", "id": "mine"}])
    batch(home)
    alone = json.loads(home.run("ask", "--json", "hi").out)
    [record] = records(home)
    ours = {"line": 1, "id": "mine", "answer_id": alone["id"]}
    changing = {"latency_ms", "first_token_ms", "input", "settings"}
    assert set(record) == set(alone) | {"line", "input", "settings", "answer_id"}
    assert {key: record[key] for key in record if key not in changing} == {
        **{key: alone[key] for key in alone if key not in changing},
        **ours,
    }


def test_a_failure_names_who_was_asked(home, server):
    server.reply = lambda _: 500
    write(home, ["hi"])
    assert batch(home).code == 7
    [record] = records(home)
    assert (record["backend"], record["model"], record["exit_code"]) == ("here", "m-1", 7)
    assert (record["error"]["kind"], record["error"]["transient"], record["text"]) == ("server", True, "")


def test_the_cost_of_each_answer_is_in_its_record_and_of_all_in_the_summary(home, server):
    home.serve(server.url, PRICED)
    write(home, numbered(4))
    summary = json.loads(batch(home, "--json").out)
    assert [record["cost"] for record in records(home)] == [pytest.approx(COST)] * 4
    assert summary["cost"] == pytest.approx(4 * COST)
    assert (summary["done"], summary["kept"], summary["failed"], summary["exit_code"]) == (4, 0, 0, 0)


def test_an_unknown_cost_is_called_unknown(home, server):
    write(home, ["hi"])
    run = batch(home, "--json")
    assert json.loads(run.out)["cost"] is None
    assert run.err.startswith("1 done, 0 failed, cost unknown, ")


def test_calls_are_in_the_ledger_and_nothing_is_in_the_sessions(home, server):
    write(home, numbered(3))
    batch(home)
    with sqlite3.connect(home.path / "arawn.db") as database:
        assert database.execute("SELECT role, session, outcome FROM calls").fetchall() == [("llm", "", "complete")] * 3
        assert database.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
    database.close()


def test_a_new_file_is_private_and_one_that_is_there_keeps_its_mode(home, server):
    write(home, ["b", "a"])
    batch(home)
    assert os.stat(home.work / ANSWERS).st_mode & 0o777 == 0o600
    os.chmod(home.work / ANSWERS, 0o644)
    write(home, ["c", "a"])
    assert batch(home).code == 0
    assert os.stat(home.work / ANSWERS).st_mode & 0o777 == 0o644


def test_the_answers_may_stand_where_a_link_points(home, server):
    (home.work / "elsewhere").mkdir()
    (home.work / ANSWERS).symlink_to("elsewhere/real.jsonl")
    write(home, numbered(20))
    assert batch(home).code == 0
    assert (home.work / ANSWERS).is_symlink()
    assert texts(home) == answers_to(numbered(20))
    assert [file.name for file in (home.work / "elsewhere").iterdir()] == ["real.jsonl"]


# ---- the next run ----


def test_a_second_run_asks_nothing_and_leaves_the_file_as_it_is(home, server):
    write(home, numbered(20))
    batch(home)
    before, inode = content(home), os.stat(home.work / ANSWERS).st_ino
    run = batch(home)
    assert (run.code, len(server.prompts)) == (0, 20)
    assert (content(home), os.stat(home.work / ANSWERS).st_ino) == (before, inode)
    assert run.err.startswith("20 done (20 of them before), 0 failed, $0.00, ")


def test_lines_that_failed_changed_or_are_new_are_asked_and_no_others(home, server):
    server.reply = lambda prompt: 500 if prompt == "q1" else echo(prompt)
    write(home, numbered(4))
    assert batch(home).code == 7
    server.reply = echo
    server.bodies.clear()
    write(home, ["q0", "q1", "changed", "q3", "new"])
    assert batch(home).code == 0
    assert sorted(server.prompts) == ["changed", "new", "q1"]
    assert texts(home) == answers_to(["q0", "q1", "changed", "q3", "new"])


def test_records_of_lines_that_are_gone_go_too(home, server):
    write(home, numbered(9))
    batch(home)
    write(home, [b"", "q1", "q2"])
    assert batch(home).code == 0
    assert [(record["line"], record["text"]) for record in records(home)] == [(2, "re: q1"), (3, "re: q2")]
    assert len(server.prompts) == 9


@pytest.mark.parametrize(
    "words",
    [["-m", "m-2"], ["--system", "Be brief."], ["--max-tokens", "7"], ["--temperature", "1"], ["--think", "low"]],
    ids=lambda words: words[0],
)
def test_other_settings_ask_anew_and_the_same_ones_do_not(home, server, words):
    write(home, ["a"])
    batch(home)
    for _ in range(2):
        assert batch(home, *words).code == 0
    assert len(server.prompts) == 2


def test_a_system_prompt_of_the_configuration_is_one_of_the_settings(home, server):
    write(home, ["a"])
    batch(home)
    home.configure((home.path / "config.toml").read_text().replace("[llm]\n", '[llm]\nsystem = "Be brief."\n'))
    assert batch(home).code == 0
    assert len(server.prompts) == 2


def test_a_file_put_in_its_place_meanwhile_is_not_what_counts(home, server):
    write(home, numbered(3))

    def replaced(prompt):
        other = home.work / "other"
        other.write_text("something else\n")
        other.replace(home.work / ANSWERS)
        return echo(prompt)

    server.reply = replaced
    assert batch(home, "--jobs", "1").code == 0
    assert texts(home) == answers_to(numbered(3))


# ---- refused ----


@pytest.mark.parametrize(
    "other",
    [
        b"Dear diary\n",
        b'{"line": 1}\n',
        b'{"line": 0, "input": "", "settings": "", "text": ""}\n',
        b"a",
        b'["x"]\n{"line": ',
    ],
)
def test_a_file_that_holds_anything_else_is_refused_untouched(home, server, other):
    write(home, ["a"])
    (home.work / ANSWERS).write_bytes(other)
    run = batch(home)
    assert (run.code, server.prompts) == (2, [])
    assert run.err.startswith(f"Error: {ANSWERS} is no file of a batch: see its line 1\n")
    assert content(home) == other


def test_the_file_of_the_questions_is_no_place_for_the_answers(home, server):
    write(home, ["a"])
    run = home.run("batch", QUESTIONS, "-o", f"./{QUESTIONS}")
    assert (run.code, (home.work / QUESTIONS).read_text()) == (2, '"a"\n')
    assert "holds the questions" in run.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["missing.jsonl", "-o", ANSWERS], "cannot read missing.jsonl: No such file or directory"),
        ([".", "-o", ANSWERS], "cannot read .: it is a folder"),
        ([QUESTIONS, "-o", "no/folder"], "cannot write no/folder: there is no folder"),
        ([QUESTIONS, "-o", "/dev/fd/99"], "cannot write /dev/fd/99: No such file or directory"),
        ([QUESTIONS, "-o", "-", "--json"], "--json is not allowed with -o -"),
        ([QUESTIONS], "-o/--output"),
        ([QUESTIONS, "-o", ANSWERS, "--jobs", "0"], "expected a whole number above 0"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_asked(home, server, words, told):
    write(home, ["a"])
    run = home.run("batch", *words)
    assert (run.code, server.prompts) == (2, [])
    assert told in run.err


def test_no_questions_are_told_and_the_answers_that_are_there_stay(home, server):
    write(home, numbered(3))
    batch(home)
    before = content(home)
    write(home, [b"", b"  "])
    run = batch(home)
    assert (run.code, run.err) == (2, f"Error: nothing to ask: there is no question in {QUESTIONS}\n")
    assert content(home) == before


def test_where_nobody_answers_the_whole_batch_says_so_once(home):
    home.configure("")
    write(home, numbered(50))
    run = batch(home, env={"OLLAMA_HOST": "127.0.0.1:1"})
    assert run.code == 3
    assert run.err.count("Error:") == 1
    assert content(home) == b""


def test_two_runs_do_not_write_the_same_file(home, server):
    held, begun = threading.Event(), threading.Event()

    def wait(prompt):
        begun.set()
        held.wait(20)
        return echo(prompt)

    server.reply = wait
    write(home, numbered(3))
    with home.start("batch", QUESTIONS, "-o", ANSWERS) as first:
        assert begun.wait(20)
        second = batch(home)
        held.set()
        first.communicate(timeout=20)
    assert (second.code, first.returncode) == (2, 0)
    assert second.err.startswith(f"Error: another batch is writing {ANSWERS}\n")
    assert texts(home) == answers_to(numbered(3))
    assert len(server.prompts) == 3
