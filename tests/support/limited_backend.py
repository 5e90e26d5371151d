"""``LimitFixture``: a backend limited by a real file, with a clock that moves only when somebody sleeps."""

from __future__ import annotations

from support.http_backend import ASK

from arawn.engine.blocking import iterate
from arawn.events import Finished, FinishReason, Notice, Started, TextDelta
from arawn.messages import Usage
from arawn.middleware.limit import Limit, LimitPolicy
from arawn.store.database import Database
from arawn.store.limits import Permit, Quota, RateLimits

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
        self.limits = RateLimits(self.database, monotonic=lambda: self.now)

    async def sleep(self, seconds):
        self.slept.append(round(seconds, 3))
        self.now += seconds

    def log(self, name, **fields):
        self.told.append((name, fields))

    def policy(self, **options):
        quota = Quota(**{key: options.pop(key) for key in ("rpm", "tpm", "concurrent") if key in options})
        return LimitPolicy(
            **{
                "backend": "b",
                "limits": self.limits,
                "quota": quota,
                "max_wait": 600.0,
                "sleep": self.sleep,
                "random": lambda: self.random,
                "log": self.log,
                "monotonic": lambda: self.now,
                **options,
            }
        )

    def around(self, inner, *, estimate=lambda _: 40, **options):
        return Limit(inner, self.policy(**options), estimate)

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
