"""Themes: the SGR parameters of each part of an answer. An empty string leaves the text as it is."""

from __future__ import annotations

from arawn.values import Value


class Theme(Value, kw_only=True):
    """SGR parameters (the text between ESC [ and m) for each role; the default is no style at all."""

    heading: str = ""
    strong: str = ""
    emphasis: str = ""
    struck: str = ""
    code: str = ""
    link: str = ""
    address: str = ""
    quote: str = ""
    bullet: str = ""
    rule: str = ""
    fence: str = ""
    header: str = ""
    reasoning: str = ""
    keyword: str = ""
    string: str = ""
    comment: str = ""
    number: str = ""
    name: str = ""
    builtin: str = ""
    added: str = ""
    removed: str = ""


PLAIN = Theme()

DEFAULT = Theme(
    heading="1;35",
    strong="1",
    emphasis="3",
    struck="9",
    code="36",
    link="4",
    address="36",
    quote="2",
    bullet="35",
    rule="2",
    fence="2",
    header="1",
    reasoning="2",
    keyword="35",
    string="32",
    comment="2",
    number="36",
    name="1",
    builtin="36",
    added="32",
    removed="31",
)
"""Readable on light and dark terminals: palette colours that are neither near white nor near black."""

LIGHT = Theme(
    heading="1;38;5;90",
    strong="1",
    emphasis="3",
    struck="9",
    code="38;5;24",
    link="4;38;5;25",
    address="38;5;25",
    quote="38;5;244",
    bullet="38;5;90",
    rule="38;5;244",
    fence="38;5;244",
    header="1",
    reasoning="38;5;242",
    keyword="38;5;90",
    string="38;5;28",
    comment="3;38;5;242",
    number="38;5;130",
    name="38;5;25",
    builtin="38;5;24",
    added="38;5;28",
    removed="38;5;124",
)

DARK = Theme(
    heading="1;38;5;183",
    strong="1",
    emphasis="3",
    struck="9",
    code="38;5;116",
    link="4;38;5;111",
    address="38;5;111",
    quote="38;5;245",
    bullet="38;5;183",
    rule="38;5;245",
    fence="38;5;245",
    header="1",
    reasoning="38;5;246",
    keyword="38;5;183",
    string="38;5;150",
    comment="3;38;5;246",
    number="38;5;216",
    name="38;5;111",
    builtin="38;5;116",
    added="38;5;150",
    removed="38;5;210",
)

THEMES = {"default": DEFAULT, "light": LIGHT, "dark": DARK}
"""The themes by their names in the configuration."""
