"""Keys that take a while, on an event loop."""

from __future__ import annotations

import asyncio
import shlex
import sys

from support.http_backend import STREAM, streamed
from support.loopback import Loopback
from support.processes import Home

from arawn.config.sources import load
from arawn.engine.assembly import Engine
from arawn.events import TextDelta
from arawn.messages import ChatRequest

WAITING = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\nprint('sk-slow-0123456789')"


def test_a_command_that_prints_a_key_does_not_hold_up_the_event_loop(tmp_path):
    home, sign = Home(tmp_path), tmp_path / "sign"
    (tmp_path / "key.py").write_text(WAITING)
    command = shlex.join([sys.executable, str(tmp_path / "key.py"), str(sign)])

    async def answered(engine):
        backend = engine.backend(engine.choose())
        events = [event async for event in backend.stream(ChatRequest("m", ()))]
        return "".join(event.text for event in events if isinstance(event, TextDelta))

    async def both(engine):
        answer = asyncio.create_task(answered(engine))
        await asyncio.sleep(0)
        sign.touch()  # only a loop that runs comes here, and without it the command ends with its time
        text = await answer
        await engine.aclose()
        return text

    with Loopback(streamed(*STREAM)) as server:
        home.serve(server.url, f'api_key = "$cmd:{command}"')
        engine = Engine.asynchronous(load(environ=home.environ, cwd=str(home.work)))

        assert asyncio.run(both(engine))
        assert "Bearer sk-slow-0123456789" in str(server.requests[0])
