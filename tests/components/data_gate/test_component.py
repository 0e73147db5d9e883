"""The data gate on real statistics: what alarms, what does not, and what the verdict says."""

import json
from itertools import pairwise

import numpy as np
import pytest
from tfx.types import standard_artifacts as standard

# isort: split
import pyarrow as pa
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory

from maskline.components.artifacts import QuarantineArtifact, VerdictArtifact
from maskline.components.data_gate import resampling
from maskline.components.data_gate.checks import Split, divergence_checks, fitting_checks
from maskline.components.data_gate.component import Executor, divergences
from maskline.components.data_gate.divergence import IdSample, chance, jensen_shannon
from maskline.components.data_gate.resampling import PARTS, Parts
from maskline.components.data_gate.rules import DataGateSettings, Rules
from maskline.components.data_gate.statistics import statistics_options
from maskline.components.ingest.quarantine import IngestReport
from maskline.components.resolvers.spans import AcceptedStrategy, PreviousSpanStrategy
from maskline.components.verdict import Outcome, read_verdict
from maskline.transform.features import SequenceSpec, make_schema
from maskline.transform.samples import exercises

SPEC = SequenceSpec()
SCHEMA = make_schema(SPEC)
DEFAULTS = DataGateSettings()
NAMES = (*SPEC.features, SPEC.label)


def rows(count, seed, *, max_value=100, keep=lambda texts: True, ids=lambda i: i):
    drawn = exercises(count, max_value=max_value, rng=np.random.default_rng(seed))
    return [[[ids(SPEC.ids[c]) for c in text] for text in texts] for texts in drawn if keep(texts)]


def batch_of(rows):
    columns = [pa.array(column, type=pa.list_(pa.int64())) for column in zip(*rows, strict=True)]
    columns = columns or [pa.array([], type=pa.list_(pa.int64()))] * len(NAMES)
    return pa.RecordBatch.from_arrays(columns, NAMES)


def statistics(batch, spec=SPEC, schema=None):
    options = statistics_options(spec)
    options.schema = schema or make_schema(spec)
    return generate_statistics_in_memory(batch, options)


def split(batch, spec=SPEC):
    parts = Parts()
    parts.add(batch)
    return Split(statistics(batch, spec).datasets[0], parts)


def made(*args, **kwargs):
    return split(batch_of(rows(*args, **kwargs)))


def alarms(ours, theirs, config=DEFAULTS):
    """The features whose ids drifted."""
    measured = divergences(SCHEMA, ours.statistics, skew=theirs.statistics, drift=theirs.statistics)
    assert measured["drift"] == pytest.approx(measured["skew"])
    assert set(measured["drift"]) == set(NAMES)
    checks = divergence_checks(
        Rules(config, SCHEMA, SPEC), "drift", measured["drift"], ours, theirs, "the previous span"
    )
    return {check.subject.strip("'"): check for check in checks if check.outcome is Outcome.BLOCKED}


def test_spans_of_one_generator_do_not_alarm_in_100_trials():
    sizes = np.random.default_rng(5).integers(50, 1000, size=101)
    spans = [made(int(size), [1, trial]) for trial, size in enumerate(sizes)]
    # The allowance for chance is enough by itself; the default limit only adds to it.
    strictest = DataGateSettings(max_drift=0)
    assert [alarms(a, b, strictest) for a, b in pairwise(spans)] == [{}] * 100


SWAPPED = {SPEC.ids[a]: SPEC.ids[b] for a, b in ("+-", "-+")}
SHIFTS = {
    "max value 100 → 30": ({"max_value": 30}, {"defs"}),
    "no addition": ({"keep": lambda texts: "+" not in texts[1]}, {"op"}),
    "no subtraction": ({"keep": lambda texts: "-" not in texts[1]}, {"op"}),
    "no multiplication": ({"keep": lambda texts: "*" not in texts[1]}, {"op"}),
    "vocabulary reversed": ({"ids": lambda i: SPEC.size - i}, {"defs", "op", "res"}),
    "plus and minus swapped": ({"ids": lambda i: SWAPPED.get(i, i)}, {"defs", "res"}),
}


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("count", [200, 500, 2000])
def test_shift_is_caught_and_named(shift, count):
    change, features = SHIFTS[shift]
    found = alarms(made(count, [2, count], **change), made(count, [3, count]))
    assert set(found) >= features


