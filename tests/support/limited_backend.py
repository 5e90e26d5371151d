"""``LimitFixture``: a backend limited by a real file, with a clock that moves only when somebody sleeps."""

from __future__ import annotations

from support.http_backend import ASK

from arawn.engine.blocking import iterate
from arawn.events import Finished, FinishReason, Notice, Started, TextDelta
from arawn.messages import Usage
from arawn.middleware.limit import Limit
from arawn.store.database import Database
from arawn.store.limits import Limits, Permit, Quota

HI = (Started("b", "m-1"), TextDelta("Hi"))
END = Finished(FinishReason.STOP, usage=Usage(10, 5))


class ScriptedBackend:
    """A backend that says these events, or raises them."""

    name = "b"

    def __init__(self, *events):
        self.events = events
        self.asked = 0

    async def stream(self, request):
        self.asked += 1
        for each in self.events:
            if isinstance(each, BaseException):
                raise each
            yield each


class LimitFixture:
    """A file, a clock, a log."""

    def __init__(self, path):
        self.now = 100.0
        self.random = 0.0
        self.slept = []
        self.told = []
        self.database = Database(str(path))
        self.limits = Limits(self.database, monotonic=lambda: self.now)

    async def sleep(self, seconds):
        self.slept.append(round(seconds, 3))
        self.now += seconds

    def tell(self, name, **fields):
        self.told.append((name, fields))

    def rules(self, **quota):
        return {
            "quota": Quota(**{key: quota.pop(key) for key in ("rpm", "tpm", "concurrent") if key in quota}),
            "sleep": self.sleep,
            "estimate": lambda _: 40,
            "longest": 600.0,
            "tell": self.tell,
            "monotonic": lambda: self.now,
            "random": lambda: self.random,
            **quota,
        }

    def around(self, inner, **rules):
        return Limit(inner, self.limits, **self.rules(**rules))

    def taken(self, **quota):
        """Take a permit as another process would."""
        permit = self.limits.acquire("b", Quota(**quota), 0)
        assert isinstance(permit, Permit)
        return permit

    def left(self, tpm):
        """How many tokens of a minute are left."""
        return next(n for n in range(tpm, -1, -1) if isinstance(self.probe(tpm, n), Permit))

    def probe(self, tpm, tokens):
        got = self.limits.acquire("b", Quota(tpm=tpm), tokens)
        if isinstance(got, Permit):
            self.limits.release(got, 0)
        return got

    def held(self):
        return self.database.rows("SELECT count(*) FROM permits WHERE held = 1")[0][0]


def collect_events(backend, request=ASK):
    return list(iterate(backend.stream(request)))


def notices(events):
    return [each.text for each in events if isinstance(each, Notice)]
