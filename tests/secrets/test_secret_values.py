"""A secret cannot print itself."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from dataclasses import asdict, dataclass

import pytest
from support.canary import CANARY

from arawn.secrets.references import Secret


@dataclass(frozen=True)
class Holder:
    secret: Secret


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        "{}".format,
        "{:>60}".format,
        "{!r}".format,
        "%s".__mod__,
        lambda secret: f"Bearer {secret}",
        lambda secret: json.dumps({"key": secret}, default=str),
        lambda secret: repr([secret, {"a": secret}]),
        lambda secret: repr(Holder(secret)),
        lambda secret: repr(asdict(Holder(secret))),
        lambda secret: repr(copy.copy(secret)) + repr(copy.deepcopy([secret])),
        lambda secret: repr(ValueError(secret)),
    ],
)
def test_r14_a_secret_shows_its_reference_and_never_its_value(show):
    shown = show(Secret(CANARY, "$keyring:anthropic"))

    assert "Secret('$keyring:anthropic')" in shown
    assert CANARY not in shown


@pytest.mark.parametrize(
    "leave",
    [
        json.dumps,
        pickle.dumps,
        lambda secret: pickle.dumps([secret], protocol=0),
        lambda secret: secret.__getstate__(),
        vars,
        lambda secret: secret + "",
        bytes,
    ],
)
def test_r14_a_secret_does_not_leave_by_another_door(leave):
    with pytest.raises(TypeError) as caught:
        leave(Secret(CANARY, "$keyring:anthropic"))

    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_the_value_is_given_to_who_asks_for_it():
    assert Secret(CANARY, "$env:KEY").reveal() == CANARY


def test_secrets_are_equal_by_value():
    assert Secret(CANARY, "$env:A") == Secret(CANARY, "$keyring:b")
    assert hash(Secret(CANARY, "$env:A")) == hash(Secret(CANARY, "$keyring:b"))
    assert Secret(CANARY, "$env:A") != Secret(CANARY + "x", "$env:A")
    assert Secret(CANARY, "$env:A") != CANARY
    assert Secret("schlüssel", "$env:A") == Secret("schlüssel", "$env:A")


@pytest.mark.parametrize(
    ("value", "tail"), [("k" * 104 + "7fQA", "…7fQA (108)"), ("12345678abcd", "…abcd (12)"), ("12345678abc", "… (11)")]
)
def test_r14_a_tail_has_four_characters_at_most_and_a_short_secret_none(value, tail):
    assert Secret(value, "$env:KEY").tail() == tail
