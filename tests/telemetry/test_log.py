"""The log for programs: what a line is, who may read it, and what happens where it cannot be written."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from decimal import Decimal
from urllib.parse import quote

import pytest

from arawn.secrets.references import Secret
from arawn.telemetry.log import EventLog, log_path

KEY = "cAnary/+7f3aK9zQ=secret"
posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and pipes are POSIX")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "logs" / "arawn.log"


def lines(file):
    return [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]


def test_a_line_is_an_object_with_the_time_first_then_the_event(file):
    EventLog(str(file), now=lambda: 1_795_262_400.0429).write(
        "cost_tracked", backend="b", tokens=7, cost=Decimal("0.1")
    )
    assert file.read_text() == (
        '{"time": "2026-11-21T12:00:00.042Z", "event": "cost_tracked", "backend": "b", "tokens": 7, "cost": "0.1"}\n'
    )


def test_lines_are_added_to_what_is_there(file):
    file.parent.mkdir()
    file.write_text('{"event": "old"}\n')
    log = EventLog(str(file))
    log.write("one")
    log.write("two")
    assert [line["event"] for line in lines(file)] == ["old", "one", "two"]


def test_a_file_that_was_moved_away_is_begun_anew(file):
    log = EventLog(str(file))
    log.write("one")
    file.rename(file.with_suffix(".1"))
    log.write("two")
    assert [line["event"] for line in lines(file)] == ["two"]


def test_without_a_file_nothing_is_written_and_nothing_done():
    told = []
    EventLog(None, warn=told.append).write("one", field=object())
    assert told == []


def test_a_line_stays_one_line_of_ascii_whatever_is_in_it(file):
    text = "one\ntwo\r\u2028\u202e\x9b31m\ud800 💥"
    EventLog(str(file)).write("one", text=text, deep={"list": [1, True, None, (2.5,)], "nan": float("nan")})
    (line,) = lines(file)
    assert line["text"] == text
    assert line["deep"] == {"list": [1, True, None, [2.5]], "nan": None}
    assert file.read_bytes().count(b"\n") == 1


@posix
@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_it_is_its_owners_alone(file, umask):
    old = os.umask(umask)
    try:
        EventLog(str(file)).write("one")
    finally:
        os.umask(old)
    if umask != 0o777:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0


@posix
def test_a_file_that_others_could_read_is_taken_back_and_that_is_told(file):
    file.parent.mkdir()
    file.touch(0o644)
    told = []
    EventLog(str(file), warn=told.append).write("one")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert told == [f"{file} could be read by others (mode 0644); it is now 0600"]


def test_r14_no_secret_is_written_as_it_is_encoded_or_deep_in_a_field(file):
    secrets = []
    log = EventLog(str(file), content=True, secrets=secrets)
    secrets.append(Secret(KEY, "$env:KEY"))  # a key is looked up when it is needed
    marked = "sk-ant-api03-abcdefgh12345678"
    log.write("one", text=f"no: {KEY}", code=marked, deep=[{"url": f"/?k={quote(KEY, safe='')}", KEY: [KEY, marked]}])
    written = file.read_text()
    assert "7f3aK9zQ" not in written
    assert "abcdefgh" not in written
    assert lines(file)[0]["text"] == "no: …"


def unwritable(tmp_path):
    (tmp_path / "a file").touch()
    (tmp_path / "a folder").mkdir()
    return {
        "a file in the way": (tmp_path / "a file" / "log", "a file of that name is in the way"),
        "a folder": (tmp_path / "a folder", "it is not a regular file"),
        "a device": ("/dev/null", "it is not a regular file"),
        "a null byte": (f"{tmp_path}/a\0b", "embedded null "),  # byte, or character, as the version of Python has it
    }


@posix
@pytest.mark.parametrize("which", ["a file in the way", "a folder", "a device", "a null byte"])
def test_a_log_that_cannot_be_written_is_told_once_and_stops_nobody(tmp_path, which):
    path, reason = unwritable(tmp_path)[which]
    mode = os.stat("/dev/null").st_mode
    told = []
    log = EventLog(str(path), warn=told.append)
    log.write("one")
    log.write("two")
    assert len(told) == 1
    assert told[0].startswith(f"the log {path} cannot be written: ")
    assert reason in told[0]
    assert os.stat("/dev/null").st_mode == mode


@posix
def test_it_neither_follows_a_link_nor_waits_at_a_pipe(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    told = []
    EventLog(str(tmp_path / "link"), warn=told.append).write("one")
    EventLog(str(tmp_path / "pipe"), warn=told.append).write("one")
    assert [text.rpartition(": ")[2] for text in told] == ["it is a link", "it is not a regular file"]
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_full_disk_is_told(file, monkeypatch):
    told = []
    log = EventLog(str(file), warn=told.append)
    log.write("one")
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr("arawn.telemetry.log.os.open", lambda *_: os.dup(full))
    monkeypatch.setattr("arawn.telemetry.log.stat.S_ISREG", lambda _: True)
    log.write("two")
    os.close(full)
    assert told == [f"the log {file} cannot be written: No space left on device"]


def test_a_field_that_breaks_is_told_and_stops_nobody(file):
    class Strange:
        def __str__(self):
            raise RuntimeError("no text")

    told = []
    EventLog(str(file), warn=told.append).write("one", field=Strange())
    assert told == [f"the log {file} cannot be written: no text"]


def write_many(path, who):
    log = EventLog(path)
    for number in range(200):
        log.write("one", who=who, number=number, text="x" * 9_000)


def test_lines_of_several_processes_do_not_mix(file):
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        pool.starmap(write_many, [(str(file), who) for who in range(4)])
    found = lines(file)
    assert len(found) == 800
    for who in range(4):
        assert [line["number"] for line in found if line["who"] == who] == list(range(200))


def test_a_file_is_beside_the_configuration_unless_it_is_absolute(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert log_path("arawn.log", "/etc/x") == "/etc/x/arawn.log"
    assert log_path("/var/log/arawn.log", "/etc/x") == "/var/log/arawn.log"
    assert log_path("~/arawn.log", "/etc/x") == "/home/ann/arawn.log"
    assert log_path(None, "/etc/x") is None
