"""Writes 3,000 short requests to an assistant as CSV: 8 intents, imbalanced, one label in fifty wrong.

python generate.py OUT.csv [--seed N]
"""

import argparse
import csv
import random
from collections.abc import Iterator
from pathlib import Path

ROWS = 3000
WRONG = 0.02  # share of rows whose label was drawn at random, as people err
# Share of the rows, and what people say; {…} is filled from SLOTS.
INTENTS = {
    "weather": (30, ["will it {fall} in {city} {day}", "weather in {city} {day}", "is it {warm} in {city}"]),
    "music": (22, ["play {genre}", "more {genre} please", "find {genre} {day}", "i want {genre}"]),
    "alarm": (16, ["wake me at {hour} {day}", "set an alarm for {hour}", "no alarm {day}"]),
    "flight": (12, ["book a flight to {city} {day}", "fly from {city} to {city}", "a flight to {city}"]),
    "food": (8, ["order {dish}", "find {dish} {day}", "i want {dish}", "more {dish} please"]),
    "light": (6, ["turn {on} the light in the {room}", "light {on} in the {room} at {hour}"]),
    "timer": (4, ["set a timer for {hour}", "timer for the {dish}", "stop the timer"]),
    "joke": (2, ["tell me a joke about {city}", "a joke please", "make me laugh {day}"]),
}
SLOTS = {
    "city": [
        "rome",
        "paris",
        "oslo",
        "lima",
        "cairo",
        "delhi",
        "tokyo",
        "berlin",
        "quito",
        "accra",
        "bern",
        "dublin",
        "hanoi",
        "havana",
        "kyiv",
        "lagos",
        "london",
        "madrid",
        "minsk",
        "nairobi",
        "riga",
        "seoul",
        "sofia",
        "tunis",
    ],
    "day": ["today", "tomorrow", "on monday", "on friday", "on sunday", "tonight", "this week"],
    "hour": ["six", "seven", "eight", "nine", "ten", "eleven", "noon", "midnight"],
    "fall": ["rain", "snow", "hail", "storm"],
    "warm": ["warm", "cold", "windy", "dry", "sunny"],
    "genre": [
        "jazz",
        "blues",
        "rock",
        "opera",
        "techno",
        "folk",
        "soul",
        "music",
        "disco",
        "funk",
        "gospel",
        "house",
        "latin",
        "metal",
        "pop",
        "punk",
        "rap",
        "reggae",
        "salsa",
        "swing",
        "tango",
        "waltz",
    ],
    "dish": [
        "pizza",
        "sushi",
        "curry",
        "soup",
        "noodles",
        "salad",
        "tacos",
        "bagels",
        "beans",
        "burgers",
        "chili",
        "dumplings",
        "falafel",
        "fish",
        "kebab",
        "lentils",
        "pasta",
        "pie",
        "ramen",
        "rice",
        "stew",
        "toast",
    ],
    "on": ["on", "off", "down", "up"],
    "room": ["kitchen", "hall", "bedroom", "bath", "garden"],
}
POLITE = ["", "", "", "please ", "hey ", "could you "]


def requests(seed: int) -> Iterator[tuple[str, str]]:
    """Yields text and intent of each row."""
    rng = random.Random(seed)
    names, shares = list(INTENTS), [share for share, _ in INTENTS.values()]
    for _ in range(ROWS):
        intent = rng.choices(names, shares)[0]
        text = rng.choice(INTENTS[intent][1])
        while "{" in text:
            slot = text[text.index("{") + 1 : text.index("}")]
            text = text.replace(f"{{{slot}}}", rng.choice(SLOTS[slot]), 1)
        if rng.random() < WRONG:
            intent = rng.choice(names)
        yield rng.choice(POLITE) + text, intent


def main() -> None:
    """Writes the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with given.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["request", "intent"])
        writer.writerows(requests(given.seed))


if __name__ == "__main__":
    main()
