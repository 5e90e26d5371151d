"""Every recorded stream, and the cases of web-platform-tests, read in random pieces: the same comes out each time."""

from __future__ import annotations

import json
import os
import random
from base64 import b64decode
from pathlib import Path

from arawn.adapters.framing import SseDecoder
from arawn.errors import ArawnError
from benchmarks.reliability import recorded
from benchmarks.reliability.score import Score
from tests.support.recordings import cut, events_of, normalised, promised

_PIECES = 30


def score(times: int) -> Score:
    """Read each ``times`` times; the cases of web-platform-tests also at every single place."""
    score = Score("recorded streams at random splits, and WPT", "0 wrong")
    if not recorded.available():
        score.skipped = recorded.MISSING
        return score
    dice = random.Random(27)
    _streams(score, times, dice)
    _web_platform_tests(score, times, dice)
    return score


def _streams(score: Score, times: int, dice: random.Random) -> None:
    for recording in recorded.streams():
        adapter, body, name = recorded.adapter(recording), recording.body, recorded.name(recording)
        whole = events_of(adapter.stream_parser(), [body])
        said, known = normalised(whole), promised(recording)
        score.case(name, "" if said["text"] == known["text"] else "another text than is known")
        for _ in range(times):
            places = [dice.randrange(len(body) + 1) for _ in range(dice.randrange(1, _PIECES))]
            try:
                same = normalised(events_of(adapter.stream_parser(), cut(body, places))) == said
            except ArawnError as error:
                score.case(name, f"{error} when split at {sorted(places)}")
            else:
                score.case(name, "" if same else f"differs when split at {sorted(places)}")


def _web_platform_tests(score: Score, times: int, dice: random.Random) -> None:
    file = Path(os.environ[recorded.FOLDER]) / "wpt_sse_cases.json"
    for case in json.loads(file.read_bytes()):
        data = b64decode(case["bytes_b64"])
        random_places = [[dice.randrange(len(data) + 1) for _ in range(_PIECES)] for _ in range(times)]
        for places in [*([place] for place in range(len(data) + 1)), *random_places]:
            decoder = SseDecoder()
            found = [event.data for piece in cut(data, places) for event in decoder.feed(piece)]
            score.case(case["name"], "" if found == case["expect_data"] else f"wrong when split at {places}")
