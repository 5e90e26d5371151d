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
from support.chat_terminal import CTRL_C, CTRL_D, CTRL_Z, PROMPT, WAIT_LIMIT, ChatTerminal, stored_texts
from support.http_backend import DONE, HALF, USAGE, delta
from support.loopback import CHUNKED, Loopback, Pause, Stall, chunked, head
from support.processes import ARAWN

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def server(home):
    with Loopback([*HALF, Stall()]) as server:
        home.serve(server.url)
        yield server


class Watched(ChatTerminal):
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
        person.wait_for("held")
        person.before = person.modes()
        person.send_line("")
        person.wait_for("begins")
        person.pid = int(person.shown.partition("pid ")[2].split()[0])
        person.wait_for(PROMPT)
        assert person.modes() != person.before
        yield person


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_r51_a_signal_at_the_prompt_leaves_the_terminal_as_it_was(watched, signum):
    watched.type("some text")
    watched.wait_for("some text")
    os.kill(watched.pid, signum)
    watched.wait_for(f"ended with {-signum}")
    assert watched.modes() == watched.before


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_r51_a_signal_in_an_answer_keeps_what_came_and_the_terminal(watched, home, signum):
    watched.send_line("tell me")
    watched.wait_for("Half an answer")
    os.kill(watched.pid, signum)
    watched.wait_for(f"ended with {-signum}")
    assert 'saved "tell me"' in watched.shown
    assert watched.modes() == watched.before
    assert stored_texts(home) == ["tell me", "Half an answer\n\n"]


def test_r51_sigint_from_elsewhere_does_what_ctrl_c_does(watched, home):
    watched.send_line("tell me")
    watched.wait_for("Half an answer")
    os.kill(watched.pid, signal.SIGINT)
    watched.wait_for("[stopped: what came is kept")
    watched.wait_for("here/m-1", times=2)
    watched.type("words")
    watched.wait_for("words")
    os.kill(watched.pid, signal.SIGINT)
    watched.wait_until_gone("words")
    watched.type(CTRL_D)
    watched.wait_for("ended with 0")
    assert watched.modes() == watched.before


@pytest.mark.parametrize("keys", [CTRL_D, CTRL_C * 2, "/quit\r"], ids=["Ctrl-D", "Ctrl-C twice", "/quit"])
def test_r51_leaving_leaves_the_terminal_as_it_was(watched, keys):
    for key in keys:
        watched.type(key)
    watched.wait_for("ended with 0")
    assert watched.modes() == watched.before
    assert watched.received.count(b"\x1b[?2004h") == watched.received.count(b"\x1b[?2004l")


def test_a_broken_store_does_not_end_the_conversation(watched, home):
    (home.path / "arawn.db").write_bytes(b"this is no database" * 100)
    watched.send_line("tell me")
    watched.wait_for("Half an answer")
    watched.type(CTRL_C)
    watched.wait_for("not saved")
    watched.type(CTRL_D)
    watched.wait_for("could not be saved")
    watched.wait_for("ended with 0")


@pytest.mark.parametrize("ignored", [False, True], ids=["SIGHUP", "SIGHUP ignored"])
@pytest.mark.parametrize("answering", [False, True], ids=["at the prompt", "in an answer"])
def test_r51_a_terminal_that_is_gone_ends_it_and_what_came_is_kept(home, server, answering, ignored):
    ignore = (lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) if ignored else None
    with ChatTerminal(home, preexec_fn=ignore) as person:
        person.wait_for(PROMPT)
        if answering:
            person.send_line("tell me")
            person.wait_for("Half an answer")
        code = person.hang_up()
    assert code == -signal.SIGHUP or (ignored and code == 0)
    assert stored_texts(home) == (["tell me", "Half an answer\n\n"] if answering else [])


@pytest.mark.parametrize("answering", [False, True], ids=["at the prompt", "in an answer"])
def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_back(home, answering):
    slow = [*HALF, Pause(1), chunked(delta("the other half"), delta(finish_reason="stop"), USAGE, DONE)]
    with (
        Loopback(slow) as server,
        ChatTerminal(
            home, command=["bash", "--norc", "--noprofile", "-i"], env={"PS1": "$ ", "A": " ".join(ARAWN)}
        ) as person,
    ):
        home.serve(server.url)
        person.send_line("$A chat")
        person.wait_for(PROMPT)
        if answering:
            person.send_line("tell me")
            person.wait_for("Half an answer")
        person.type(CTRL_Z)
        person.wait_for("Stopped")
        person.send_line("echo typ''ed")
        person.wait_for("typed")
        person.send_line("fg")
        person.wait_for("$ fg")
        if not answering:
            person.wait_for(PROMPT)
            person.send_line("tell me")
        person.wait_for("the other half")
        person.wait_for("7 in")
        person.type(CTRL_D)
        person.wait_for('saved "tell me"')
        person.send_line("exit")
        assert person.wait_for_exit() == 0


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

    def type(self, text):
        self.run("send-keys", "-l", text)

    def text(self):
        """Everything that was written, without the breaks the terminal made."""
        return self.run("capture-pane", "-p", "-J", "-S", "-")

    def wait_for(self, text):
        until = time.monotonic() + WAIT_LIMIT
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
            tmux.wait_for(PROMPT)
            tmux.type("tell me\r")
            for at, columns in ((20, 40), (50, 100), (80, 50)):
                tmux.wait_for(f"word{at} ")
                tmux.run("resize-window", "-x", str(columns), "-y", "20")
            tmux.wait_for("7 in · 2 out")
            tmux.run("resize-window", "-x", "90", "-y", "30")
            shown = tmux.text()
            tmux.type(CTRL_D)
    answer = shown.partition("tell me")[2].partition("here/m-1 ·")[0]
    assert answer.split() == words
