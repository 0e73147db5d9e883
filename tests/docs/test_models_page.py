"""The page on models shows the examples as they are. `UPDATE_DOCS=1` writes them into it."""

import ast
import os
import re

from tests.support import REPOSITORY

PAGE = REPOSITORY / "docs/models.md"
BUILDERS = REPOSITORY / "examples/models/builders.py"
_BLOCK = re.compile(r"(?<=<!-- source: )(\w+) -->\n```python\n(.*?)```", re.DOTALL)


def test_the_page_shows_each_builder_as_it_stands_in_the_examples():
    text = BUILDERS.read_text()
    functions = {
        node.name: f"{ast.get_source_segment(text, node)}\n"
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
    }
    if os.environ.get("UPDATE_DOCS"):
        shown = _BLOCK.sub(lambda m: f"{m[1]} -->\n```python\n{functions[m[1]]}```", PAGE.read_text())
        PAGE.write_text(shown)
    assert dict(_BLOCK.findall(PAGE.read_text())) == functions
