"""However a chat ends or is interrupted: the terminal is as it was, and the conversation is kept."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import termios
import time

import pytest
from support.chat_terminal import CTRL_C, CTRL_D, CTRL_Z, PATIENCE, PROMPT, Person, kept
from support.http_backend import DONE, HALF, USAGE, delta
from support.loopback import CHUNKED, Loopback, Pause, Stall, chunked, head
from support.processes import ARAWN

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def server(home):
    with Loopback([*HALF, Stall()]) as server:
        home.serve(server.url)
        yield server


class Watched(Person):
    """A person whose terminal stays open when the command has ended, and who knows how it was before."""

    def __init__(self, home, *words, **options):
        super().__init__(home, command=[sys.executable, "-c", HOLDER, *ARAWN, "chat", *words], **options)

    def modes(self):
        return termios.tcgetattr(self.process.child_fd)


# Runs a command, and keeps the terminal until a line comes.
HOLDER = """
import os, signal, subprocess, sys
for each in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    signal.signal(each, signal.SIG_IGN)
print("held", flush=True)
sys.stdin.readline()
default = lambda: [signal.signal(each, signal.SIG_DFL) for each in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)]
command = subprocess.Popen(sys.argv[1:], preexec_fn=default)
print("pid", command.pid, "begins", flush=True)
print("ended with", command.wait(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def watched(home, server):
    with Watched(home) as person:
        person.sees("held")
        person.before = person.modes()
        person.says("")
        person.sees("begins")
        person.pid = int(person.shown.partition("pid ")[2].split()[0])
        person.sees(PROMPT)
        assert person.modes() != person.before
        yield person


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_r51_a_signal_at_the_prompt_leaves_the_terminal_as_it_was(watched, signum):
    watched.types("some text")
    watched.sees("some text")
    os.kill(watched.pid, signum)
    watched.sees(f"ended with {-signum}")
    assert watched.modes() == watched.before


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_r51_a_signal_in_an_answer_keeps_what_came_and_the_terminal(watched, home, signum):
    watched.says("tell me")
    watched.sees("Half an answer")
    os.kill(watched.pid, signum)
    watched.sees(f"ended with {-signum}")
    assert 'saved "tell me"' in watched.shown
    assert watched.modes() == watched.before
    assert kept(home) == ["tell me", "Half an answer\n\n"]


def test_r51_sigint_from_elsewhere_does_what_ctrl_c_does(watched, home):
    watched.says("tell me")
    watched.sees("Half an answer")
    os.kill(watched.pid, signal.SIGINT)
    watched.sees("[stopped: what came is kept")
    watched.sees("here/m-1", times=2)
    watched.types("words")
    watched.sees("words")
    os.kill(watched.pid, signal.SIGINT)
    watched.misses("words")
    watched.types(CTRL_D)
    watched.sees("ended with 0")
    assert watched.modes() == watched.before


@pytest.mark.parametrize("keys", [CTRL_D, CTRL_C * 2, "/quit\r"], ids=["Ctrl-D", "Ctrl-C twice", "/quit"])
def test_r51_leaving_leaves_the_terminal_as_it_was(watched, keys):
    for key in keys:
        watched.types(key)
    watched.sees("ended with 0")
    assert watched.modes() == watched.before
    assert watched.received.count(b"\x1b[?2004h") == watched.received.count(b"\x1b[?2004l")


def test_a_broken_store_does_not_end_the_conversation(watched, home):
    (home.path / "arawn.db").write_bytes(b"this is no database" * 100)
    watched.says("tell me")
    watched.sees("Half an answer")
    watched.types(CTRL_C)
    watched.sees("not saved")
    watched.types(CTRL_D)
    watched.sees("could not be saved")
    watched.sees("ended with 0")


@pytest.mark.parametrize("ignored", [False, True], ids=["SIGHUP", "SIGHUP ignored"])
@pytest.mark.parametrize("answering", [False, True], ids=["at the prompt", "in an answer"])
def test_r51_a_terminal_that_is_gone_ends_it_and_what_came_is_kept(home, server, answering, ignored):
    ignore = (lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) if ignored else None
    with Person(home, preexec_fn=ignore) as person:
        person.sees(PROMPT)
        if answering:
            person.says("tell me")
            person.sees("Half an answer")
        code = person.hangs_up()
    assert code == -signal.SIGHUP or (ignored and code == 0)
    assert kept(home) == (["tell me", "Half an answer\n\n"] if answering else [])


@pytest.mark.parametrize("answering", [False, True], ids=["at the prompt", "in an answer"])
def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_back(home, answering):
    slow = [*HALF, Pause(1), chunked(delta("the other half"), delta(finish_reason="stop"), USAGE, DONE)]
    with (
        Loopback(slow) as server,
        Person(
            home, command=["bash", "--norc", "--noprofile", "-i"], env={"PS1": "$ ", "A": " ".join(ARAWN)}
        ) as person,
    ):
        home.serve(server.url)
        person.says("$A chat")
        person.sees(PROMPT)
        if answering:
            person.says("tell me")
            person.sees("Half an answer")
        person.types(CTRL_Z)
        person.sees("Stopped")
        person.says("echo typ''ed")
        person.sees("typed")
        person.says("fg")
        person.sees("$ fg")
        if not answering:
            person.sees(PROMPT)
            person.says("tell me")
        person.sees("the other half")
        person.sees("7 in")
        person.types(CTRL_D)
        person.sees('saved "tell me"')
        person.says("exit")
        assert person.leaves() == 0


class Tmux:
    """A window of tmux, the only one of its server, with a terminal that reflows when it is resized."""

    def __init__(self, home, name, *words):
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not installed")
        self._base = ["tmux", "-L", name, "-f", "/dev/null"]
        env = {**home.environ, "SHELL": "/bin/sh"}
        subprocess.run(
            [*self._base, "new-session", "-d", "-x", "80", "-y", "24", *words], env=env, cwd=home.work, check=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run("kill-server")

    def run(self, *words):
        return subprocess.run([*self._base, *words], capture_output=True, text=True, check=False).stdout

    def types(self, text):
        self.run("send-keys", "-l", text)

    def text(self):
        """Everything that was written, without the breaks the terminal made."""
        return self.run("capture-pane", "-p", "-J", "-S", "-")

    def sees(self, text):
        until = time.monotonic() + PATIENCE
        while text not in self.text():
            assert time.monotonic() < until, self.text()
            time.sleep(0.05)


def test_a_resize_in_an_answer_loses_and_repeats_nothing(home, tmp_path):
    words = [f"word{number}" for number in range(120)]
    pieces = [step for word in words for step in (chunked(delta(f"{word} "), end=False), Pause(0.01))]
    end = chunked(delta(finish_reason="stop"), USAGE, DONE)
    with Loopback([head(headers=CHUNKED), *pieces, end]) as server:
        home.serve(server.url)
        with Tmux(home, f"arawn-{os.getpid()}", *ARAWN, "chat") as tmux:
            tmux.sees(PROMPT)
            tmux.types("tell me\r")
            for at, columns in ((20, 40), (50, 100), (80, 50)):
                tmux.sees(f"word{at} ")
                tmux.run("resize-window", "-x", str(columns), "-y", "20")
            tmux.sees("7 in · 2 out")
            tmux.run("resize-window", "-x", "90", "-y", "30")
            shown = tmux.text()
            tmux.types(CTRL_D)
    answer = shown.partition("tell me")[2].partition("here/m-1 ·")[0]
    assert answer.split() == words
