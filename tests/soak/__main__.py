"""Lives through a simulated month of scheduled retraining, and prints what happened.

    python -m tests.soak FOLDER [MINUTES]

After so many minutes it stops at the end of a day; a month that was begun in the folder goes on there. Ends
with 1 where something is not as it must be.
"""

import math
import sys
from pathlib import Path

from tests.soak.month import Month
from tests.soak.report import problems, summary, table


def main() -> int:
    found = Month(Path(sys.argv[1]).absolute())
    over = found.live(float(sys.argv[2]) if len(sys.argv) > 2 else math.inf)
    print()
    print("\n".join(table(found)))
    print()
    print("\n".join(summary(found)))
    wrong = list(problems(found))
    so_far = "" if over else " so far"
    print("\n".join(wrong) if wrong else f"everything is as it must be{so_far}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
