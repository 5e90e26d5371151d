"""Markdown for tests: a torture text, answers of any length, and snippets from a grammar of blocks."""

from __future__ import annotations

import itertools
import random

from hypothesis import strategies as st

_INLINE = [
    "plain words here",
    "**bold** and *slanted*",
    "`code` with ``a ` tick``",
    "[text](http://host.example/path)",
    "List<String> 0<foo or foo>10",
    "你好\uff0c世界。宽字符",
    "👍 emoji ❤",
    "שלום עולם",
    "~~gone~~",
    "snake_case_name",
    "**never closed",
    "`never closed",
    "* a star",
    "&lt;entity&gt; \\*escaped\\*",
    "<details>html</details>",
    "longwordwithoutanyspaces" * 3,
    "![picture](http://host.example/p.png)",
    "[1] [ref][1]",
    "<https://host.example/auto>",
    "tab\tinside",
    "2 * 3 * 4",
    "a | b",
    r"\(\mathbf{x}_{i} + \mathbf{y}_{j}\)",
    r"\[ a_{1} * b * c \]",
    r"\( never closed",
    r"ends here \]",
    "one<br>two<BR /> three",
]
_STARTS = [
    *["", "", "", "- ", "* ", "+ ", "1. ", "7) ", "> ", ">", "> > ", "- - ", "1. > ", "> 1. ", "- [ ] "],
    *["    ", "  ", "   ", "\t", "# ", "### ", "```", "~~~", "```python ", "````", "  ```", "- ```js ", "> ```"],
    *["***", "---", "===", "-", "1.", "#", "[1]: ", "| ", "|-|-|", "| a | b |", "|--|:-:|", "| 1 | 2 | 3 |", "\\"],
    *["\\[", "\\]", "  \\[", "- \\[", "> \\[", "    \\[", "| 1<br>2 |"],
]


def _line(start: str, words: list[str], end: str) -> str:
    return start + " ".join(words) + end


LINES = st.builds(
    _line, st.sampled_from(_STARTS), st.lists(st.sampled_from(_INLINE), max_size=4), st.sampled_from(["", "", "  "])
)
SNIPPETS = st.lists(st.one_of(LINES, LINES, LINES, st.just("")), min_size=1, max_size=14).map("\n".join)
"""Lines that begin, continue, interrupt and close blocks in every order."""


def cut(text: str, seed: int, longest: int = 12) -> list[str]:
    """Cut a text into pieces of random sizes."""
    chance = random.Random(seed)
    parts, at = [], 0
    while at < len(text):
        size = chance.randint(1, longest)
        parts.append(text[at : at + size])
        at += size
    return parts


def answer(tokens: int, seed: int = 1) -> str:
    """Return an answer of about so many tokens (4 characters each) of prose, lists, code and tables.

    Every word is different, so that one that is lost or written twice is found.
    """
    chance = random.Random(seed)
    count = itertools.count()
    blocks: list[str] = []
    while sum(map(len, blocks)) < tokens * 4:
        blocks.append(chance.choice(_BLOCKS)(chance, count))
    return "\n".join(blocks)


def _words(count: itertools.count[int], number: int) -> str:
    return " ".join(f"w{next(count):05d}" for _ in range(number))


_BLOCKS = [
    lambda chance, count: f"## {_words(count, 4)}\n",
    lambda chance, count: f"{_words(count, chance.randint(20, 70))} **{_words(count, 2)}** {_words(count, 9)}\n",
    lambda chance, count: "".join(
        f"- **{_words(count, 2)}**: {_words(count, chance.randint(3, 16))}\n" for _ in range(chance.randint(3, 7))
    ),
    lambda chance, count: (
        "```python\n"
        + "".join(
            f'def {_words(count, 1)}(x):\n    """{_words(count, 3)}"""\n    return x + {j}  # {_words(count, 2)}\n\n'
            for j in range(chance.randint(2, 6))
        )
        + "```\n"
    ),
    lambda chance, count: (
        "| Name | Meaning |\n|---|---|\n"
        + "".join(
            f"| `{_words(count, 1)}` | {_words(count, chance.randint(3, 9))} |\n" for _ in range(chance.randint(3, 9))
        )
    ),
    lambda chance, count: "".join(f"{n}. {_words(count, 14)}\n   - {_words(count, 4)}\n" for n in range(1, 5)),
    lambda chance, count: f"> {_words(count, 12)}\n> {_words(count, 5)}\n",
]

TORTURE = "\n".join(
    [
        "Setext one\n===\n\nSetext two\n---\n",
        " ".join(f"word{n}" for n in range(700)) + "\n",
        "| 名前 | emoji | n |\n|:--|:-:|--:|\n" + "".join(f"| 行{n} | 👍 row{n} | {n} |\n" for n in range(120)),
        "- item with code\n\n  ```python\n"
        + "".join(f"  def nested{n}(x):\n      return x * {n}\n\n" for n in range(60))
        + "  ```\n- next item\n  > quote in list\n  > - list in quote\n  >   1. numbers in it\n",
        "".join(f"{n}. ordered{n}\n" for n in range(1, 131)),
        "> lazy\nquote goes on\n",
        "```\n" + "".join(f"line{n}-" + "x" * (n % 130) + "\n" for n in range(200)) + "```\n",
        "~~~\nticks ``` inside\n~~~\n",
        "<div>\nhtml <b>stays</b>\n</div>\n",
        "[late]: http://host.example/late\n",
        "wide tables\n\n| a | b |\n|---|---|\n| " + "cell words " * 40 + "| short |\n| x | y | beyond |\n",
        "ends with **unfinished bold",
    ]
)
"""What breaks renderers: each kind of block longer than a screen, each in another, and an end in mid-emphasis."""
