"""A process that talks and is recorded: ``python recorded_process.py FOLDER TURNS [LARGEST_FILE]``.

It prints ``asked N`` when the backend gets question N and ``saved N`` when the turn is done; a turn that was answered
but not kept is ``lost N``, and the exit code then 11.
"""

from __future__ import annotations

import sys
from contextlib import aclosing
from itertools import count

from support.conversations import MockBackends, collect_events, session, store_in

from arawn.backends.mock import MockBackend, MockResponse
from arawn.errors import NotSavedError

WORDS = 8


class ReportingBackend(MockBackend):
    async def stream(self, request):
        print("asked", request.messages[-1].text, flush=True)
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                yield event


def main(folder, turns, largest_file):
    if largest_file:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    backend = ReportingBackend().with_response(MockResponse.text("word " * WORDS))
    ticks = count()
    conversation = session(MockBackends(mock=backend), store_in(folder), clock=lambda: float(next(ticks)))
    code = 0
    for turn in range(1, turns + 1):
        try:
            collect_events(conversation.send(f"{conversation.id or 'first'}:{turn}"))
            print("saved", f"{conversation.id}:{turn}", flush=True)
        except NotSavedError as error:
            code = error.exit_code
            print("lost", turn, conversation.history[-1].text == "word " * WORDS, error.message, flush=True)
    return code


if __name__ == "__main__":
    from pathlib import Path

    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int((sys.argv[3:] or ["0"])[0])))
