"""Makes the walk-through's notebook of its script: `python -m tests.docs.notebook`."""

import re
from pathlib import Path

import nbformat
from nbformat import v4

from tests.support import REPOSITORY

SCRIPT = REPOSITORY / "examples/own_data/walkthrough.py"
NOTEBOOK = SCRIPT.with_suffix(".ipynb")
_CELL = re.compile(r"^# %%(?P<kind> \[markdown\])?\n(?P<text>.*?)(?=^# %%|\Z)", re.DOTALL | re.MULTILINE)


def notebook(script: Path = SCRIPT) -> nbformat.NotebookNode:
    """The script's cells as a notebook without outputs."""
    cells = []
    for number, cell in enumerate(_CELL.finditer(script.read_text(encoding="utf-8"))):
        text, name = cell["text"].strip(), f"cell-{number}"
        if cell["kind"]:
            cells.append(v4.new_markdown_cell(re.sub(r"^# ?", "", text, flags=re.MULTILINE), id=name))
        else:
            cells.append(v4.new_code_cell(text, id=name))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


if __name__ == "__main__":
    nbformat.write(notebook(), NOTEBOOK)
