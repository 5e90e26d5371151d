from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.conversations import store_in

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name != "posix", reason="kill -9 and modes are POSIX")]

SUPPORT = Path(__file__).parents[1] / "support"
ANSWER = "word " * 8
KILLS = 20


def start(folder, turns, *more):
    path = os.pathsep.join([str(SUPPORT.parent), str(SUPPORT.parents[1])])
    return subprocess.Popen(
        [sys.executable, str(SUPPORT / "recorded_process.py"), str(folder), str(turns), *map(str, more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    )


def ended(process):
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


def turns_of(store):
    """Every kept turn: its question with its answer and how that ended."""
    found = {}
    for info in store.recent():
        entries = store.load(info.id).entries
        for question in (entry for entry in entries if entry.position == 0):
            answer = next((entry for entry in entries if (entry.turn, entry.position) == (question.turn, 1)), None)
            found[f"{info.id}:{question.turn}"] = answer and (answer.message.text, answer.status)
    return found


def check_sound(store):
    assert store._database.rows("PRAGMA integrity_check") == [("ok",)]
    assert store._database.rows("PRAGMA foreign_key_check") == []


def test_r47_kill_9_loses_no_turn_that_was_saved_and_no_question_that_was_asked(tmp_path):
    saved, asked, chance = set(), 0, random.Random(47)
    for _ in range(KILLS):
        process = start(tmp_path, 100_000)
        for _ in range(chance.randrange(1, 60)):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        code, out, _ = ended(process)
        assert code == -signal.SIGKILL
        lines = [line.split() for line in out.splitlines() if line.endswith(tuple("0123456789"))]
        saved |= {words[1] for words in lines if words[0] == "saved"}
        asked += sum(words[0] == "asked" for words in lines)

    store = store_in(tmp_path)
    check_sound(store)
    found = turns_of(store)
    assert {turn for turn in saved if found.get(turn) != (ANSWER, "complete")} == set()
    assert len(found) >= asked
    for answer in found.values():
        text, status = answer or ("", "partial")
        assert (status == "complete" and text == ANSWER) or (status == "partial" and ANSWER.startswith(text))
    store._database.close()


def test_r46_sixty_four_first_processes_all_succeed_and_so_do_sixty_four_more(tmp_path):
    store = store_in(tmp_path / "fresh" / "home")
    for batch in (1, 2):
        processes = [start(tmp_path / "fresh" / "home", 1) for _ in range(64)]
        ends = [ended(process) for process in processes]

        assert [end for end in ends if end[0] != 0 or "saved" not in end[1]] == []
        assert list(turns_of(store).values()) == [(ANSWER, "complete")] * 64 * batch
    check_sound(store)
    store._database.close()


def test_r15_many_processes_leave_only_private_files(tmp_path):
    folder = tmp_path / "home"
    for process in [start(folder, 3) for _ in range(4)]:
        assert ended(process)[0] == 0

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "arawn.db": 0o600,
        ".arawn.db.lock": 0o600,
    }


def check_a_full_disk(process, folder):
    code, out, err = ended(process)

    lines = [line.split(maxsplit=3) for line in out.splitlines()]
    saved = [words[1] for words in lines if words[0] == "saved"]
    lost = [words for words in lines if words[0] == "lost"]
    assert (code, err) == (11, "")
    assert saved
    assert lost
    assert {(answered, "not saved: cannot " in error) for _, _, answered, error in lost} == {("True", True)}
    store = store_in(folder)
    check_sound(store)
    found = turns_of(store)
    assert [turn for turn in saved if found[turn] != (ANSWER, "complete")] == []
    store._database.close()


def test_r48_a_file_that_can_grow_no_more_loses_no_answer(tmp_path):
    check_a_full_disk(start(tmp_path, 300, 1_000_000), tmp_path)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk takes root on Linux")
def test_r48_a_full_disk_loses_no_answer(tmp_path):
    mounting = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True)
    if mounting.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {mounting.stderr.decode()}")
    try:
        check_a_full_disk(start(tmp_path, 300), tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
