"""Prices that hold at some times only, and what a call costs by the moment it was made."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from arawn.messages import Usage
from arawn.models.catalog import ModelFacts, cost, find, override
from arawn.models.prices import Price, price_at, seconds_of

MILLION = Usage(1_000_000)


def at(moment: str) -> float:
    """Return a time in UTC, written like 2026-11-30 03:00:00, in seconds since the epoch."""
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


def of(backend: str, model: str) -> ModelFacts:
    facts = find(backend, model)
    assert facts is not None
    return facts


class TestTheTimesOfAPrice:
    @pytest.mark.parametrize(
        ("moment", "held"),
        [
            ("2026-10-31 23:59:59", False),
            ("2026-11-01 00:00:00", True),
            ("2026-11-30 23:59:59", True),
            ("2026-12-01 00:00:00", False),
        ],
    )
    def test_it_holds_from_the_first_second_of_its_first_day_to_the_last_of_its_last(self, moment, held):
        price = Price(since="2026-11-01", until="2026-11-30")
        assert (price_at([price], at(moment)) is price) is held

    @pytest.mark.parametrize(
        ("moment", "held"),
        [
            ("2026-11-29 12:00:00", False),  # a Sunday
            ("2026-11-30 12:00:00", True),  # a Monday
            ("2026-12-04 12:00:00", True),
            ("2026-12-05 12:00:00", False),
            ("1970-01-01 00:00:00", True),  # a Thursday
        ],
    )
    def test_it_holds_on_its_days_of_the_week(self, moment, held):
        assert (price_at([Price(weekdays=(1, 2, 3, 4, 5))], at(moment)) is not None) is held

    @pytest.mark.parametrize(
        ("moment", "held"),
        [
            ("2026-11-30 00:59:59", False),
            ("2026-11-30 01:00:00", True),
            ("2026-11-30 03:59:59", True),
            ("2026-11-30 04:00:00", False),
            ("2026-11-30 23:59:59", True),
        ],
    )
    def test_it_holds_from_the_beginning_of_its_hours_to_before_their_end(self, moment, held):
        assert (price_at([Price(hours_utc=("01:00-04:00", "23:30-24:00"))], at(moment)) is not None) is held

    @pytest.mark.parametrize(
        "hours", ["", "01:00", "04:00-01:00", "01:00-01:00", "1:00-2:00", "01:60-02:00", "01:00-24:01"]
    )
    def test_what_is_no_span_of_a_day_is_refused(self, hours):
        with pytest.raises(ValueError, match="no "):
            seconds_of(hours)

    def test_the_first_that_holds_counts(self):
        prices = [Price(input=Decimal(1), until="2026-11-30"), Price(input=Decimal(2)), Price(input=Decimal(3))]
        assert [price_at(prices, at(f"{day} 12:00:00")).input for day in ("2026-11-30", "2026-12-01")] == [1, 2]
        assert price_at([], 0.0) is None

    def test_where_none_holds_the_cost_is_not_known(self):
        facts = ModelFacts(backend="b", id="m", prices=(Price(input=Decimal(1), since="2026-12-01"),))
        assert cost(MILLION, facts, at("2026-11-30 23:59:59")) is None
        assert cost(MILLION, facts, at("2026-12-01 00:00:00")) == 1


class TestThePricesOfTheCatalogue:
    @pytest.mark.parametrize(
        ("moment", "usd"),
        [
            ("2026-11-30 03:00:00", "0.3"),  # Monday, in the hours of the peak
            ("2026-11-30 05:00:00", "0.15"),
            ("2026-11-30 06:00:00", "0.3"),
            ("2026-11-30 10:00:00", "0.15"),
            ("2026-12-05 03:00:00", "0.15"),  # Saturday
        ],
    )
    def test_deepseek_is_dearer_in_the_hours_of_its_peak(self, moment, usd):
        assert cost(MILLION, of("deepseek", "deepseek-flash"), at(moment)) == Decimal(usd)

    @pytest.mark.parametrize("model", ["gemini-4-argon", "gemini-4-carbon"])
    def test_gemini_4_doubles_on_the_first_of_december(self, model):
        days = [
            cost(Usage(0, 1_000_000), of("gemini", model), at(f"{time}"))
            for time in ("2026-11-30 23:59:59", "2026-12-01 00:00:00")
        ]
        assert days == [10, 20]

    @pytest.mark.parametrize(
        "model", ["gemini-3.6-flash", "gemini-3.7-flash", "gemini-3.8-flash", "gemini-flash-latest"]
    )
    def test_the_flash_models_double_with_the_year(self, model):
        days = [cost(MILLION, of("gemini", model), at(time)) for time in ("2026-12-31 23:59:59", "2027-01-01 00:00:00")]
        assert days == [Decimal("0.75"), Decimal("1.5")]

    def test_a_model_whose_requests_go_to_its_successor_costs_what_that_costs(self):
        for model, successor in (("gemini-2.5-pro", "gemini-3.8-flash"), ("gemini-2.5-flash", "gemini-3.5-flash-lite")):
            for day in ("2026-12-01", "2026-12-31", "2027-01-01"):
                noon = at(f"{day} 12:00:00")
                assert cost(MILLION, of("gemini", model), noon) == cost(MILLION, of("gemini", successor), noon)

    def test_a_cheaper_cache_counts_from_its_day_on(self):
        read = Usage(1_000_000, cache_read_tokens=1_000_000)
        sonnet = of("anthropic", "claude-sonnet-5-5")
        days = [cost(read, sonnet, at(time)) for time in ("2026-10-06 23:59:59", "2026-10-07 00:00:00")]
        assert days == [Decimal("0.2"), Decimal("0.1")]

    def test_all_of_a_long_request_to_haiku_costs_five_times_as_much(self):
        haiku, noon = of("anthropic", "claude-haiku-5-5"), at("2026-11-30 12:00:00")
        written = {"cache_write_tokens": 50_000, "cache_write_1h_tokens": 20_000}
        short, long = (cost(Usage(tokens, 1_000, **written), haiku, noon) for tokens in (100_000, 100_001))
        assert short == Decimal("0.01325")
        assert long == 5 * short + Decimal("0.0000005")


class TestTokensWrittenForAnHour:
    PRICED = ModelFacts(
        backend="b",
        id="m",
        prices=(Price(input=Decimal(4), output=Decimal(20), cache_write=Decimal(5), cache_write_1h=Decimal(8)),),
    )

    @pytest.mark.parametrize(("hour", "usd"), [(0, "5"), (400_000, "6.2"), (1_000_000, "8"), (2_000_000, "8")])
    def test_they_are_part_of_what_was_written_and_cost_more(self, hour, usd):
        usage = Usage(1_000_000, cache_write_tokens=1_000_000, cache_write_1h_tokens=hour)
        assert cost(usage, self.PRICED, 0.0) == Decimal(usd)

    def test_without_a_price_of_their_own_they_cost_as_other_writes_and_those_as_input(self):
        usage = Usage(1_000_000, cache_write_tokens=1_000_000, cache_write_1h_tokens=1_000_000)
        for price, usd in ((Price(input=Decimal(4), cache_write=Decimal(5)), 5), (Price(input=Decimal(4)), 4)):
            assert cost(usage, ModelFacts(backend="b", id="m", prices=(price,)), 0.0) == usd


class TestWhoseWordCounts:
    REPORTED = Usage(1_000_000, cost=Decimal("0.77"))

    def test_what_a_service_reports_comes_before_the_table(self):
        facts = ModelFacts(backend="b", id="m", prices=(Price(input=Decimal(4)),))
        assert cost(self.REPORTED, facts, 0.0) == Decimal("0.77")

    def test_the_users_own_price_comes_before_what_a_service_reports(self):
        facts = override(ModelFacts(backend="b", id="m"), {"input_price": 2})
        assert cost(self.REPORTED, facts, 0.0) == 2

    def test_where_the_users_own_prices_do_not_suffice_the_report_counts(self):
        facts = override(ModelFacts(backend="b", id="m"), {"input_price": 2})
        assert cost(Usage(1, 1, cost=Decimal("0.77")), facts, 0.0) == Decimal("0.77")
        assert cost(self.REPORTED, override(facts, {"max_output": 5}), 0.0) == 2
        only_output = override(ModelFacts(backend="b", id="m"), {"output_price": 2})
        assert cost(self.REPORTED, only_output, 0.0) == Decimal("0.77")
