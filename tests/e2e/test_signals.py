"""Signals and closed pipes: what came is kept, and arawn dies by the signal so that a shell's loop stops too."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import struct
import subprocess
import termios
from contextlib import contextmanager

import pexpect
import pytest
from support.http_backend import DONE, delta
from support.loopback import CHUNKED, Loopback, Pause, Stall, chunked, head
from support.processes import ARAWN, ECHO

STOPPING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
BEGUN = [head(headers=CHUNKED), chunked(delta("Good "), delta("da"), end=False)]
SILENT = [*BEGUN, Stall()]


@contextmanager
def in_mid_answer(home, *words, script=SILENT, **options):
    """An ``ask`` that has printed "Good da" and waits for more."""
    with Loopback(script) as server:
        home.serve(server.url)
        with home.start("ask", "hi", *words, **options) as process:
            yield process
            process.kill()


def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        piece = os.read(stream.fileno(), count - len(data))
        assert piece, data
        data += piece
    return data


@pytest.mark.parametrize("signum", STOPPING)
def test_r51_a_signal_keeps_the_partial_answer_and_kills_by_itself(home, signum):
    with in_mid_answer(home) as process:
        assert read_exactly(process.stdout, 7) == b"Good da"
        process.send_signal(signum)
        rest, told = process.communicate(timeout=20)
    assert process.returncode == -signum
    assert (rest, told) == (b"\n", b"")


@pytest.mark.parametrize("signum", STOPPING)
@pytest.mark.parametrize("shape", ["--json", "--jsonl"])
def test_r51_json_is_printed_under_a_signal_too(home, shape, signum):
    with in_mid_answer(home, shape) as process:
        wait_for_connection(process)
        process.send_signal(signum)
        out, told = process.communicate(timeout=20)
    *_, before, last = [{}, *map(json.loads, out.splitlines())]
    assert (process.returncode, told) == (-signum, b"")
    assert last["exit_code"] == 128 + signum
    assert (last.get("error") or before)["kind"] == "interrupted"


def wait_for_connection(process):
    """Wait until a process has a socket: before that its signal handlers may not stand."""
    while not any("socket:" in link for link in links_of(process.pid)):
        assert process.poll() is None


def links_of(pid):
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        try:
            yield os.readlink(f"{folder}/{name}")
        except FileNotFoundError:
            continue


def test_r51_a_file_gets_the_partial_answer_beside_it(home):
    (home.work / "answer.txt").write_text("old")
    with in_mid_answer(home, "--jsonl", "-o", "answer.txt") as process:
        wait_for_connection(process)
        process.send_signal(signal.SIGTERM)
        out, told = process.communicate(timeout=20)
    assert (process.returncode, out) == (-signal.SIGTERM, b"")
    assert told == b"what had arrived is in answer.txt.partial\n"
    assert (home.work / "answer.txt").read_text() == "old"
    last = (home.work / "answer.txt.partial").read_text().splitlines()[-1]
    assert json.loads(last)["exit_code"] == 143


def test_a_signal_before_anything_came_prints_nothing(home):
    with in_mid_answer(home, script=[Stall()]) as process:
        wait_for_connection(process)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == (b"", b"")
    assert process.returncode == -signal.SIGINT


def test_ctrl_c_while_waiting_for_a_retry_stops_at_once(home):
    refused = [b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 50\r\n\r\n"]
    with Loopback(refused) as server:
        home.serve(server.url)
        home.configure((home.path / "config.toml").read_text().replace("max_retries = 0", "max_retries = 3"))
        with home.start("ask", "hi") as process:
            assert process.stderr.readline().startswith(b"attempt 2 of 4 in 50.0 s: ")
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=20) == (b"", b"")
    assert process.returncode == -signal.SIGINT


def test_ctrl_c_while_reading_standard_input_stops_at_once(home):
    home.configure(ECHO)
    with home.start("ask", "-", stdin=subprocess.PIPE) as process:
        process.stdin.write(b"some words")
        process.stdin.flush()
        while unread(process.stdin):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.wait(20)
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")
    assert process.returncode == -signal.SIGINT


def unread(pipe):
    """How many bytes wait in a pipe."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


