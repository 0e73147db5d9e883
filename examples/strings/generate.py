"""Writes 3,000 strings from filled-in forms as CSV: dates, amounts, telephone and part numbers, plates.

One character in fifty is mistyped, so that no single character settles what a string is.

python generate.py OUT.csv [--seed N]
"""

import argparse
import csv
import random
from collections.abc import Iterator
from pathlib import Path

ROWS = 3000
MISTYPED = 0.02
# 9 stands for a digit, A for a letter.
KINDS = {
    "date": ["99.99.9999", "9999-99-99", "99/99/99", "9.9.9999"],
    "amount": ["9,999.99 AAA", "999.99", "9999,99 AAA", "99.99 AAA"],
    "phone": ["+99 99 9999999", "0999 999999", "(099) 999-9999", "0999/99999"],
    "part": ["AA-9999-A", "A999.99-AA", "99-AAA-99", "AAAA9999"],
    "plate": ["A-AA 999", "AA-AA 99", "AAA-A 9999", "AA 999 AA"],
}
LETTERS, DIGITS = "ABCDEFGHIKLMNPRSTUVWXZ", "0123456789"


def strings(seed: int) -> Iterator[tuple[str, str]]:
    """Yields string and kind of each row."""
    rng = random.Random(seed)
    for _ in range(ROWS):
        kind = rng.choice(list(KINDS))
        drawn = "".join(_draw(character, rng) for character in rng.choice(KINDS[kind]))
        yield drawn, kind


def _draw(character: str, rng: random.Random) -> str:
    if rng.random() < MISTYPED:
        return rng.choice(LETTERS + DIGITS + "-./ ,")
    return rng.choice({"9": DIGITS, "A": LETTERS}.get(character, character))


def main() -> None:
    """Writes the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with given.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["string", "kind"])
        writer.writerows(strings(given.seed))


if __name__ == "__main__":
    main()
