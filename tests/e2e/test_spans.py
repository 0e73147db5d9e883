"""Five deliveries arrive one by one; after each, what was trained, set aside, blocked and pushed."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.docs.outputs import assert_documented
from tests.support import GOOD, PATIENCE, QUICK, example, maskline, show, states, tfrecord, versions

pytestmark = pytest.mark.slow

ROWS = 400
BAD = example(**(GOOD | {"op": [3, 99, 4]}))
WINDOW = ("--set", "data.window=3", "--set", "data.allow_fewer=true", "--set", "data.unchanged_for=0")
LENIENT = ("--set", "release_gate.margin=1", "--set", "release_gate.slice_margin=1")


class Step(NamedTuple):
    code: int
    out: str
    run: dict[str, Any]
    versions: list[str]

    @property
    def trained(self) -> list[tuple[int, int]]:
        """Span and version of what the Trainer got."""
        return [(span["span"], span["version"]) for span in self.run["window"]]

    @property
    def rows_trained(self) -> int:
        [trainer] = [c for c in self.run["components"] if c["name"] == "Trainer"]
        return sum(trainer["records_in"].values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("spans")


@pytest.fixture(scope="module")
def steps(folder) -> dict[str, Step]:
    root, path = folder / "root", folder / "exports/span-{SPAN}/v{VERSION}"
    taken: dict[str, Step] = {}

    def deliver(name: str, span: int, version: int = 1, max_value: int = 100) -> Path:
        to = folder / f"exports/span-{span}/v{version}"
        made = maskline("data", "--out", to, "--shards", 1, "--records", ROWS,
                        "--seed", 10 * span + version, "--max-value", max_value)  # fmt: skip
        assert made.returncode == 0, made.stderr
        [shard] = to.iterdir()
        return shard

    def run(name: str, *options: str) -> None:
        done = maskline("run", "--data", path, "--root", root, *QUICK, *WINDOW, *LENIENT,
                        "--set", "data.on_corrupt=quarantine", *options, timeout=PATIENCE)  # fmt: skip
        taken[name] = Step(done.returncode, done.stdout + done.stderr, show(root), versions(root))

    deliver("good", 1)
    run("good")
    with deliver("bad rows", 2).open("ab") as shard:
        shard.write(tfrecord([BAD, BAD]))  # 0.5 %
    run("bad rows")
    deliver("drifted", 3, max_value=30)
    run("drifted")
    truncated = deliver("truncated", 4)
    truncated.write_bytes(truncated.read_bytes()[:-20])
    run("truncated")
    run("fewer", "--set", "data.allow_fewer=false")
    deliver("late", 2, version=2)
    run("late")
    return taken


def test_good_span_is_trained_and_pushed(steps):
    step = steps["good"]
    assert (step.code, step.versions, step.trained) == (0, ["1"], [(1, 1)]), step.out
    assert (step.run["ingest"]["rows_in"], step.run["ingest"]["quarantined"]) == (ROWS, {})
    assert step.rows_trained == ROWS


def test_bad_rows_are_set_aside_and_the_rest_is_trained_with_the_span_before(steps, folder):
    step = steps["bad rows"]
    assert (step.code, step.versions, step.trained) == (0, ["1", "2"], [(1, 1), (2, 1)]), step.out
    report = step.run["ingest"]
    assert report["quarantined"] == {"outside vocabulary": 2}
    assert report["rows_in"] == ROWS + 2 == sum(report["splits"].values()) + 2
    assert step.rows_trained == 2 * ROWS
    places = {folder / "exports": "exports", folder / "root": "maskline-root"}
    assert_documented("quarantine", step.out, replace=places)


def test_evaluation_is_on_the_newest_span(steps):
    step = steps["bad rows"]
    splits = step.run["ingest"]["splits"]
    deciding = splits.get("test", splits["eval"])
    assert step.run["metrics"]["candidate"]["example_count"] == deciding


def test_drifted_span_is_blocked(steps):
    step = steps["drifted"]
    assert (step.code, step.versions, step.trained) == (3, ["1", "2"], []), step.out
    assert "Blocked by DataGate: drift of 'defs'" in step.out
    assert not {"Window", "Transform", "Trainer", "Pusher"} & set(states(step.run))


def test_truncated_shard_gives_its_readable_rows_and_the_blocked_span_is_left_out(steps):
    step = steps["truncated"]
    assert (step.code, step.versions, step.trained) == (0, ["1", "2", "3"], [(2, 1), (4, 1)]), step.out
    [corrupt] = step.run["ingest"]["corrupt"]
    assert "is truncated" in corrupt["reason"]
    assert corrupt["unread_bytes"] > 0
    assert step.rows_trained == ROWS + ROWS - 1
    assert "warning: span 3 version 1 did not pass the data gate; it is not trained on" in step.out


def test_fewer_spans_than_asked_for_are_an_error_unless_allowed(steps):
    step = steps["fewer"]
    assert (step.code, step.versions) == (2, ["1", "2", "3"]), step.out
    assert (
        "maskline: data.window asks for 3 spans, but span 3 version 1 did not pass the data gate; "
        "deliver it again, or set data.allow_fewer=true"
    ) in step.out
    assert not {"Transform", "Trainer", "Pusher"} & set(states(step.run))


def test_late_version_takes_the_place_of_the_first_each_row_once(steps):
    step = steps["late"]
    assert (step.code, step.versions, step.trained) == (0, ["1", "2", "3", "4"], [(2, 2), (4, 1)]), step.out
    assert step.rows_trained == ROWS + ROWS - 1
    assert states(step.run)["ExampleGen"] == "CACHED"  # span 4 lies there as before


def test_replay_gives_quarantined_rows_back_when_the_vocabulary_was_mended(steps, tmp_path):
    quarantine = steps["bad rows"].run["quarantine"]
    vocabulary = json.dumps([*" :|xy=,+-*0123456789", *(chr(1000 + n) for n in range(80))])
    out = tmp_path / "mended"
    done = maskline("data", "replay", quarantine, "--out", out, "--set", f"sequence.vocabulary={vocabulary}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"2 rows written to {out}/replayed-")
    assert_documented("replay", done.stdout, replace={out: "exports/span-6/v1"})
    [shard] = out.iterdir()
    assert shard.read_bytes() == tfrecord([BAD, BAD])