WORDS = SequenceSpec(vocabulary=(" ", ":", *(f"w{i}" for i in range(4998))))


def words(count, seed, low):
    """A row of `defs` holds 20 of 4,000 words."""
    drawn = np.random.default_rng(seed).integers(low, low + 4000, size=(count, 20)).tolist()
    return split(pa.RecordBatch.from_arrays([pa.array(drawn, type=pa.list_(pa.int64()))], ["defs"]), WORDS)


@pytest.mark.parametrize("count", [200, 2000])
@pytest.mark.parametrize(("low", "outcome"), [(2, Outcome.PASSED), (1000, Outcome.BLOCKED)])
def test_most_of_a_large_vocabulary_is_rare_and_its_drift_is_judged_all_the_same(count, low, outcome):
    ours, theirs = words(count, 1, 2), words(count, 2, low)
    measured = divergences(make_schema(WORDS), ours.statistics, skew=theirs.statistics)["skew"]
    rules = Rules(DataGateSettings(max_skew=0), make_schema(WORDS), WORDS, presplit=True)
    [check] = divergence_checks(rules, "skew", measured, ours, theirs, "eval")
    assert check.outcome is outcome


@pytest.mark.parametrize(("limit", "outcome"), [(0.26, Outcome.PASSED), (0.24, Outcome.BLOCKED)])
def test_unknown_symbols_and_cut_rows_are_bounded(limit, outcome):
    spec = SequenceSpec(unknown="|", too_long="keep_end")
    batch = batch_of([[[2, 4, 5, 6], [4], [5]], [[4, 4, 4, 2], [2, 2, 2], [5]]])
    found = {"train": statistics(batch, spec).datasets[0]}
    settings = DataGateSettings(max_unknown=limit, max_too_long=limit)
    report = IngestReport(rows_in=4, splits={"train": 4}, unknown={"defs": 1}, cut=1)
    rules = Rules(settings, make_schema(spec), spec)
    defs, op, cut = fitting_checks(rules, report, found)
    assert [check.outcome for check in (defs, cut)] == [outcome] * 2
    assert defs.measured == "2 of 8 ids are |, 25.00%"
    assert op.measured == "3 of 4 ids are |, 75.00%"
    assert op.outcome is Outcome.BLOCKED
    assert cut.measured == "1 of 4 rows were longer than 20 ids, 25.00%"
    assert list(fitting_checks(Rules(settings, SCHEMA, SPEC), report, found)) == []


def test_our_divergence_is_the_one_that_tfdv_measures():
    ours, theirs = words(200, 1, 2), words(300, 2, 1000)
    counts = [
        {b.label: b.sample_count for b in d.features[0].string_stats.rank_histogram.buckets}
        for d in (ours.statistics, theirs.statistics)
    ]
    values = counts[0].keys() | counts[1].keys()
    arrays = (np.array([count.get(value, 0) for value in values]) for count in counts)
    measured = divergences(make_schema(WORDS), ours.statistics, skew=theirs.statistics)["skew"]["defs"]
    assert jensen_shannon(*arrays) == pytest.approx(measured, rel=1e-6)


