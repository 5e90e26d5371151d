from __future__ import annotations

import pytest
from support.optional_data import needs
from support.recordings import recordings

from arawn.adapters.rate_limits import Allowance, Pace, parse_pace

DATE = {"date": "Wed, 19 Aug 2026 14:34:12 GMT"}


def openai(what, left, reset, limit=None):
    values = {"remaining": left, "reset": reset, "limit": limit}
    return {f"x-ratelimit-{word}-{what}": value for word, value in values.items() if value is not None}


def anthropic(what, left, reset, limit):
    values = {"remaining": left, "reset": reset, "limit": limit}
    return {f"anthropic-ratelimit-{what}-{word}": value for word, value in values.items()}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("20ms", 0.02),
        ("6m0s", 360.0),
        ("2m1.5s", 121.5),
        ("8.64s", 8.64),
        ("1h2m3s", 3723.0),
        ("120.5µs", 120.5e-6),
        ("7", 7.0),
        (" 34 ", 34.0),
    ],
)
def test_a_reset_may_be_a_duration_or_seconds(text, seconds):
    found = parse_pace(openai("requests", "0", text))
    assert found.requests.left == 0
    assert found.requests.reset == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-08-19T14:34:57Z", 45.0),
        ("2026-08-19T16:34:13+02:00", 1.0),
        ("2026-08-19T14:34:12.5Z", 0.5),
        ("1787150057", 5.0),
        ("1787150057500", 5.5),
    ],
)
def test_a_reset_may_be_a_time_which_counts_from_the_answers_own_date(text, seconds):
    assert parse_pace({**anthropic("requests", "1", text, "50"), **DATE}) == Pace(Allowance(1, seconds))
    assert parse_pace(anthropic("requests", "1", text, "50")) == Pace()


@pytest.mark.parametrize(
    "reset",
    [
        *("", "0s", "0", "-1s", "-5", "nan", "inf", "NaNs", "soon", "1 s", "1s;", "s", "1d", "9" * 400, "1e3", "1.s"),
        *(
            "99999h",
            "8d",
            "2036-08-19T14:34:57Z",
            "2026-08-19T14:34:11Z",
            "2026-13-45T00:00:00Z",
            "१s",
            "9999999999999999",
        ),
    ],
)
def test_a_reset_that_cannot_be_or_is_over_says_nothing(reset):
    assert parse_pace({**openai("requests", "0", reset), **DATE}) == Pace()


@pytest.mark.parametrize("left", ["-1", "nan", "inf", "1.5", "", "many", "1e3", "९", "9223372036854767616", "0x1"])
def test_a_remainder_that_is_no_count_says_nothing(left):
    assert parse_pace(openai("tokens", left, "6m0s", "100")) is None


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 99 Aug 2026 14:34:12 GMT", "Wed, 19 Aug 99999999 1:1:1 GMT"])
def test_a_time_without_a_date_to_count_from_says_nothing(date):
    assert parse_pace({**anthropic("requests", "0", "2026-08-19T14:34:57Z", "50"), "date": date}) == Pace()


def test_headers_without_limits_are_distinguished_from_headers_with_enough_left():
    assert parse_pace({"content-type": "text/plain", "retry-after": "12"}) is None
    assert parse_pace(openai("requests", "4999", "12ms", "5000")) == Pace()


@pytest.mark.parametrize(
    ("left", "limit", "little"),
    [
        ("2500", "5000", False),
        ("2499", "5000", True),
        ("10", "12", True),
        ("11", "12", False),
        ("0", "0", True),
        ("4000", None, True),
        ("4000", "-1", True),
    ],
)
def test_requests_are_few_below_half_of_the_limit_and_up_to_ten(left, limit, little):
    assert bool(parse_pace(openai("requests", left, "9s", limit)).requests) is little


def test_tokens_are_few_below_half_of_the_limit():
    assert parse_pace(openai("tokens", "5", "9s", "10")) == Pace()
    assert parse_pace(openai("tokens", "4", "9s", "10")) == Pace(tokens=Allowance(4, 9.0))


def test_of_several_limits_the_one_with_least_left_counts():
    found = parse_pace(
        {
            **anthropic("tokens", "900", "2026-08-19T14:34:20Z", "48000"),
            **anthropic("input-tokens", "100", "2026-08-19T14:34:50Z", "40000"),
            **DATE,
        }
    )
    assert found == Pace(tokens=Allowance(100, 38.0))


def test_output_tokens_count_only_when_none_are_left():
    reset = "2026-08-19T14:34:20Z"
    assert parse_pace({**anthropic("output-tokens", "1", reset, "8000"), **DATE}) == Pace()
    assert parse_pace({**anthropic("output-tokens", "0", reset, "8000"), **DATE}) == Pace(tokens=Allowance(0, 8.0))


def test_groq_reports_requests_per_day_and_tokens_per_minute():
    groq = {**openai("requests", "14370", "2m59.56s", "14400"), **openai("tokens", "29", "7.66s", "6000")}
    assert parse_pace(groq) == Pace(tokens=Allowance(29, 7.66))


def test_openrouter_and_the_draft_of_the_ietf_name_no_unit():
    openrouter = {"x-ratelimit-limit": "1", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1787150060000"}
    assert parse_pace({**openrouter, **DATE}) == Pace(Allowance(0, 8.0))
    draft = {"ratelimit-limit": "400", "ratelimit-remaining": "3", "ratelimit-reset": "19"}
    assert parse_pace(draft) == Pace(Allowance(3, 19.0))


def test_a_pause_asked_for_with_a_success_is_no_pace():
    assert parse_pace({"retry-after": "12", **anthropic("requests", "49", "2025-12-08T23:16:48Z", "50")}) == Pace()


TELLING = ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining")
SCARCE = {
    "anthropic/max-tokens-stream": Pace(requests=Allowance(1, 30.0)),
    "openai/responses-web-search-msg": Pace(tokens=Allowance(12929, 34.142)),
}


@needs("ARAWN_RECORDINGS")
def test_what_real_providers_sent_is_understood():
    sent = {each.id: each.values[0].headers for each in recordings(lambda line: True)}
    telling = {name: headers for name, headers in sent.items() if any(word in headers for word in TELLING)}
    assert len(telling) > 30
    found = {name: parse_pace({"date": "Tue, 04 Jun 2024 18:39:27 GMT", **each}) for name, each in telling.items()}
    assert found == {name: SCARCE.get(name, Pace()) for name in telling}


@needs("ARAWN_RECORDINGS")
def test_what_other_headers_of_real_providers_say_is_no_pace_or_one_that_can_be():
    for each in recordings(lambda line: True):
        found = parse_pace({"date": "Fri, 08 Aug 2025 15:40:00 GMT", **each.values[0].headers}) or Pace()
        assert all(part.reset <= 60 for part in (found.requests, found.tokens) if part), each.values[0].headers
