"""The warning for models that are retired, or soon will be."""

from __future__ import annotations

import pytest

from arawn.config.sources import validate

RETIRES = "2026-12-11"


def warned(home, text, today=RETIRES):
    found = validate(str(home.user(text)), environ=home.environ, cwd="/", today=today)
    assert all(problem.warning for problem in found)
    return [(problem.key, problem.line, problem.message) for problem in found]


@pytest.mark.parametrize(
    ("today", "word"),
    [
        ("2026-10-11", ""),  # 61 days before
        ("2026-10-12", "retires"),
        ("2026-12-10", "retires"),
        ("2026-12-11", "was retired"),
        ("2027-12-11", "was retired"),
    ],
)
def test_it_is_warned_of_from_sixty_days_before_the_day_on(home, today, word):
    found = warned(home, '[llm]\nbackend = "openai"\nmodel = "gpt-5"\n', today)

    warning = ("llm.model", 3, f'"gpt-5" {word} on {RETIRES}; use "gpt-6.1-sol"')
    assert found == ([warning] if word else [])


def test_every_place_that_names_a_model_is_looked_at(home):
    text = """\
[llm]
model = "openai/gpt-5"
[memory.indexing]
backend = "openai"
model = "gpt-5-mini"
[embeddings]
backend = "openai"
model = "text-embedding-3-small"
[backends.openai]
model = "gpt-5-nano"
[aliases]
old = "openai/o3"
new = "openai/gpt-6-luna"
[tiers]
opus = "anthropic/claude-3-opus-20240229"
"""
    assert [key for key, _, _ in warned(home, text)] == [
        "llm.model",
        "memory.indexing.model",
        "backends.openai.model",
        "aliases.old",
        "tiers.opus",
    ]


@pytest.mark.parametrize("model", ["gpt-5", "mine", "mine/gpt-5", "openai/", ""])
def test_a_model_of_no_known_backend_is_not_judged(home, model):
    assert warned(home, f'[llm]\nmodel = "{model}"\n[backends.mine]\nadapter = "openai_chat"\nmodel = "gpt-5"\n') == []


def test_the_users_own_table_of_models_counts(home):
    text = '[llm]\nbackend = "openai"\nmodel = "gpt-5"\n'
    home.env["ARAWN_HOME"] = str(home.root)
    (home.root / "models.jsonl").write_text('{"backend":"openai","models":{"gpt-5":{}}}\n')

    assert warned(home, text) == []
