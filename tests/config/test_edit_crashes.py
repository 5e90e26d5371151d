"""A configuration file that is changed while programs die, crowd, or run out of disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest
from support.config_file import CONFIG

KILLED_AT_EVERY_CALL = """
import fcntl, os, sys, tomlkit, tomllib
from arawn.config import edit

path = sys.argv[1]
before = open(path, "rb").read()
after = before.replace(b"'llama-3.3'", b'"new"')
calls = 0

def count(frame, event, function):
    global calls
    owner = type(function.__self__).__module__ if event == "c_call" else ""
    if event == "c_call" and (owner == "_io" or function.__module__ in ("posix", "fcntl", "_io")):
        calls += 1
        if calls > allowed:
            os.kill(os.getpid(), 9)

found = []
for allowed in range(1000):
    with open(path, "wb") as file:
        file.write(before)
    child = os.fork()
    if not child:
        sys.setprofile(count)
        edit.set_value(path, "llm.model", "new")
        sys.setprofile(None)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    found.append((before, after).index(open(path, "rb").read()))
    if not status:
        break
print(*found)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_r20_killed_at_any_call_the_file_is_a_complete_version(config):
    result = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EVERY_CALL, str(config)], capture_output=True, text=True, timeout=100
    )

    found = result.stdout.split()
    assert len(found) > 20, result.stderr
    assert found == sorted(found)
    assert (found[0], found[-1]) == ("0", "1")


def test_r20_eight_writers_lose_nothing(config):
    code = (
        "import sys; from arawn.config.edit import set_value\n"
        "for n in range(25): set_value(sys.argv[1], f'writers.w{sys.argv[2]}n{n}', n)"
    )

    writers = [subprocess.Popen([sys.executable, "-c", code, str(config), str(writer)]) for writer in range(8)]

    assert [writer.wait(100) for writer in writers] == [0] * 8
    data = tomllib.loads(config.read_text())
    assert data.pop("writers") == {f"w{writer}n{n}": n for writer in range(8) for n in range(25)}
    assert data == tomllib.loads(CONFIG)


def test_r21_when_the_disk_takes_no_more_the_old_file_is_intact(config):
    code = (
        "import resource, sys; from arawn.config.edit import set_value\n"
        "import tomlkit, tomllib; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "set_value(sys.argv[1], 'llm.model', 'x' * 500)"
    )

    result = subprocess.run([sys.executable, "-B", "-c", code, str(config)], capture_output=True, text=True)

    assert result.returncode == 1
    assert "ConfigError: cannot write" in result.stderr
    assert config.read_text() == CONFIG
    assert sorted(os.listdir(config.parent)) == [".config.toml.lock", "config.toml"]
