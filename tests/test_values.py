from __future__ import annotations

import copy
import pickle
from typing import ClassVar

import pytest

from arawn.messages import LLMMessage, Message
from arawn.values import EMPTY, Value, as_dict, fields_of, replace


class Point(Value):
    _unshown = ("secret",)
    kind: ClassVar[str] = "point"
    x: int
    y: int = 0
    secret: str = "hidden"


class Place(Value, kw_only=True):
    x: int
    y: int = 0


def test_values_are_equal_when_type_and_fields_are():
    assert Point(1, 2) == Point(1, y=2)
    assert Point(1) != Point(2)
    assert Point(1) != Place(x=1)
    assert hash(Point(1, 2)) == hash(Point(1, 2))


def test_a_value_is_never_changed():
    point = Point(1)

    with pytest.raises(AttributeError, match="Point is immutable"):
        point.x = 2
    with pytest.raises(AttributeError, match="Point is immutable"):
        del point.x
    assert replace(point, x=2) == Point(2)
    assert point == Point(1)


def test_what_is_missing_or_unknown_is_a_type_error():
    with pytest.raises(TypeError, match="'x'"):
        Point()
    with pytest.raises(TypeError, match="'z'"):
        replace(Point(1), z=1)
    with pytest.raises(TypeError, match="positional"):
        Place(1)


def test_a_value_shows_its_fields_but_those_it_hides():
    assert repr(Point(1, 2)) == "Point(x=1, y=2)"
    assert fields_of(Point) == ("x", "y", "secret")
    assert as_dict(Place(x=1)) == {"x": 1, "y": 0}


def test_a_value_is_taken_apart_by_match():
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_a_value_is_copied_and_pickled_whole():
    message = LLMMessage("user", "hi")

    assert copy.deepcopy(message) == message
    assert pickle.loads(pickle.dumps(message)) == message
    assert isinstance(pickle.loads(pickle.dumps(message)), Message)


def test_the_empty_default_stays_empty():
    with pytest.raises(TypeError, match="not changed"):
        EMPTY["x"] = 1
    with pytest.raises(TypeError, match="not changed"):
        EMPTY.update(x=1)
    assert EMPTY == {}
    assert copy.deepcopy(EMPTY) is EMPTY
