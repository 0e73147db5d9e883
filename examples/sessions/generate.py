"""Writes 6,000 visits to a shop as JSON Lines: 1 to 60 page ids each, and whether something was bought.

11.6 % of the visits end with a purchase: those with the highest intent, which shows in the pages, and luck.

python generate.py OUT.jsonl [--seed N]
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROWS = 6000
BOUGHT = 696
PRODUCTS = 120  # pages 10…129, the first ones visited most
HOME, SEARCH, CART, SHIPPING, REVIEWS, HELP = range(6)
LUCK = 0.3  # standard deviation, against an intent between 0 and 1


def visit(rng: random.Random) -> tuple[list[int], float]:
    """One visit: its pages, and how much it looks like a purchase."""
    intent = rng.random() ** 2
    length = min(60, 1 + int(rng.expovariate(1 / (4 + 10 * intent))))
    popularity = [1 / (rank + 3) for rank in range(PRODUCTS)]
    pages = [rng.choice([HOME, SEARCH])]
    while len(pages) < length:
        draw = rng.random()
        if draw < 0.25 * intent:
            pages.append(CART)
        elif draw < 0.35 * intent:
            pages.append(SHIPPING)
        elif draw < 0.35 * intent + 0.1:
            pages.append(REVIEWS)
        elif draw > 0.97:
            pages.append(HELP)
        elif draw > 0.85:
            pages.append(pages[-1])  # loaded again
        else:
            pages.append(10 + rng.choices(range(PRODUCTS), popularity)[0])
    return pages, intent + rng.gauss(0, LUCK) + 0.3 * (CART in pages) + 0.4 * (SHIPPING in pages)


def visits(seed: int) -> Iterator[dict[str, Any]]:
    """Yields the rows."""
    rng = random.Random(seed)
    drawn = [visit(rng) for _ in range(ROWS)]
    bar = sorted(score for _, score in drawn)[-BOUGHT]
    for pages, score in drawn:
        yield {"pages": pages, "bought": "yes" if score >= bar else "no"}


def main() -> None:
    """Writes the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with given.out.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in visits(given.seed))


if __name__ == "__main__":
    main()
