from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from arawn import files
from arawn.errors import ConfigError, NotSavedError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def mode_of(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def run_with_small_files(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process that may write no file of more than 100 bytes."""
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    return subprocess.run([sys.executable, "-c", limit + code, *arguments], capture_output=True, text=True, timeout=60)


def test_r15_what_it_writes_is_private_under_any_umask(tmp_path, umask):
    target = tmp_path / "a" / "b" / "config.toml"

    files.write_private(str(target), b"x = 1\n")

    assert target.read_bytes() == b"x = 1\n"
    assert mode_of(target) == 0o600
    assert mode_of(tmp_path / "a") == mode_of(tmp_path / "a" / "b") == 0o700


@pytest.mark.parametrize(
    ("before", "after"), [(0o644, 0o600), (0o666, 0o600), (0o660, 0o600), (0o600, 0o600), (0o400, 0o400)]
)
def test_r15_rewriting_narrows_a_mode_and_never_widens_it(tmp_path, before, after, umask):
    target = tmp_path / "config.toml"
    target.write_bytes(b"old")
    target.chmod(before)

    files.write_private(str(target), b"new")

    assert target.read_bytes() == b"new"
    assert mode_of(target) == after


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_stays_its_owners_when_root_rewrites_it(tmp_path):
    target = tmp_path / "config.toml"
    target.write_bytes(b"old")
    os.chown(target, 1234, 1235)

    files.write_private(str(target), b"new")

    assert (target.stat().st_uid, target.stat().st_gid) == (1234, 1235)


def test_a_relative_path_is_taken_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    files.write_private("here", b"1")
    files.write_output("there", b"2")
    with files.open_private_lock("here"):
        pass

    assert (tmp_path / "here").read_bytes() == b"1"
    assert (tmp_path / "there").read_bytes() == b"2"


def test_r16_a_link_is_kept_and_its_target_rewritten(tmp_path):
    real = tmp_path / "dotfiles" / "config.toml"
    real.parent.mkdir()
    real.write_bytes(b"old")
    link = tmp_path / "config.toml"
    link.symlink_to(real)

    files.write_private(str(link), b"new")

    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert sorted(os.listdir(real.parent)) == ["config.toml"]


def test_r16_a_link_to_nothing_is_filled(tmp_path):
    link = tmp_path / "config.toml"
    link.symlink_to(tmp_path / "not" / "yet")

    files.write_private(str(link), b"new")

    assert link.is_symlink()
    assert (tmp_path / "not" / "yet").read_bytes() == b"new"


def test_r16_a_link_that_leads_in_a_circle_is_refused(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")

    with pytest.raises(ConfigError, match="cannot write"):
        files.write_private(str(tmp_path / "a"), b"new")

    assert (tmp_path / "a").is_symlink()


def test_r16_a_link_planted_for_the_lock_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    (tmp_path / ".config.toml.lock").symlink_to(victim)

    with pytest.raises(ConfigError, match="cannot open"), files.open_private_lock(str(tmp_path / "config.toml")):
        pass

    assert not victim.exists()


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_file_is_not_replaced(tmp_path, kind):
    target = tmp_path / "config.toml"
    target.mkdir() if kind == "folder" else os.mkfifo(target)
    before = target.stat().st_ino

    with pytest.raises(ConfigError, match=r"cannot write .*config\.toml"):
        files.write_private(str(target), b"new")

    assert target.stat().st_ino == before
    assert os.listdir(tmp_path) == ["config.toml"]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "arawn").write_bytes(b"")

    with pytest.raises(ConfigError, match="arawn: a file of that name is in the way"):
        files.write_private(str(tmp_path / "arawn" / "config.toml"), b"new")


@pytest.mark.parametrize("path", ["a\0b", "x" * 300])
def test_a_path_that_cannot_be_is_one_line(tmp_path, path):
    with pytest.raises(ConfigError, match="cannot write"):
        files.write_private(str(tmp_path / path), b"")
    with pytest.raises((UsageError, NotSavedError), match="cannot write"):
        files.write_output(str(tmp_path / path), b"")
    with pytest.raises(UsageError, match="cannot read"):
        files.read_file(str(tmp_path / path), 10)


def test_r21_when_the_disk_takes_no_more_the_old_file_is_intact(tmp_path):
    target = tmp_path / "config.toml"
    target.write_bytes(b"old")
    code = "from arawn import files; files.write_private(sys.argv[1], b'n' * 1000)"

    result = run_with_small_files(code, str(target))

    assert result.returncode == 1
    assert "ConfigError: cannot write" in result.stderr
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["config.toml"]


def test_r21_output_that_cannot_be_stored_leaves_nothing_behind(tmp_path):
    target = tmp_path / "answer.md"
    code = "from arawn import files; files.write_output(sys.argv[1], b'n' * 1000)"

    result = run_with_small_files(code, str(target))

    assert "NotSavedError: cannot write" in result.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_r21_a_full_device_is_reported():
    with pytest.raises(NotSavedError, match="cannot write /dev/full: No space left on device"):
        files.write_output("/dev/full", b"answer")


def test_output_has_the_mode_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_output(str(tmp_path / "answer.md"), b"text")
    finally:
        os.umask(before)

    assert mode_of(tmp_path / "answer.md") == 0o640


def test_output_keeps_the_mode_and_the_link_of_what_it_replaces(tmp_path):
    real, link = tmp_path / "real.md", tmp_path / "link.md"
    real.write_bytes(b"old")
    real.chmod(0o755)
    link.symlink_to(real)

    files.write_output(str(link), b"new")

    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert mode_of(real) == 0o755


def test_output_to_a_device_is_written_to_it():
    files.write_output(os.devnull, b"answer")

    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_output_to_a_pipe_reaches_its_reader(tmp_path):
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    files.write_output(str(fifo), b"answer")

    assert os.read(reader, 100) == b"answer"
    os.close(reader)


@pytest.mark.parametrize("path", ["missing/answer.md", "file/answer.md", "folder"])
def test_output_that_cannot_be_a_file_is_wrong_usage(tmp_path, path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()

    with pytest.raises(UsageError, match=path):
        files.write_output(str(tmp_path / path), b"answer")

    assert not (tmp_path / "missing").exists()


def test_r37_a_file_is_read(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_bytes(b"\0" + b"n" * 4095)
    (tmp_path / "link").symlink_to(file)
    (tmp_path / "empty").write_bytes(b"")

    assert files.read_file(str(file), 4096) == b"\0" + b"n" * 4095
    assert files.read_file(str(tmp_path / "link"), 4096) == b"\0" + b"n" * 4095
    assert files.read_file(str(tmp_path / "empty"), 0) == b""


def test_r37_a_file_over_the_limit_is_refused_with_both_numbers(tmp_path):
    sparse = tmp_path / "sparse.bin"
    with sparse.open("wb") as file:
        file.truncate(5 << 30)

    with pytest.raises(UsageError, match=r"sparse\.bin is too large: 5,368,709,120 bytes, the limit is 20,971,520"):
        files.read_file(str(sparse), 20 << 20)


@pytest.mark.parametrize(
    "path",
    ["/dev/zero", "/dev/tty", "/proc/self/environ", "/proc/cpuinfo", "/sys/kernel/mm/transparent_hugepage/enabled"],
)
def test_r37_what_only_looks_like_a_file_is_refused(path):
    if not os.path.exists(path):
        pytest.skip(f"no {path} here")

    with pytest.raises(UsageError, match=path):
        files.read_file(path, 1 << 20)


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "link to a device"])
def test_r37_pipes_sockets_folders_and_links_to_devices_are_refused(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    match kind:
        case "fifo":
            os.mkfifo("thing")
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("thing")
        case "folder":
            os.mkdir("thing")
        case _:
            os.symlink("/dev/zero", "thing")

    with pytest.raises(UsageError, match="cannot read thing: it is"):
        files.read_file("thing", 1 << 20)


def test_r37_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UsageError) as caught:
        files.read_file(str(tmp_path / "nowhere"), 10)

    assert caught.value.message == f"cannot read {tmp_path}/nowhere: No such file or directory"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_r15_a_file_open_to_others_holds_no_secret(tmp_path, mode):
    file = tmp_path / "key"
    file.write_bytes(b"value")
    file.chmod(mode)

    with pytest.raises(UsageError, match="key can be read by others") as caught:
        files.read_file(str(file), 100, private=True)

    assert caught.value.hints == (f"chmod 600 {file}",)


def test_r15_a_private_file_is_read(tmp_path):
    file = tmp_path / "key"
    file.write_bytes(b"value")
    file.chmod(0o400)

    assert files.read_file(str(file), 100, private=True) == b"value"


def test_r15_a_file_of_our_own_is_taken_back_from_others(tmp_path):
    file = tmp_path / "ledger.db"
    file.write_bytes(b"")
    file.chmod(0o664)

    message = files.check_private(str(file))

    assert message == f"{file} could be read by others (mode 0664); it is now 0600"
    assert mode_of(file) == 0o600
    assert files.check_private(str(file)) == ""
    assert files.check_private(str(tmp_path / "missing")) == ""


def test_r15_a_file_opened_for_good_is_private_under_any_umask(tmp_path, umask):
    path = tmp_path / "data" / "arawn.db"

    os.close(files.open_private(str(path)))

    assert mode_of(path) & 0o077 == 0
    assert mode_of(path.parent) == 0o700


def test_a_lock_keeps_a_second_process_waiting(tmp_path):
    target = tmp_path / "config.toml"
    code = (
        "import sys; from arawn import files\n"
        "with files.open_private_lock(sys.argv[1]): print(open(sys.argv[1]).read(), end='')"
    )
    with files.open_private_lock(str(target)):
        target.write_text("half")
        waiting = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
        target.write_text("whole")

    assert waiting.communicate(timeout=60)[0] == "whole"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0....", "image/jpeg"),
        (b"GIF89a....", "image/gif"),
        (b"GIF87a....", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", ""),
        (b"<svg/>", ""),
        (b"", ""),
    ],
)
def test_r37_an_image_is_known_by_its_content(data, kind):
    assert files.media_type(data) == kind


# ---- pipes ----


@pytest.fixture
def fifo(tmp_path):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    return path


def test_a_pipe_that_the_user_names_is_read_to_its_end(fifo):
    for text, limit in (("one", 10), ("two", 3), ("", 0)):
        writer = subprocess.Popen(["sh", "-c", f"printf '{text}' > {fifo}"])
        assert files.read_named(fifo, limit) == text.encode()
        assert writer.wait(60) == 0


def test_a_pipe_is_read_up_to_the_limit(fifo):
    writer = subprocess.Popen(["sh", "-c", f"exec printf four > {fifo}"])

    with pytest.raises(UsageError, match="is too large: the limit is 3 bytes"):
        files.read_named(fifo, 3)

    writer.wait(60)


def test_a_pipe_without_a_writer_is_an_error_in_the_end(fifo):
    with pytest.raises(UsageError, match="it is a pipe, and no program writes to it"):
        files.read_named(fifo, 10, pipe_wait=0.05)


def test_a_writer_that_comes_too_late_finds_no_reader(fifo):
    with pytest.raises(UsageError):
        files.read_named(fifo, 10, pipe_wait=0.05)

    writer = os.open(fifo, os.O_WRONLY)  # the reader that waited opens it now, and leaves

    def write_on():
        while True:
            os.write(writer, b"too late")

    with pytest.raises(BrokenPipeError):
        write_on()
    os.close(writer)


def test_a_pipe_without_a_reader_is_an_error_in_the_end(fifo):
    with pytest.raises(UsageError, match="it is a pipe, and no program reads it"):
        files.open_special(fifo, 0.05)


def test_a_named_file_that_is_no_pipe_is_read_as_any_other(tmp_path):
    (tmp_path / "notes").write_bytes(b"text")

    assert files.read_named(str(tmp_path / "notes"), 4) == b"text"
    with pytest.raises(UsageError, match="cannot read /dev/zero: it is not a regular file"):
        files.read_named("/dev/zero", 4)
    with pytest.raises(UsageError, match="nowhere: No such file or directory"):
        files.read_named(str(tmp_path / "nowhere"), 4)


@pytest.mark.parametrize("path", ["-", "/dev/stdout", "/dev/fd/1"])
def test_a_dash_means_standard_output(path):
    assert files.names_stdout(path)


@pytest.mark.parametrize("path", ["./-", "/dev/stderr", "/dev/fd/11", "stdout", ""])
def test_other_names_do_not(path):
    assert not files.names_stdout(path)


def test_a_file_behind_a_descriptor_is_written_to_and_not_replaced(tmp_path):
    target = tmp_path / "out"
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"head\n")

    files.write_output(f"/dev/fd/{descriptor}", b"answer\n")

    assert os.fstat(descriptor).st_nlink == 1
    os.close(descriptor)
    assert target.read_bytes() == b"head\nanswer\n"
