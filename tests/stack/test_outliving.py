"""docs/outliving-tfx.md names every file that imports TFX or what came with it."""

import ast
import re

from tests.support import REPOSITORY

PACKAGES = {
    "ml_metadata", "tensorflow_data_validation", "tensorflow_model_analysis", "tensorflow_transform", "tfx",
    "tfx_bsl",
}  # fmt: skip
ROOMS = ("components", "pipeline", "trainer", "transform")
_ROW = re.compile(r"^\| `([^`]+\.py)` \| ([^|]+) \|", re.MULTILINE)


def imported(source):
    """The packages of `PACKAGES` that a source imports, within functions too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[0] for name in names} & PACKAGES


def test_imports_within_functions_count():
    assert imported("def f():\n    from tfx.dsl import io\nimport ml_metadata as m, json") == {
        "tfx",
        "ml_metadata",
    }
    assert imported("from maskline.tfx import a\nimport tfx_other") == set()


def test_the_page_lists_every_file_with_its_imports():
    files = {file.relative_to(REPOSITORY): imported(file.read_text())
             for room in ROOMS for file in (REPOSITORY / room).rglob("*.py")}  # fmt: skip
    expected = {str(file): packages for file, packages in files.items() if packages}
    text = (REPOSITORY / "docs/outliving-tfx.md").read_text().partition("<!-- imports -->")[2]
    listed = {file: set(re.findall("`([^`]+)`", cell)) for file, cell in _ROW.findall(text)}
    assert listed == expected
