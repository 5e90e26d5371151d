"""``arawn backends --watch``: in a pipe, on a terminal, and when it is told to stop."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import termios
import time
from contextlib import closing, contextmanager

import pexpect
import pyte
import pytest
from support.ledger_file import query as rows
from support.loopback import Loopback, Pause, Stall, answer
from support.processes import ARAWN, Home
from support.request_times import RequestTimes

MODELS = [answer(b'{"data": [{"id": "a-1"}]}')]
BROKEN = [answer(b'{"error": {"message": "out of order"}}', 500)]
LOCAL_PORTS = (1234, 8000, 8080, 11434)
ANY_SPEED = "[health]\nslow_ms = 600000\n"
"""So that nothing is called slow on a busy machine."""
QUICK = ("backends", "--watch", "--interval", "0.1")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@contextmanager
def watching(home, *words, **options):
    """A watch into a pipe; it is killed at the end."""
    with home.start(*(words or QUICK), **options) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def watching_server(home, server, keys=ANY_SPEED):
    home.serve(server.url, keys)
    with watching(home) as process:
        yield process


def is_open(port):
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def lines(process, count):
    return [json.loads(process.stdout.readline()) for _ in range(count)]


class Viewer:
    """Somebody who watches on a terminal."""

    def __init__(self, home, *words, columns=100, rows=20, **environ):
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.sent = b""
        environ = {**home.environ, "TERM": "xterm-256color", **environ}
        self.child = pexpect.spawn(
            ARAWN[0], [*ARAWN[1:], *(words or QUICK)], env=environ, cwd=str(home.work), dimensions=(rows, columns)
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child is not None:
            self.child.close(force=True)

    @property
    def shown(self):
        return [line.rstrip() for line in self.screen.display]

    def sees(self, pattern):
        """Wait until a line of the screen is like this, and return it."""
        deadline = time.monotonic() + 60
        while not (found := [line for line in self.shown if re.fullmatch(pattern, line)]):
            assert time.monotonic() < deadline, "\n".join(self.shown)
            self.reads()
        return found[-1]

    def reads(self):
        try:
            data = self.child.read_nonblocking(1 << 16, timeout=0.1)
        except pexpect.TIMEOUT:
            return
        self.sent += data
        self._stream.feed(data)

    def resizes(self, columns, rows):
        self.child.setwinsize(rows, columns)
        self.screen.resize(rows, columns)


# ---- into a pipe ----


def test_a_pipe_gets_a_line_a_check(home):
    with Loopback(MODELS, BROKEN, MODELS) as server, watching_server(home, server) as process:
        first, second, third = lines(process, 3)
        connections = server.connections
    assert list(first) == ["time", "backend", "state", "ok", "latency_ms", "error"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert [(each["state"], each["ok"], each["error"]) for each in (first, second, third)] == [
        ("ok", True, None),
        ("failing", False, "server"),
        ("ok", True, None),
    ]
    assert second["latency_ms"] is None
    assert first["time"] < second["time"] < third["time"]
    assert connections < 3  # they are kept


def test_each_is_checked_in_its_own_time(home):
    with Loopback([Stall()]) as silent, Loopback(MODELS) as server:
        more = f'{ANY_SPEED}[backends.silent]\nadapter = "openai_chat"\nbase_url = "{silent.url}/v1"\n'
        with watching_server(home, server, more) as process:
            assert {each["backend"] for each in lines(process, 5)} == {"here"}
            assert len(silent.requests) == 1


def test_checks_are_so_far_apart(home):
    with Loopback(MODELS) as server:
        server.requests = stamps = RequestTimes()
        home.serve(server.url)
        with watching(home, "backends", "--watch", "--interval", "0.5") as process:
            lines(process, 5)
    _, second, _, _, fifth, *_ = stamps.times  # the first check also loads what it needs
    assert fifth - second >= 1.0


def test_a_slow_one_is_slow(home):
    with Loopback([Pause(0.2), *MODELS]) as server, watching_server(home, server, "[health]\nslow_ms = 100") as process:
        (only,) = lines(process, 1)
    assert (only["state"], only["ok"]) == ("slow", True)


def test_one_backend_can_be_watched(home):
    with Loopback(MODELS) as server:
        home.serve(server.url, ANY_SPEED + '[backends.dead]\nadapter = "ollama"\nbase_url = "http://127.0.0.1:9"\n')
        with watching(home, "backends", "check", "dead", "--watch", "--interval", "0.1") as process:
            assert {each["backend"] for each in lines(process, 3)} == {"dead"}
        assert server.requests == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_r51_a_signal_ends_it_without_a_word(home, signum):
    with Loopback(MODELS) as server, watching_server(home, server) as process:
        lines(process, 1)
        process.send_signal(signum)
        _, told = process.communicate(timeout=20)
    assert (process.returncode, told) == (-signum, b"")


def test_r51_a_reader_who_leaves_ends_it(home):
    with Loopback(MODELS) as server, watching_server(home, server) as process:
        lines(process, 1)
        process.stdout.close()
        assert process.wait(timeout=20) == -signal.SIGPIPE
        assert process.stderr.read() == b""


def test_a_fallback_learns_from_it(home):
    with Loopback(BROKEN, BROKEN, MODELS) as server, watching_server(home, server) as process:
        lines(process, 2)
        known = rows(home.path, "SELECT reason FROM circuits WHERE backend = 'here'")
        lines(process, 2)
        assert rows(home.path, "SELECT * FROM circuits WHERE backend = 'here'") == []
    assert known == [("server",)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--interval", "3"), "--interval needs --watch"),
        (("--watch", "--offline"), "--watch sends requests, --offline sends none"),
        (("--watch", "--interval", "0"), "a number above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(home, words, told):
    run = home.run("backends", *words)
    assert (run.code, run.out) == (2, "")
    assert told in run.err


# ---- on a terminal ----


def test_a_terminal_shows_a_table_that_stays_in_its_place(home):
    with Loopback(MODELS) as server:
        home.serve(server.url, ANY_SPEED + '[backends.dead]\nadapter = "ollama"\nbase_url = "http://127.0.0.1:9"\n')
        with Viewer(home) as viewer:
            viewer.sees(r"\*  here     ok      +\d+ ms  ▁{6,} +\d\d:\d\d:\d\d")
            viewer.sees(r"   dead     failing +-  ×{6,} +\d\d:\d\d:\d\d  Cannot connect to dead at http://127.0.0.1:9")
            assert viewer.shown[0].split() == ["backend", "state", "latency", "last", "20", "since"]
            assert viewer.shown[3:] == [""] * 17


def test_a_change_is_told_above_the_table_and_dates_the_state(home):
    with Loopback(MODELS, BROKEN, MODELS) as server:
        home.serve(server.url, ANY_SPEED)
        with Viewer(home) as viewer:
            broken = viewer.sees(r"\d\d:\d\d:\d\d  here is failing, was ok: Backend \"here\" failed \(HTTP 500\).*")
            mended = viewer.sees(r"\d\d:\d\d:\d\d  here is ok, was failing: \d+ ms")
            row = viewer.sees(r"\*  here .*▁×▁▁.*")
    assert viewer.shown[:2] == [broken, mended]
    assert row.endswith(mended[:8])


def test_r51_ctrl_c_leaves_the_table_and_the_terminal_in_order(home):
    with Loopback(MODELS) as server:
        home.serve(server.url, ANY_SPEED)
        with Viewer(home) as viewer:
            before = termios.tcgetattr(viewer.child.child_fd)
            viewer.sees(r"\*  here .*▁▁.*")
            viewer.child.sendintr()
            viewer.child.expect(pexpect.EOF)
            after = termios.tcgetattr(viewer.child.child_fd)
            viewer.child.close()
            sent = viewer.sent + viewer.child.before
    assert viewer.child.signalstatus == signal.SIGINT
    assert after == before
    assert sent.endswith(b"\r\n")
    assert b"Traceback" not in sent
    assert b"\x1b[?25l" not in sent  # the cursor was never hidden


def test_r51_it_ends_with_its_terminal(home):
    with Loopback(MODELS) as server:
        home.serve(server.url, ANY_SPEED)
        with Viewer(home) as viewer:
            viewer.sees(r"\*  here .*▁▁.*")
            os.close(viewer.child.child_fd)
            assert os.waitstatus_to_exitcode(os.waitpid(viewer.child.pid, 0)[1]) == -signal.SIGHUP
            viewer.child = None


def test_a_narrower_window_gets_fewer_columns_and_a_low_one_fewer_rows(home):
    with Loopback(MODELS) as server:
        more = "".join(f'[backends.b{n}]\nadapter = "mock"\n' for n in range(8))
        home.serve(server.url, ANY_SPEED + more)
        with Viewer(home, columns=100, rows=12) as viewer:
            viewer.sees(r"   b7       ok .*▁+.*")
            viewer.resizes(44, 6)
            viewer.sees(r"   backend  state  latency  since|\*  here     ok .*\d\d:\d\d:\d\d")
            viewer.sees(r"and \d more: the window is too low")


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_left_out_where_nobody_wants_them(home, environ, coloured):
    with Loopback(MODELS) as server:
        home.serve(server.url, ANY_SPEED)
        with Viewer(home, **environ) as viewer:
            viewer.sees(r"\*  here .*▁.*")
    assert (b"\x1b[32m" in viewer.sent) is coloured


def test_a_terminal_that_can_only_write_on_gets_lines(home):
    with Loopback(MODELS) as server:
        home.serve(server.url, ANY_SPEED)
        with Viewer(home, columns=200, TERM="dumb") as viewer:
            viewer.sees(r'\{"time": .*"backend": "here", "state": "ok".*')


def test_r1_a_hostile_name_and_error_do_nothing_to_the_terminal(home):
    hostile = [answer(json.dumps({"error": {"message": "\x1b]0;owned\x07\x9b2J\nnext"}}).encode(), 500)]
    with Loopback(hostile) as server:
        table = f'[backends."a\\u001b[2J"]\nadapter = "openai_chat"\nbase_url = "{server.url}"\n'
        home.configure(f'[llm]\nbackend = "a\\u001b[2J"\n{table}')
        with Viewer(home) as viewer:
            viewer.sees(r"\*  a.*failing.*×.*")
    assert not re.search(rb"\x1b\]|\x07|\xc2\x9b|\x1b\[2J", viewer.sent)


def test_where_nobody_answers_that_is_said(home):
    if any(is_open(port) for port in LOCAL_PORTS):
        pytest.skip("a local server runs on this machine")
    with watching(home) as process:
        assert process.stderr.readline() == b"no backend is configured, and no local server answers: still looking\n"
