"""What is kept of the lines that are typed."""

from __future__ import annotations

import os
import stat

import pytest

from arawn.cli.repl.history import MAX_FILE_BYTES, MAX_LINE_LENGTH, StoredHistory, may_be_stored


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "chat-history"


def lines(path):
    """The kept lines, newest first, as the next chat reads them."""
    return list(StoredHistory(str(path)).load_history_strings())


def test_lines_are_kept_newest_first(path):
    history = StoredHistory(str(path))
    for line in ("one", "two\nlines", "drei ü 漢"):
        history.append_string(line)
    assert lines(path) == ["drei ü 漢", "two\nlines", "one"]


def test_r15_the_file_is_private_under_any_umask(path):
    before = os.umask(0)
    try:
        StoredHistory(str(path)).append_string("hello")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "line",
    [
        " begins with a space",
        "",
        "\n",
        "my key is sk-abcdefghijklmnopqrstuv",
        "export GROQ_API_KEY=gsk_abcdefghijklmnop",
        "api_key: 0123456789abcdef",
        "postgres://user:hunter22@host/db",
        "x" * (MAX_LINE_LENGTH + 1),
    ],
)
def test_some_lines_are_kept_nowhere(path, line):
    assert not may_be_stored(line)
    history = StoredHistory(str(path))
    history.append_string(line)
    assert history.get_strings() == []
    assert not path.exists()


def test_a_file_that_grows_loses_its_oldest_lines(path):
    path.parent.mkdir()
    path.write_text('"old"\n' + '"%s"\n' % ("x" * 1000) * (MAX_FILE_BYTES // 1000 + 10))
    StoredHistory(str(path)).append_string("new")
    assert lines(path)[0] == "new"
    assert "old" not in lines(path)
    assert path.stat().st_size < MAX_FILE_BYTES


def test_what_is_no_line_of_ours_is_passed_over(path):
    path.parent.mkdir()
    path.write_bytes(b'"good"\nnot json\n{"a": 1}\n\xff\xfe\n"better"\n"cut')
    assert lines(path) == ["better", "good"]


def test_a_place_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "data").write_text("a file where the folder would be")
    history = StoredHistory(str(tmp_path / "data" / "chat-history"))
    history.append_string("hello")
    assert history.get_strings() == ["hello"]


def test_without_a_path_lines_are_remembered_and_not_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    history = StoredHistory("")
    history.append_string("hello")
    assert history.get_strings() == ["hello"]
    assert os.listdir(tmp_path) == []