def one_by_one(**counts):
    """A sample in which each occurrence of an id was dealt out for itself."""
    rng = np.random.default_rng(1)
    share = np.repeat([0.5, 0.2], PARTS // 2)
    return IdSample(counts, {v: rng.binomial(n, share).astype(np.int32) for v, n in counts.items()})


def test_nothing_is_expected_of_an_empty_sample_and_little_of_large_ones():
    assert chance(one_by_one(), one_by_one(a=5)) == 1
    assert chance(one_by_one(a=5), one_by_one()) == 1
    assert chance(one_by_one(a=50), one_by_one(a=90)) == 0
    large = one_by_one(a=10**9, b=10**9)
    assert 0 < chance(large, large) < 1e-6


def test_drift_names_the_ids_whose_share_changed_most():
    ours = made(500, 1, keep=lambda texts: "+" not in texts[1])
    [check] = alarms(ours, made(500, 2)).values()
    assert check.details[0].startswith("id 7 '+' is 0.00% of the ids, 1")
    assert check.details[0].endswith("% in the previous span")
    assert str(check).startswith("drift of 'op': Jensen-Shannon divergence 0.0")


class Ingest:
    """The artifacts of one ingest, as the nodes before the gate write them."""

    def __init__(self, folder, *, span=0, schema=SCHEMA, report=None, **splits):
        self.folder, self.schema, self.splits = folder, schema, splits
        self.inputs = {
            "examples": [self.artifact(standard.Examples, "examples", span=span)],
            "statistics": [self.artifact(standard.ExampleStatistics, "statistics", span=span)],
            "schema": [self.artifact(standard.Schema, "schema")],
            "anomalies": [self.artifact(standard.ExampleAnomalies, "anomalies")],
            "quarantine": [self.artifact(QuarantineArtifact, "quarantine")],
        }
        self.inputs["examples"][0].version = 2
        for kind in ("examples", "statistics", "anomalies"):
            self.inputs[kind][0].split_names = json.dumps(list(splits))
        for name, content in splits.items():
            found = statistics(batch_of(content), schema=schema)
            self.write(f"statistics/Split-{name}/FeatureStats.pb", found.SerializeToString())
            with (folder / f"statistics/Split-{name}" / resampling.FILE).open("wb") as file:
                split(batch_of(content)).parts.write(file)
            anomalies = tfdv.validate_statistics(found, schema)
            self.write(f"anomalies/Split-{name}/SchemaDiff.pb", anomalies.SerializeToString())
        counts = {name: len(content) for name, content in splits.items()}
        report = IngestReport(**{"rows_in": sum(counts.values()), "splits": counts} | (report or {}))
        self.write("schema/schema.pbtxt", text_format.MessageToString(schema).encode())
        self.write("quarantine/report.json", report.model_dump_json().encode())

    def artifact(self, kind, name, **properties):
        made = kind()
        made.uri, made.id = str(self.folder / name), 7
        for key, value in properties.items():
            setattr(made, key, value)
        return made

    def write(self, path, content):
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(content)

    def gate(self, *, previous=(), presplit=False, **config):
        """Runs the gate; gives the artifact, and check by name and subject."""
        verdict = self.artifact(VerdictArtifact, "verdict")
        properties = {
            "settings": DataGateSettings(**config).model_dump_json(),
            "sequence": SPEC.model_dump_json(),
            "presplit": int(presplit),
            "root": "/the/root",
        }
        Executor().Do(self.inputs | {"previous": list(previous)}, {"verdict": [verdict]}, properties)
        checks = read_verdict(self.folder / "verdict").checks
        return verdict, {(check.name, check.subject): check for check in checks}


def blocked(checks):
    return {key for key, check in checks.items() if check.outcome is Outcome.BLOCKED}


def test_good_data_pass_and_the_verdict_says_what_it_is_about(tmp_path):
    verdict, checks = Ingest(tmp_path, span=3, train=rows(400, 1), eval=rows(100, 2)).gate()
    assert {check.outcome for check in checks.values()} == {Outcome.PASSED}
    assert {name for name, _ in checks} == {"bad rows", "lost rows", "empty split", "other", "skew"}
    assert {check.kind for check in checks.values()} == {
        "bad_rows",
        "lost_rows",
        "empty_split",
        "other",
        "skew",
    }
    about = [verdict.get_int_custom_property(p) for p in ("examples_id", "statistics_id", "span", "version")]
    assert (verdict.passed, about) == (1, [7, 7, 3, 2])


def narrower(**change):
    schema = make_schema(SPEC)
    for name, (where, value) in change.items():
        feature = next(f for f in schema.feature if f.name == name)
        part, key = where.split(".")
        setattr(getattr(feature, part), key, value)
    return schema


def without(name):
    schema = make_schema(SPEC)
    schema.feature.remove(next(f for f in schema.feature if f.name == name))
    return schema


@pytest.mark.parametrize(
    ("schema", "key", "asked", "measured", "detail"),
    [
        (
            narrower(res=("int_domain.max", 18)), ("new values", "'res' (train)"),
            "allowed are ids 1…18", "Unexpectedly large value: 19", "new: id 19 '9' ",
        ),
        (
            narrower(defs=("value_count.max", 9)), ("list length", "'defs' (train)"),
            "allowed are 1…9 ids in a row", "Some examples have more values than expected",
            "the shortest list holds 7 ids, the longest 11",
        ),
        (
            narrower(op=("presence.min_count", 1000)), ("missing feature", "'op' (train)"),
            "at least 100.00% of the rows must have it", "The feature was present in fewer examples",
            "0 rows lack it, 400 have it",
        ),
    ],
    ids=["new value", "too long", "too few"],
)  # fmt: skip
def test_what_the_schema_forbids_blocks_and_is_named(tmp_path, schema, key, asked, measured, detail):
    ingest = Ingest(tmp_path, schema=schema, train=rows(400, 1), eval=rows(100, 2))
    verdict, checks = ingest.gate()
    assert (verdict.passed, checks[key].outcome) == (0, Outcome.BLOCKED)
    assert checks[key].asked == asked
    assert checks[key].measured.startswith(measured)
    assert checks[key].details[0].startswith(detail)
    assert checks[key].details[-1] == "more: maskline schema diff --root /the/root"


def test_feature_that_the_schema_does_not_know_warns(tmp_path):
    verdict, checks = Ingest(tmp_path, schema=without("res"), train=rows(400, 1), eval=rows(100, 2)).gate()
    found = checks["new feature", "'res' (train)"]
    assert (verdict.passed, found.outcome, found.asked) == (1, Outcome.WARNED, "the schema knows defs, op")


def without_plus(count, seed):
    return rows(count, seed, keep=lambda texts: "+" not in texts[1])


def test_drift_and_skew_are_told_apart_and_severity_decides(tmp_path):
    before = Ingest(tmp_path / "before", train=rows(400, 3), eval=rows(100, 4))
    ingest = Ingest(tmp_path / "now", train=without_plus(400, 1), eval=rows(400, 2))
    previous = before.inputs["statistics"]
    verdict, checks = ingest.gate(previous=previous, presplit=True)
    assert blocked(checks) == {("drift", "'op'"), ("skew", "'op'")}
    more = f"more: maskline data stats {tmp_path}/now/examples/Split-train --root /the/root"
    assert checks["drift", "'op'"].details[-1] == more
    verdict, checks = ingest.gate(
        previous=previous, presplit=True, severity={"drift": "warn", "skew": "ignore"}
    )
    assert (verdict.passed, checks["drift", "'op'"].outcome) == (1, Outcome.WARNED)
    assert checks["skew", "'op'"].outcome is Outcome.IGNORED


def test_skew_warns_where_a_hash_made_the_splits_and_says_so(tmp_path):
    verdict, checks = Ingest(tmp_path, train=without_plus(400, 1), eval=rows(400, 2)).gate()
    skew = checks["skew", "'op'"]
    assert (verdict.passed, skew.outcome) == (1, Outcome.WARNED)
    assert any(line.startswith("a hash of each row made the splits") for line in skew.details)


@pytest.mark.parametrize("kind", ["drift", "skew"])
def test_block_names_the_setting_that_lets_it_pass_and_it_does(tmp_path, kind):
    before = Ingest(tmp_path / "before", train=rows(400, 3), eval=rows(100, 4)).inputs["statistics"]
    ingest = Ingest(tmp_path / "now", train=without_plus(400, 1), eval=rows(400, 2))
    quiet = {"severity": {"drift" if kind == "skew" else "skew": "warn"}}
    _, checks = ingest.gate(previous=before, presplit=True, **quiet)
    details = checks[kind, "'op'"].details
    assert "expect a false alarm in about 1 of 10,000 comparisons" in details
    [hint] = [line for line in details if "--set" in line]
    value = float(hint.split(f"--set data_gate.max_{kind}=")[1].split(",")[0])
    assert f"--set data_gate.severity.{kind}=warn" in hint
    assert ingest.gate(previous=before, presplit=True, **quiet, **{f"max_{kind}": value})[0].passed
    too_little = {f"max_{kind}": value - 0.0001}
    assert not ingest.gate(previous=before, presplit=True, **quiet, **too_little)[0].passed


def test_rows_that_both_splits_hold_are_told_with_their_share(tmp_path):
    train = rows(400, 1)
    ingest = Ingest(tmp_path, train=train, eval=[*rows(90, 2), *train[:10]])
    verdict, checks = ingest.gate(presplit=True)
    shared = checks["shared rows", "eval"]
    assert (verdict.passed, shared.outcome) == (1, Outcome.WARNED)
    assert shared.measured == "10.00% of the 100 eval rows do"
    assert not ingest.gate(presplit=True, severity={"shared_rows": "block"})[0].passed
    assert ("shared rows", "eval") not in ingest.gate()[1]


def test_a_test_split_of_the_users_own_is_compared_with_train_and_with_eval(tmp_path):
    held_out = rows(200, 2)
    test = [*without_plus(380, 3), *held_out[:20]]
    ingest = Ingest(tmp_path, train=rows(400, 1), eval=held_out, test=test)
    _, checks = ingest.gate(presplit=True)
    assert blocked(checks) == {("skew", "'op' (test)")}
    assert (
        checks["shared rows", "test and eval"].measured
        == f"{20 / len(test):.2%} of the {len(test)} test rows do"
    )
    assert checks["shared rows", "test"].outcome is Outcome.PASSED
    assert ("skew", "'op' (test)") not in ingest.gate()[1]


def test_without_test_rows_nothing_is_asked_of_them(tmp_path):
    ingest = Ingest(tmp_path, train=rows(400, 1), eval=rows(100, 2), test=[])
    verdict, checks = ingest.gate()
    assert verdict.passed
    assert not [subject for _, subject in checks if "test" in subject]


def test_statistics_of_an_earlier_version_are_told_and_not_judged(tmp_path):
    before = Ingest(tmp_path / "before", train=rows(400, 3), eval=rows(100, 4))
    (tmp_path / "before/statistics/Split-train" / resampling.FILE).unlink()
    ingest = Ingest(tmp_path / "now", train=without_plus(400, 1), eval=without_plus(100, 2))
    verdict, checks = ingest.gate(previous=before.inputs["statistics"])
    assert (verdict.passed, checks["drift", "'op'"].outcome) == (1, Outcome.WARNED)
    assert "an earlier version" in checks["drift", "'op'"].asked


@pytest.mark.parametrize(
    ("vocabulary", "compared"),
    [
        (SPEC.vocabulary, True),
        (SPEC.vocabulary[:-1], True),  # one symbol was appended since
        ((*SPEC.vocabulary[:-2], "9", "8"), False),
        ((*SPEC.vocabulary, "?"), False),
    ],
    ids=["the same", "shorter", "two changed places", "longer"],
)
def test_drift_is_measured_only_where_the_ids_mean_the_same_symbols(tmp_path, vocabulary, compared):
    before = Ingest(tmp_path / "before", train=rows(400, 3), eval=rows(100, 4))
    theirs, [previous] = SequenceSpec(vocabulary=vocabulary), before.inputs["statistics"]
    previous.set_int_custom_property("vocabulary_size", theirs.size)
    previous.set_string_custom_property("vocabulary_digest", theirs.vocabulary_digest())
    ingest = Ingest(tmp_path / "now", train=without_plus(400, 1), eval=without_plus(100, 2))
    verdict, checks = ingest.gate(previous=[previous])
    assert (verdict.passed, ("drift", "'op'") in checks) == (not compared, compared)
    if not compared:
        assert checks["drift", ""].outcome is Outcome.WARNED
        assert "under another vocabulary" in checks["drift", ""].asked


@pytest.mark.parametrize(("bad", "passes"), [(5, True), (6, False)])
def test_share_of_bad_rows_has_a_limit(tmp_path, bad, passes):
    row = {"kind": "missing", "file": "a.tfrecord", "record": 3, "reason": "feature 'op' is missing"}
    report = {"rows_in": 500, "quarantined": {"missing": bad}, "examples": [row]}
    good = 500 - bad
    ingest = Ingest(tmp_path, report=report, train=rows(good - 100, 1), eval=rows(100, 2))
    verdict, checks = ingest.gate()
    assert verdict.passed == passes
    assert checks["bad rows", ""].measured == f"{bad} of 500 rows, {bad / 500:.2%} ({bad} missing)"
    if not passes:
        assert checks["bad rows", ""].details == (
            "a.tfrecord: record 3: feature 'op' is missing",
            "to let it through: --set data_gate.severity.bad_rows=warn",
            "more: maskline show --root /the/root --json",
        )
    assert ingest.gate(max_bad_rows=0.05)[0].passed


def test_features_that_the_ingest_dropped_are_told(tmp_path):
    report = {"rows_in": 500, "dropped": {"id": {"int64": 300, "bytes": 20}}}
    ingest = Ingest(tmp_path, report=report, train=rows(400, 1), eval=rows(100, 2))
    verdict, checks = ingest.gate()
    assert verdict.passed
    assert checks["new feature", "'id'"].outcome is Outcome.WARNED
    assert checks["new feature", "'id'"].measured == (
        "320 rows hold it (300 int64, 20 bytes); the ingest dropped it"
    )
    assert not ingest.gate(severity={"new_feature": "block"})[0].passed


def test_lost_rows_empty_splits_and_corrupt_files_are_told(tmp_path):
    torn = {"file": "b.tfrecord", "offset": 9, "unread_bytes": 7, "reason": "is truncated"}
    report = {"rows_in": 401, "corrupt": [torn]}
    _, checks = Ingest(tmp_path, report=report, train=rows(400, 1), eval=[]).gate()
    assert blocked(checks) == {("lost rows", ""), ("empty split", "eval")}
    assert checks["lost rows", ""].measured == "401 read, 400 ingested, 0 quarantined"
    assert checks["corrupt file", ""].outcome is Outcome.WARNED
    assert checks["corrupt file", ""].details[0] == "b.tfrecord: is truncated; 7 bytes were not read"


def numbered(kind, number, **properties):
    made = kind()
    made.id = number
    for key, value in properties.items():
        made.set_int_custom_property(key, value) if key.endswith("_id") else setattr(made, key, value)
    return made


@pytest.mark.parametrize(
    ("spans", "passed", "current", "previous"),
    [
        ({1: 1, 2: 2, 3: 3}, {1, 2, 3}, 3, 2),
        ({1: 1, 2: 2, 3: 3}, {1, 3}, 3, 1),  # span 2 was blocked
        ({1: 1}, set(), 1, None),
        ({1: 1, 2: 3, 3: 2}, {1, 2, 3}, 3, 1),  # span 2 came late: not the newer span 3
        ({1: 1, 2: 2, 3: 2}, {1, 2, 3}, 3, 1),  # span 2 once more: not its own earlier version
        ({1: 1, 2: 1, 3: 2}, {1, 2, 3}, 3, 2),  # span 1 twice: the newer version
        ({1: 0, 2: 0, 3: 0}, {1, 2, 3}, 2, 1),  # a plain directory: as they came
    ],
)
def test_previous_span_is_the_newest_earlier_one_that_passed(tmp_path, spans, passed, current, previous):
    there = {"uri": str(tmp_path)}
    all_of_them = [numbered(standard.ExampleStatistics, n, span=span, **there) for n, span in spans.items()]
    verdicts = [numbered(VerdictArtifact, 90 + n, passed=int(n in passed), statistics_id=n) for n in spans]
    now = next(s for s in all_of_them if s.id == current)
    resolved = PreviousSpanStrategy().resolve_artifacts(
        None, {"current": [now], "statistics": all_of_them, "verdict": [*verdicts, VerdictArtifact()]}
    )
    assert [s.id for s in resolved["statistics"]] == ([previous] if previous else [])
    assert set(resolved) == {"current", "statistics", "verdict"}


@pytest.mark.parametrize(
    ("earlier", "today", "resolved"),
    [
        ([(1, 7, 1)], (2, 7, 1), 1),  # passed by other rules before: nothing follows anew
        ([(1, 7, 0)], (2, 7, 1), 2),
        ([(1, 7, 1)], (2, 7, 0), 2),  # blocked today is blocked
        ([(1, 6, 1)], (2, 7, 1), 2),  # other examples
        ([], (2, 7, 1), 2),
    ],
)
def test_what_passes_again_is_the_same_to_all_that_follows(earlier, today, resolved):
    *before, now = (numbered(VerdictArtifact, n, examples_id=e, passed=p) for n, e, p in [*earlier, today])
    found = AcceptedStrategy().resolve_artifacts(None, {"verdict": [now], "earlier": [*before, now]})
    assert ([v.id for v in found["verdict"]], found["earlier"]) == ([resolved], [])
