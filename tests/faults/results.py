"""What was found in each cell, kept in a file: a matrix takes hours, and goes on where it was stopped."""

import json
from pathlib import Path

from tests.faults.matrix import Cell, Result


class Results:
    """The last result of each cell.

    Args:
      file: JSON Lines; made where it is missing.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        read = [json.loads(line) for line in lines if line.endswith("}")]  # the last may be cut short
        self.found = {Cell(*one["cell"]): Result(Cell(*one.pop("cell")), **one) for one in read}

    def add(self, result: Result) -> None:
        """Keeps one."""
        self.found[result.cell] = result
        with open(self._file, "a", encoding="utf-8") as file:
            file.write(json.dumps(result._asdict()) + "\n")
