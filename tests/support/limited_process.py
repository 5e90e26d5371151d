"""A process that calls a limited backend: ``python limited_process.py FOLDER NAME=VALUE …`` (see ``main``).

It prints ``taken T`` for a permit, ``began T`` and ``ended T`` around the call itself, ``failed KIND`` for one that was
given up, T in seconds of the clock that all processes of a machine share.
"""

from __future__ import annotations

import sys
import time
from contextlib import aclosing
from random import random

from support.http_backend import ASK
from support.limited_backend import ScriptedBackend

from arawn.engine.blocking import run, sleep
from arawn.errors import ArawnError
from arawn.events import TextDelta
from arawn.middleware.limit import Limit, LimitPolicy
from arawn.store.database import Database
from arawn.store.limits import Permit, Quota, RateLimits


class ReportingLimits(RateLimits):
    def acquire(self, backend, quota, tokens):
        got = super().acquire(backend, quota, tokens)
        if isinstance(got, Permit):
            report("taken", got.taken)
        return got


class SlowBackend(ScriptedBackend):
    """Takes ``seconds`` for each answer."""

    def __init__(self, seconds):
        super().__init__(TextDelta("Hi"))
        self.seconds = seconds

    async def stream(self, request):
        report("began", time.monotonic())
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                yield event
        await sleep(self.seconds)
        report("ended", time.monotonic())


def report(what, value):
    print(what, value, flush=True)


async def ask(limited):
    async with aclosing(limited.stream(ASK)) as events:
        async for _ in events:
            pass


def main(folder, *, calls=1, rpm=0, tpm=0, concurrent=0, tokens=0, window=1.0, seconds=0.0, longest=60.0):
    with Database(f"{folder}/arawn.db") as database:
        policy = LimitPolicy(
            backend=SlowBackend.name,
            limits=ReportingLimits(database, window=window),
            quota=Quota(int(rpm) or None, int(tpm) or None, int(concurrent) or None),
            max_wait=longest,
            sleep=sleep,
            random=random,
            log=lambda *_, **__: None,
        )
        limited = Limit(SlowBackend(seconds), policy, lambda _: int(tokens))
        for _ in range(int(calls)):
            try:
                run(ask(limited))
            except ArawnError as error:
                report("failed", error.kind)


if __name__ == "__main__":
    named = (word.partition("=") for word in sys.argv[2:])
    main(sys.argv[1], **{name: float(value) for name, _, value in named})