def test_ctrl_c_while_arawn_starts_leaves_no_traceback(home, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'arawn.cli.app':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    run = home.run("ask", "hi", env={"PYTHONPATH": str(tmp_path)})
    assert (run.code, run.out, run.err) == (-signal.SIGINT, "", "")


def test_a_signal_that_is_ignored_stays_ignored(home):
    script = [*BEGUN, Pause(0.5), chunked(delta("y"), delta(finish_reason="stop"), DONE)]
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    with in_mid_answer(home, script=script, **ignoring) as process:
        read_exactly(process.stdout, 7)
        process.send_signal(signal.SIGHUP)
        rest, told = process.communicate(timeout=20)
    assert (process.returncode, rest, told) == (0, b"y\n", b"")


def test_a_reader_that_leaves_ends_arawn_silently_by_sigpipe(home):
    home.configure(ECHO)
    words = shlex.join([*ARAWN, "ask", "-"])
    script = f"seq 200000 | {words} 2> told | head -n 1; echo ${{PIPESTATUS[1]}}; cat told"
    done = subprocess.run(["bash", "-c", script], capture_output=True, cwd=home.work, env=home.environ, timeout=60)
    assert done.stdout.decode().split() == ["1", "141"]
    assert done.stderr == b""


def test_a_reader_that_never_was_there_ends_it_the_same_way(home):
    home.configure(ECHO)
    for words in (("ask", "hi"), ("ask", "hi", "--json"), ("config", "schema"), ("completions", "bash")):
        with home.start(*words) as process:
            process.stdout.close()
            told = process.stderr.read()
        assert (process.returncode, told) == (-signal.SIGPIPE, b""), words


def test_a_loop_of_the_shell_stops_at_ctrl_c(home):
    with Loopback(SILENT) as server:
        home.serve(server.url)
        loop = f"for i in 1 2 3; do {shlex.join([*ARAWN, 'ask', 'hi'])}; echo next; done"
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
        with subprocess.Popen(["bash", "-c", loop], cwd=home.work, env=home.environ, **options) as shell:
            assert read_exactly(shell.stdout, 7) == b"Good da"
            os.killpg(shell.pid, signal.SIGINT)
            rest, _ = shell.communicate(timeout=20)
    assert shell.returncode == -signal.SIGINT
    assert rest == b"\n"
    assert len(server.requests) == 1


def test_r51_ctrl_c_at_a_terminal_leaves_the_cursor_on_a_new_line(home):
    with Loopback(SILENT) as server:
        home.serve(server.url)
        child = pexpect.spawn(ARAWN[0], [*ARAWN[1:], "ask", "hi"], env=home.environ, cwd=str(home.work), timeout=20)
        child.expect_exact("Good")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
    assert child.signalstatus == signal.SIGINT
    assert child.before.replace(b"^C", b"") in (b" da\r\n", b"\r\n")  # the last word shows once it is whole


def test_two_signals_at_once_leave_no_traceback(home):
    with in_mid_answer(home) as process:
        read_exactly(process.stdout, 7)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=20)[1]
    assert process.returncode in (-signal.SIGINT, -signal.SIGTERM)
    assert told == b""


def test_a_pipe_that_somebody_made_non_blocking_gets_the_whole_answer(home):
    home.configure(ECHO)
    text = b"x" * 500_000
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with home.start("ask", "-", stdin=subprocess.PIPE, stdout=writing) as process:
        os.close(writing)
        process.stdin.write(text)
        process.stdin.close()
        with open(reading, "rb") as stream:
            found = stream.read()
        told = process.stderr.read()
    assert (process.returncode, told) == (0, b"")
    assert found == text + b"\n"
