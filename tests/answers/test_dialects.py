"""What is sent to a provider: it takes it, by its own documentation, and it means what the user's schema means."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.ordinary_schemas import AS_APIS_DO, BY_KEYWORD, ORDINARY
from support.schema_dialects import CHECKERS

from arawn.adapters.anthropic.messages import AnthropicBody
from arawn.adapters.base import Quirks
from arawn.adapters.openai.chat import ChatCompletionsBody
from arawn.adapters.openai.responses import ResponsesBody
from arawn.adapters.rules import ModelRules
from arawn.answers.json_schema.dialects import DIALECTS
from arawn.answers.json_schema.normal import normal_form
from arawn.answers.json_schema.wire import fit
from arawn.answers.schema import AnswerSchema
from arawn.messages import ChatRequest, LLMMessage, OutputFormat, Tool

HELLO = (LLMMessage("user", "hello"),)


def sent(schema, dialect, *, strict=True, **wanted):
    """The schema on the wire and whether it is strict; None for one that stands in words."""
    quirks = Quirks(rules=ModelRules(schema=dialect))
    output = OutputFormat(AnswerSchema(schema).sent, strict=strict)
    kind = AnthropicBody if dialect == "anthropic" else ChatCompletionsBody
    body = kind("b", quirks, ChatRequest("m", HELLO, output=output, **wanted)).render()
    if dialect == "anthropic":
        form = body.get("output_config", {}).get("format")
        assert form is not None or "It must fit this JSON Schema" in body["system"]
        return (form["schema"], True) if form else (None, False)
    form = body["response_format"]
    if form["type"] == "json_object":
        assert "It must fit this JSON Schema" in body["messages"][0]["content"]
        return None, False
    return form["json_schema"]["schema"], form["json_schema"]["strict"]


@pytest.mark.parametrize("dialect", CHECKERS)
@pytest.mark.parametrize("ordinary", ORDINARY.values(), ids=ORDINARY)
def test_a_provider_takes_what_it_is_to_enforce(ordinary, dialect):
    schema, strict = sent(ordinary.schema, dialect, stream=False)
    if strict or (dialect in ("anthropic", "gemini") and schema is not None):
        assert CHECKERS[dialect](schema) == []


@pytest.mark.parametrize("dialect", ["openai-strict", "groq"])
@pytest.mark.parametrize("ordinary", ORDINARY.values(), ids=ORDINARY)
def test_a_schema_that_is_not_strict_is_sent_as_it_means(ordinary, dialect):
    schema, strict = sent(ordinary.schema, dialect, strict=False)
    assert not strict
    assert (schema["type"], "anyOf" in schema) == ("object", False)
    read = AnswerSchema(schema)
    assert [read.accepts(placed(schema, value)) for value in ordinary.fits] == [True] * len(ordinary.fits)
    assert [read.accepts(placed(schema, value)) for value in ordinary.misfits] == [False] * len(ordinary.misfits)


def placed(schema, value):
    """The value where a schema that is not of an object expects it."""
    names = list(schema.get("properties", {}))
    return {names[0]: value} if names in (["items"], ["answer"]) else value


def test_most_of_what_apis_do_is_enforced_somewhere():
    strict = Counter(
        dialect for dialect in CHECKERS for one in AS_APIS_DO.values() if sent(one.schema, dialect, stream=False)[1]
    )
    assert len(AS_APIS_DO) + len(BY_KEYWORD) > 100
    assert strict["openai-strict"] >= 18
    assert strict["anthropic"] >= 25


def test_a_service_that_knows_no_strict_is_not_asked_for_it():
    assert not sent(AS_APIS_DO["deep"].schema, "loose")[1]


@pytest.mark.parametrize("key", ["stream", "tools"])
def test_groq_is_not_asked_for_strict_beside_a_stream_or_tools(key):
    wanted = {"stream": key == "stream", "tools": (Tool("t"),) if key == "tools" else ()}
    assert not sent(AS_APIS_DO["deep"].schema, "groq", **wanted)[1]
    assert sent(AS_APIS_DO["deep"].schema, "groq", stream=False)[1]


@pytest.mark.parametrize(
    ("name", "strict"),
    [
        ("person", True),
        ("person with an optional note", False),  # the model would have to make a note up
        ("person with a nullable note", True),
        ("optional as pydantic writes it", True),
        ("labels", False),
        ("anything as metadata", False),
        ("base and more", False),
        ("pet, by a tag", True),
        ("one of that overlaps", False),
        ("whole or any number", False),
        ("comments in a tree", True),
        ("unique ids", False),
    ],
)
def test_strict_is_asked_for_only_where_the_schema_keeps_its_meaning(name, strict):
    assert sent(AS_APIS_DO[name].schema, "openai-strict")[1] == strict


def test_a_schema_that_qualifies_is_closed_and_all_else_stays():
    schema, strict = sent({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, "")
    assert (schema, strict) == (
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "required": ["a"],
            "additionalProperties": False,
        },
        True,
    )


def test_what_anthropic_cannot_enforce_stands_in_the_description():
    schema, _ = sent(AS_APIS_DO["limits in words"].schema, "anthropic")
    assert schema["properties"]["score"] == {
        "type": "number",
        "description": 'how sure Must fit {"minimum": 0, "maximum": 1}',
    }


def test_what_is_left_out_of_a_definition_stands_beside_the_description_of_its_place():
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d", "description": "first"}},
        "required": ["a"],
        "$defs": {"d": {"type": "integer", "minimum": 1}},
    }
    assert sent(schema, "anthropic")[0]["properties"]["a"]["description"] == 'first Must fit {"minimum": 1}'


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("const", {"type": "string", "enum": ["x"]}),
        ("one of", {"anyOf": [{"type": "string"}, {"type": "boolean"}]}),
        ("definition", {"type": "object", "properties": {"b": {"type": "integer"}}, "required": []}),
        ("nullable", {"type": ["string", "null"]}),
    ],
)
def test_gemini_gets_what_it_knows_with_definitions_in_their_place(name, part):
    parts = {
        "const": {"const": "x"},
        "one of": {"oneOf": [{"type": "string"}, {"type": "boolean"}]},
        "definition": {"$ref": "#/$defs/d"},
        "nullable": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    }
    definitions = {"d": {"type": "object", "properties": {"b": {"type": "integer"}}}}
    schema = {"type": "object", "properties": {"a": parts[name]}, "required": ["a"], "$defs": definitions}
    assert sent(schema, "gemini")[0]["properties"]["a"] == part


@pytest.mark.parametrize(
    ("name", "written"),
    [("answer", "answer"), ("a b/é", "a_b__"), ("", "answer"), ("x" * 64, "x" * 64), ("x" * 65, "x" * 64)],
)
@pytest.mark.parametrize("kind", [ChatCompletionsBody, ResponsesBody])
def test_the_name_of_an_answer_is_one_that_services_take(kind, name, written):
    output = OutputFormat({"type": "object", "properties": {}}, name)
    body = kind("b", Quirks(), ChatRequest("m", HELLO, output=output)).render()
    form = body["text"]["format"] if "text" in body else body["response_format"]["json_schema"]
    assert form["name"] == written


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("more", [{}, {"description": "d"}])
def test_definitions_that_double_at_each_step_are_written_in_time(dialect, more):
    definitions = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}", **more}] * 2} for n in range(60)}
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d0"}},
        "$defs": {**definitions, "d60": {"type": "string"}},
    }
    fitted = fit(schema, DIALECTS[dialect])
    assert fitted is None or len(json.dumps(fitted.schema)) < 100_000


# ---- tools ----

PLACE = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}


def tools_sent(*tools, **wanted):
    body = AnthropicBody("b", Quirks(), ChatRequest("m", HELLO, tools=tools, **wanted))
    return [tool.get("strict", False) for tool in body.render()["tools"]], body.notices


@pytest.mark.parametrize(("count", "strict"), [(19, True), (20, True), (21, False)])
def test_anthropic_takes_twenty_strict_tools(count, strict):
    tools = [Tool(f"t{number}", parameters=PLACE, strict=True) for number in range(count)]
    assert tools_sent(*tools)[0] == [strict] * count


@pytest.mark.parametrize(
    ("optional", "strict"), [((12, 11), [True, True]), ((12, 12), [True, True]), ((12, 13), [True, False])]
)
def test_optional_properties_are_counted_over_the_whole_request(optional, strict):
    tools = [
        Tool(
            f"t{number}",
            parameters={"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(count)}},
            strict=True,
        )
        for number, count in enumerate(optional)
    ]
    found, notices = tools_sent(*tools)
    assert found == strict
    assert ['strictness of the tool "t1"' in notice.text for notice in notices] == [True] * (not strict[1])


@pytest.mark.parametrize(("unions", "is_strict"), [(15, True), (16, True), (17, False)])
def test_unions_of_the_answer_and_of_tools_count_together(unions, is_strict):
    def of(count):
        properties = {f"p{number}": {"type": ["string", "null"]} for number in range(count)}
        return {"type": "object", "properties": properties, "required": list(properties)}

    tool = Tool("t", parameters=of(unions - 4), strict=True)
    assert tools_sent(tool, output=OutputFormat(of(4)))[0] == [is_strict]


@pytest.mark.parametrize("dialect", ["openai-strict", "anthropic", "groq"])
def test_no_constraint_of_a_strict_tool_is_left_out(dialect):
    limited = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minLength": 1, "minimum": 1}},
        "required": ["n"],
    }
    unique = {
        "type": "object",
        "properties": {"n": {"type": "array", "items": {"type": "string"}, "uniqueItems": True}},
        "required": ["n"],
    }
    assert fit(unique, DIALECTS[dialect], checked=False) is None
    assert (fit(limited, DIALECTS[dialect], checked=False) is None) == (dialect == "anthropic")


def test_a_tool_whose_schema_cannot_be_read_is_sent_as_it_is():
    odd = {"type": "object", "unevaluatedProperties": False, "properties": {"a": {"$ref": "http://x.test/a"}}}
    body = ChatCompletionsBody("b", Quirks(), ChatRequest("m", HELLO, tools=(Tool("t", parameters=odd, strict=True),)))
    assert body.render()["tools"][0]["function"] == {"name": "t", "parameters": odd}
    assert "strictness" in body.notices[0].text


# ---- any schema ----

SCALARS = st.sampled_from([None, True, 0, 1, 1.5, "", "a", "b"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


def objects(inner):
    def made(properties, required, others):
        found = {"type": "object", "properties": properties}
        found["required"] = [name for name in required if name in properties]
        return found if others is None else {**found, "additionalProperties": others}

    names = st.lists(st.sampled_from("abc"), unique=True, max_size=3)
    return st.builds(
        made, st.dictionaries(st.sampled_from("abc"), inner, max_size=3), names, st.sampled_from([None, False, True])
    )


LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "minimum": 1},
        {"type": ["string", "null"]},
        {"type": "number", "exclusiveMaximum": 1.5},
        {"type": "string", "pattern": "^a"},
        {"type": "string", "minLength": 1},
        {"const": "a"},
        {"enum": ["a", "b", None]},
        {"enum": [1, 1.5]},
        {"type": "null"},
        {"type": "boolean"},
        {"$ref": "#/$defs/d"},
        {"$ref": "#"},
        {},
    ]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        objects(inner)
        | st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda parts: {"oneOf": parts}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda part: {"allOf": [part], "description": "d"}, inner)
        | st.builds(lambda part: {"type": "object", "properties": {"a": part}, "not": {"required": ["b"]}}, inner)
    ),
    max_leaves=6,
)


def whole(properties, definition):
    return {"type": "object", "properties": properties, "required": list(properties), "$defs": {"d": definition}}


WHOLE = st.builds(
    whole,
    st.dictionaries(st.sampled_from("abc"), SCHEMAS, min_size=1, max_size=2),
    LEAVES.filter(lambda part: "$ref" not in part),
)


@settings(max_examples=300, deadline=None)
@given(WHOLE, st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), min_size=1, max_size=8))
@pytest.mark.parametrize("dialect", CHECKERS)
def test_what_fits_the_narrowed_schema_fits_the_users(dialect, schema, values):
    fitted = fit(schema, DIALECTS[dialect])
    if fitted is None:
        return
    if dialect != "anthropic" or (fitted.optional <= 24 and fitted.unions <= 16):
        assert CHECKERS[dialect](fitted.schema) == []
    if fitted.exact:
        narrowed, users = Draft202012Validator(fitted.schema), Draft202012Validator(schema)
        for value in values:
            assert not narrowed.is_valid(value) or users.is_valid(value), value


@settings(max_examples=300, deadline=None)
@given(WHOLE, st.lists(VALUES, min_size=1, max_size=5))
def test_the_normal_form_means_what_the_schema_means(schema, values):
    first, second = Draft202012Validator(schema), Draft202012Validator(normal_form(schema).document())
    assert [first.is_valid(value) for value in values] == [second.is_valid(value) for value in values]
