"""Writes 10,605 sentences of film reviews as CSV, and what most of 20 readers felt: positive or negative.

The sentences are Pang and Lee's (2005), the ratings Hutto and Gilbert's (VADER, ICWSM 2014). The source
package of vaderSentiment 0.5 on PyPI holds both, under the MIT License; an installed one does not:

pip download --no-deps --no-binary :all: vaderSentiment==0.5
python generate.py OUT.csv [--package vaderSentiment-0.5.zip]
"""

import argparse
import csv
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ARCHIVE = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
RATINGS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"  # id, mean rating from -4 to 4, sentence


def reviews(package: Path) -> Iterator[tuple[str, str]]:
    """Yields sentence and answer of each line; a rating of 0 is negative."""
    with zipfile.ZipFile(package) as outer, tarfile.open(fileobj=io.BytesIO(outer.read(ARCHIVE))) as inner:
        found = inner.extractfile(RATINGS)
        assert found, f"{package} holds no {RATINGS}"
        for line in io.TextIOWrapper(found, encoding="cp1252", errors="replace"):
            _, rating, sentence = line.rstrip("\r\n").split("\t")
            yield sentence.lower(), "positive" if float(rating) > 0 else "negative"


def main() -> None:
    """Writes the file that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--package", type=Path, default=Path("vaderSentiment-0.5.zip"))
    given = parser.parse_args()
    with given.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sentence", "feeling"])
        writer.writerows(reviews(given.package))


if __name__ == "__main__":
    main()
