"""No error that comes back from a backend repeats a key, nor does anything that caused it."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

import pytest

from arawn.engine.blocking import iterate, run
from arawn.errors import ConnectionFailedError, ServerError
from arawn.events import TextDelta
from arawn.messages import ChatRequest
from arawn.middleware.errors import RedactSecrets, RedactSecretsEmbedder
from arawn.secrets.references import Secret

KEY = "a/secret+of=24characters"
SECRETS = [Secret(KEY, "$env:KEY")]
REQUEST = ChatRequest("m", ())
FORMS = [KEY, quote(KEY), quote(KEY, safe=""), b64encode(b"user:" + KEY.encode()).decode()]


class Talkative:
    """A server that repeats what it was sent."""

    name = "talkative"

    def __init__(self, said):
        self._said = said

    def _fail(self):
        try:
            raise ValueError(f"bytes were {self._said}")
        except ValueError as cause:
            raise ServerError(
                f"it said {self._said}!", hints=(f"hint {self._said}",), code=self._said, request_id=self._said
            ) from cause

    async def stream(self, request):
        yield TextDelta(f"your key is {self._said}")
        self._fail()

    async def models(self):
        self._fail()

    async def embed(self, texts):
        self._fail()


def everything_told(error):
    told = [error.message, *error.hints, error.code, error.request_id, str(error), str(error.__cause__)]
    return "\n".join(told)


@pytest.mark.parametrize("said", FORMS)
@pytest.mark.parametrize("verb", ["models", "embed"])
def test_r14_an_error_repeats_no_form_of_the_key(verb, said):
    inner = Talkative(said)
    with pytest.raises(ServerError) as caught:
        run(
            RedactSecrets(inner, SECRETS).models()
            if verb == "models"
            else RedactSecretsEmbedder(inner, SECRETS).embed([])
        )
    assert said not in everything_told(caught.value)
    assert caught.value.message.startswith("it said ")


def test_r14_the_answer_itself_is_left_as_it_is_and_the_error_after_it_is_clean():
    events = iterate(RedactSecrets(Talkative(KEY), SECRETS).stream(REQUEST))
    assert next(events) == TextDelta(f"your key is {KEY}")
    with pytest.raises(ServerError) as caught:
        next(events)
    assert KEY not in everything_told(caught.value)


def test_a_key_that_is_looked_up_after_the_backend_was_made_counts():
    secrets = []
    events = iterate(RedactSecrets(Talkative(KEY), secrets).stream(REQUEST))
    next(events)
    secrets += SECRETS
    with pytest.raises(ServerError) as caught:
        next(events)
    assert KEY not in everything_told(caught.value)


def test_a_key_that_may_be_any_word_is_left_in_place():
    with pytest.raises(ServerError) as caught:
        run(RedactSecrets(Talkative("none"), [Secret("none", "(literal)")]).models())
    assert caught.value.message == "it said none!"


def test_errors_that_cause_one_another_do_not_keep_it_for_ever():
    first, second = ConnectionFailedError(KEY), ConnectionFailedError("two")
    first.__context__, second.__context__ = second, first

    class Circular(Talkative):
        async def models(self):
            raise first

    with pytest.raises(ConnectionFailedError) as caught:
        run(RedactSecrets(Circular(""), SECRETS).models())
    assert caught.value.message == "…"
