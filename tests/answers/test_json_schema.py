"""Reading JSON Schemas of any draft and checking values against them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator, Draft7Validator, Draft202012Validator, FormatChecker
from support.ordinary_schemas import ORDINARY

from arawn.answers.json_schema.keywords import SchemaError
from arawn.answers.json_schema.normal import normal_form
from arawn.answers.json_schema.validator import UncheckableError, Validator


def problems(schema, value):
    return list(map(str, Validator(normal_form(schema)).problems(value)))


@pytest.mark.parametrize("ordinary", ORDINARY.values(), ids=ORDINARY)
def test_what_fits_fits_and_nothing_else(ordinary):
    check = Validator(normal_form(ordinary.schema))
    assert [check.problems(value) for value in ordinary.fits] == [[]] * len(ordinary.fits)
    assert all(check.problems(value) for value in ordinary.misfits)


# ---- beside the reference implementation ----

LEAVES = st.sampled_from([None, True, False, 0, 1, -1, 2.0, 2.5, "", "a", "ab", "abc", [], {}])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
LIMITS = {
    "type": st.sampled_from(["null", "boolean", "object", "array", "number", "string", "integer", ["string", "null"]]),
    "enum": st.lists(VALUES, min_size=1, max_size=3),
    "const": VALUES,
    "multipleOf": st.sampled_from([1, 2, 0.5]),
    "minimum": st.sampled_from([0, 1.5]),
    "exclusiveMaximum": st.sampled_from([1, 2.5]),
    "minLength": st.integers(0, 3),
    "maxLength": st.integers(0, 3),
    "pattern": st.sampled_from(["a", "^b", "[bc]"]),
    "minItems": st.integers(0, 2),
    "maxItems": st.integers(0, 2),
    "uniqueItems": st.booleans(),
    "minProperties": st.integers(0, 2),
    "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
}


def schemas(draft):
    def made(inner):
        named = st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
        parts = st.lists(inner, min_size=1, max_size=2)
        keys = {
            **LIMITS,
            "properties": named,
            "additionalProperties": inner,
            "patternProperties": st.dictionaries(st.sampled_from(["a", "^b"]), inner, max_size=2),
            "propertyNames": inner,
            "contains": inner,
            "allOf": parts,
            "anyOf": parts,
            "oneOf": parts,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            **({"items": parts | inner, "additionalItems": inner} if draft == 7 else {}),
            **({"dependencies": st.dictionaries(st.sampled_from("abc"), inner, max_size=2)} if draft == 7 else {}),
            **({"items": inner, "prefixItems": parts, "minContains": st.integers(0, 2)} if draft == 2020 else {}),
            **({"dependentSchemas": named, "maxContains": st.integers(0, 2)} if draft == 2020 else {}),
        }
        return st.lists(st.sampled_from(sorted(keys)), max_size=4, unique=True).flatmap(
            lambda chosen: st.fixed_dictionaries({key: keys[key] for key in chosen})
        )

    return st.recursive(st.booleans() | made(st.just({})), made, max_leaves=5)


@settings(max_examples=500, deadline=None)
@given(st.data())
@pytest.mark.parametrize(("draft", "reference"), [(7, Draft7Validator), (2020, Draft202012Validator)])
def test_any_schema_means_what_it_means_to_the_reference_implementation(draft, reference, data):
    schema = {"properties": {"a": data.draw(schemas(draft))}, "$schema": reference.META_SCHEMA["$schema"]}
    values = data.draw(st.lists(VALUES, min_size=1, max_size=6))
    check, other = Validator(normal_form(schema)), reference(schema)
    for value in values:
        assert bool(check.problems({"a": value})) != other.is_valid({"a": value}), value


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=12), st.text(max_size=12), VALUES)
def test_no_name_or_text_of_a_schema_does_anything_but_name(name, text, value):
    schema = {
        "type": "object",
        "title": text,
        "properties": {name: {"const": text}},
        "required": [name],
        "$defs": {name: {"enum": [text]}},
        "additionalProperties": {"$ref": "#/$defs/" + name.replace("~", "~0").replace("/", "~1").replace("%", "%25")},
    }
    assert problems(schema, {name: text, f"{name}!": text}) == []
    assert problems(schema, {name: [value]})


# ---- what is said ----


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "integer"}, "a", "expected integer, found string"),
        (
            {"properties": {"a/b": {"items": {"type": "null"}}}},
            {"a/b": [None, 1]},
            "/a~1b/1: expected null, found integer",
        ),
        ({"required": ["a"]}, {}, '"a" is missing'),
        ({"additionalProperties": False}, {"x": 1}, 'has a property that is not allowed: "x"'),
        ({"enum": ["a", "b"]}, "c", 'expected one of ["a", "b"]'),
        ({"maxLength": 1}, "abc", "has 3 characters, expected at most 1"),
        ({"minimum": 2}, 1, "is 1, expected at least 2"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, 1.5, "fits none of the 2 schemas it may fit"),
        (
            {"anyOf": [{"type": "null"}, {"properties": {"a": {"type": "null"}}}]},
            {"a": 1},
            "/a: expected null, found integer",
        ),
        ({"contains": {"const": 1}, "minContains": 2}, [1], "has 1 items that fit contains, expected at least 2"),
    ],
)
def test_a_problem_names_its_place_and_what_was_expected(schema, value, said):
    assert problems(schema, value)[0] == said


def test_a_name_the_model_made_up_cannot_make_a_long_or_second_line():
    said = problems({"additionalProperties": {"type": "null"}}, {"a\n\x1b" + "b" * 9_000: 1})[0]
    assert len(said) < 200
    assert said.isprintable()


def test_all_problems_are_found_up_to_a_number():
    schema = {"items": {"type": "null"}}
    assert len(problems(schema, [1, None, 2])) == 2
    assert len(Validator(normal_form(schema)).problems([1] * 9, most=4)) == 4


# ---- what is refused ----


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (
            {"properties": {"a": {"unevaluatedProperties": False}}},
            "unevaluatedProperties at #/properties/a/unevaluatedProperties",
        ),
        ({"unevaluatedItems": True}, "unevaluatedItems at #/unevaluatedItems cannot be checked"),
        ({"$defs": {"a/b": {"$dynamicRef": "#x"}}}, "$dynamicRef at #/$defs/a~1b/$dynamicRef"),
        ({"items": [{"$recursiveRef": "#"}]}, "$recursiveRef at #/items/0/$recursiveRef"),
        ({"$ref": "http://x.test/a.json"}, "$ref to http://x.test/a.json: nothing is fetched"),
        ({"$id": "http://x.test/a.json", "items": {"$ref": "b.json#/c"}}, "$ref to b.json#/c: nothing is fetched"),
        ({"$ref": "#/$defs/none"}, "$ref to #/$defs/none: there is no schema"),
        ({"$ref": "#none"}, "$ref to #none: there is no schema of that name"),
        ({"$ref": "#/enum/0", "enum": ["a"]}, "$ref to #/enum/0: there is no schema"),
        ({"$ref": "#"}, "$ref to # leads back to itself"),
        (
            {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
            "leads back to itself",
        ),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "draft 3"),
        ({"type": "any"}, "type at #: expected one or more of null"),
        ({"type": []}, "type at #"),
        ({"properties": {"a": {"minimum": "5"}}}, "minimum at #/properties/a: expected a number"),
        ({"minLength": -1}, "minLength at #: expected a whole number from 0 up"),
        ({"multipleOf": 0}, "multipleOf at #: expected a number above 0"),
        ({"maximum": float("inf")}, "maximum at #: expected a number"),
        ({"required": True}, "required at #: expected a list of names"),
        ({"properties": []}, "properties at #: expected an object"),
        ({"anyOf": []}, "anyOf at #: expected a list of schemas that is not empty"),
        ({"items": 1}, "#/items: expected a schema"),
        ({"pattern": "("}, "pattern at #: "),
        ({"patternProperties": {"[": {}}}, "pattern at #: "),
        ({"dependencies": []}, "dependencies at #: expected an object"),
    ],
)
def test_what_is_no_schema_or_cannot_be_checked_is_named(schema, said):
    with pytest.raises(SchemaError) as caught:
        normal_form(schema)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"unevaluatedItems": {}, "$dynamicRef": {"type": "string"}}},
        {"enum": [{"unevaluatedItems": 1}], "default": {"$ref": "http://x.test"}},
        {"$ref": "#/components/schemas/A", "components": {"schemas": {"A": {"type": "string"}}}},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$vocabulary": {}, "$comment": "c"},
    ],
)
def test_names_and_values_that_look_like_keywords_are_none(schema):
    assert normal_form(schema)


# ---- what takes long ----


def test_a_schema_nested_too_deeply_is_refused():
    schema: dict = {}
    for _ in range(5_000):
        schema = {"items": schema}
    with pytest.raises(SchemaError, match="nested too deeply"):
        normal_form(schema)


@pytest.mark.parametrize("depth", [10, 40])
def test_a_schema_that_is_nested_deeply_is_checked(depth):
    schema: dict = {"type": "integer"}
    value: object = 1
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": {"anyOf": [schema, {"type": "null"}]}}, "required": ["a"]}
        value = {"a": value}
    assert problems(schema, value) == []


def test_a_value_that_is_nested_too_deeply_is_not_checked():
    value: list = []
    for _ in range(5_000):
        value = [value]
    with pytest.raises(UncheckableError, match="nested too deeply"):
        problems({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, value)


def test_a_check_ends_after_so_many_steps():
    schema: dict = {"type": "string"}
    definitions: dict = {}
    for number in range(40):
        definitions[f"d{number}"] = {"allOf": [{"$ref": f"#/$defs/d{number + 1}"}] * 2}
    definitions["d40"] = schema
    with pytest.raises(UncheckableError, match="too many steps"):
        problems({"$ref": "#/$defs/d0", "$defs": definitions}, "a")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer on this system")
def test_a_pattern_that_takes_for_ever_is_given_up():
    script = (
        "import signal\n"
        "from arawn.answers.json_schema import validator\n"
        "from arawn.answers.json_schema.normal import normal_form\n"
        "validator._SECONDS = 0.05\n"
        "try: validator.Validator(normal_form({'pattern': '^(a+)+$'})).problems('a' * 64 + '!')\n"
        "except validator.UncheckableError as error: print(error)\n"
        "print(signal.getsignal(signal.SIGALRM) is signal.SIG_DFL, signal.getitimer(signal.ITIMER_REAL)[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["it takes longer than 0.05 seconds to check", "True 0.0"], done.stderr


def test_a_timer_of_the_program_and_other_threads_are_left_alone():
    found = []
    thread = threading.Thread(target=lambda: found.append(problems({"type": "null"}, None)))
    thread.start()
    thread.join()
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    own = signal.getsignal(signal.SIGALRM)
    try:
        assert problems({"type": "null"}, 1)
        assert signal.getsignal(signal.SIGALRM) is own
    finally:
        signal.signal(signal.SIGALRM, before)
    assert found == [[]]


def test_a_long_list_of_values_is_searched_at_once():
    check = Validator(normal_form({"items": {"enum": [f"v{number}" for number in range(200_000)]}}))
    assert check.problems([f"v{number}" for number in range(2_000)]) == []
    assert len(check.problems(["w"])[0].message) < 100


@pytest.mark.parametrize("draft", [Draft4Validator, Draft7Validator, Draft202012Validator])
def test_the_schema_of_schemas_is_a_schema(draft):
    meta = draft.META_SCHEMA
    if draft is Draft202012Validator:
        with pytest.raises(SchemaError, match="dynamicRef"):
            normal_form(meta)
    else:
        check = Validator(normal_form(meta))
        assert check.problems({"type": "string", "minLength": 1}) == []
        assert check.problems({"type": "word", "minLength": -1})
        assert FormatChecker  # formats are asserted here, as annotations there


def test_reading_changes_nothing_of_what_was_given():
    before = json.dumps(ORDINARY["recursive"].schema)
    normal_form(ORDINARY["recursive"].schema)
    assert json.dumps(ORDINARY["recursive"].schema) == before
