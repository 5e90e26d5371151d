"""The public names, and the examples of docs/python-api.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.python_api import configure

import arawn

PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"


class TestNames:
    def test_every_public_name_is_there_for_programs_and_for_type_checkers(self):
        source = ast.parse(Path(arawn.__file__).read_text())
        typed = [name.asname for node in ast.walk(source) if isinstance(node, ast.ImportFrom) for name in node.names]
        public = set(dir(arawn)) - {"__version__"}
        assert public == set(filter(None, typed))
        assert all(getattr(arawn, name) is not None for name in public)

    def test_a_name_that_is_none_is_told_as_python_tells_it(self):
        with pytest.raises(AttributeError, match="module 'arawn' has no attribute 'nobody'"):
            arawn.nobody  # noqa: B018 -- to look is the test

    def test_importing_arawn_loads_nothing_else_of_it(self):
        code = "import arawn, sys; print([name for name in sys.modules if name.startswith('arawn.')])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"


EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


class TestThePage:
    CONFIGURATION = """
[llm]
backend = "demo"
[embeddings]
backend = "mock"
[tiers]
small = "demo/small"
large = "demo/large"

[backends.demo]
adapter = "mock"
model = "demo"
[[backends.demo.replies]]
text = "One two three"

[backends.weather]
adapter = "mock"
model = "demo"
[[backends.weather.replies]]
tool_call = { name = "look", arguments = { place = "Oslo" } }
[[backends.weather.replies]]
text = "It is raining in Oslo."
[[backends.weather.replies]]
text = '{"rain": true}'
"""

    @pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
    def test_its_examples_run(self, home, example):
        configure(home, self.CONFIGURATION)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, cwd=home, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, ""), example

    def test_every_public_name_is_on_a_page(self):
        pages = PAGE.read_text(encoding="utf-8") + PAGE.with_name("mock.md").read_text(encoding="utf-8")
        missing = [name for name in dir(arawn) if not name.startswith("_") and not re.search(rf"\b{name}\b", pages)]
        assert missing == []
