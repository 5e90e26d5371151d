from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from arawn.store.leases import is_running

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems do not say which processes there are")


@pytest.fixture
def process():
    started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield started
    started.kill()
    started.communicate()


def test_this_process_and_a_child_are_alive(process):
    assert is_running(os.getpid())
    assert is_running(process.pid)


def test_somebody_elses_process_is_alive():
    assert is_running(1)


def test_a_process_that_ended_is_not_alive(process):
    process.kill()
    process.wait()
    assert not is_running(process.pid)


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="this system does not tell of zombies")
def test_a_process_whose_parent_has_not_looked_yet_is_not_alive(process):
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_running(process.pid)


@pytest.mark.parametrize("number", [2**22 + 7, 2**80])
def test_a_number_no_process_has_is_not_alive(number):
    assert not is_running(number)
