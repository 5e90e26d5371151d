"""The files of toml-test as configuration, and those of JSONTestSuite as answers: refused in one line, or read."""

from __future__ import annotations

import os
import re
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from arawn.adapters.base import Quirks
from arawn.adapters.ollama import OllamaAdapter
from arawn.adapters.openai.chat import OpenAIChatAdapter
from arawn.config import sources
from arawn.config.decode import parse_or_problem
from arawn.errors import ArawnError, ConfigError
from arawn.events import Finished
from benchmarks.reliability.score import Score
from tests.support.processes import Home
from tests.support.recordings import events_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from arawn.adapters.base import Adapter
    from arawn.events import StreamEvent

_FOLDER = "ARAWN_CORPORA"


def score(_times: int) -> Score:
    """Read every file in this process, and every fiftieth by a command."""
    score = Score("toml-test + JSONTestSuite", "0 tracebacks, every invalid file refused with its line")
    if _FOLDER not in os.environ:
        score.skipped = f"{_FOLDER} does not name the folder of test files"
        return score
    corpora = Path(os.environ[_FOLDER])
    _toml(score, corpora / "toml-test" / "tests")
    _json(score, corpora / "json-test-suite" / "test_parsing")
    return score


def _toml(score: Score, folder: Path) -> None:
    names = [name for name in (folder / "files-toml-1.0.0").read_text().split() if name.endswith(".toml")]
    for name in names:
        score.case(name, _read(folder / name, valid=name.startswith("valid/")))
    with tempfile.TemporaryDirectory() as place:
        home = Home(Path(place))
        for name in [name for name in names if name.startswith("invalid/")][::50]:
            score.case(f"arawn with {name}", _refused(home, folder / name))


def _read(file: Path, *, valid: bool) -> str:
    """Read a file as every command does, and return what is wrong. A valid one may hold what no key of ours takes."""
    said = ""
    try:
        parsed = isinstance(parse_or_problem(file.read_bytes(), str(file)), tuple)
        sources.load(environ={"HOME": str(file.parent)}, cwd="/", config_file=str(file), project=False)
    except ConfigError as error:
        said = error.message
    except Exception as error:  # noqa: BLE001 -- a traceback is what is looked for
        return f"{type(error).__name__}: {error}"
    if parsed is not valid or (said == "" and not valid):
        return f"refused: {said}" if valid else "accepted"
    placed = re.match(re.escape(str(file)) + (r":\d+: " if valid else r":\d+:\d+: "), said)
    return "" if not said or (placed and said.isprintable()) else f"said {said!r}"


def _refused(home: Home, file: Path) -> str:
    run = home.run("--config", str(file), "config", "show")
    good = run.code == 3 and run.err.startswith(f"Error: {file}:") and run.err.count("\n") == 1
    return "" if good and not run.out else repr(run)


def _json(score: Score, folder: Path) -> None:
    chat: Adapter = OpenAIChatAdapter("json", Quirks())
    lines: Adapter = OllamaAdapter("json", Quirks())
    for file in sorted(folder.glob("*.json")):
        data = file.read_bytes()
        line = data.replace(b"\r", b" ").replace(b"\n", b" ")
        counted = (
            b'{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":%s}}' % data
        )
        ways: dict[str, Callable[[], Iterable[StreamEvent]]] = {
            "a body": partial(chat.parse_chat, data),
            "a count": partial(chat.parse_chat, counted),
            "an event": partial(events_of, chat.stream_parser(), [b"data: " + line + b"\n\n"]),
            "a line": partial(events_of, lines.stream_parser(), [line + b"\n"]),
        }
        for way, events in ways.items():
            score.case(f"{file.name} as {way}", _typed(events))


def _typed(read: Callable[[], Iterable[StreamEvent]]) -> str:
    """Read, and return what is wrong: anything raised that is not ours, and counts that are no numbers."""
    try:
        usages = [event.usage for event in read() if isinstance(event, Finished) and event.usage]
    except ArawnError as error:
        return "" if error.message.isprintable() else f"said {error.message!r}"
    except Exception as error:  # noqa: BLE001 -- a traceback is what is looked for
        return f"{type(error).__name__}: {error}"
    odd = [usage for usage in usages if type(usage.input_tokens) is not int or usage.input_tokens < 0]
    return f"counted {odd[0].input_tokens}" if odd else ""
