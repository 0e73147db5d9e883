"""The schema change that would accept new data: what grows, what stays, and what is refused."""

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from maskline.pipeline.data.schema_change import widen
from maskline.transform.features import SequenceSpec, make_schema
from tests.docs.outputs import assert_documented
from tests.support import maskline

SPEC = SequenceSpec()
SCHEMA = make_schema(SPEC)


def dataset(rows=10, present=10, shortest=3, longest=9, ids=(1, 19), names=("defs", "op", "res")):
    made = statistics_pb2.DatasetFeatureStatistics(num_examples=rows)
    for name in names:
        feature = made.features.add()
        feature.path.step.append(name)
        common = feature.string_stats.common_stats
        common.num_non_missing, common.num_missing = present, rows - present
        common.min_num_values, common.max_num_values = shortest, longest
        for value in ids:
            feature.string_stats.rank_histogram.buckets.add(label=str(value), sample_count=1)
    return made


def changed(*datasets):
    """Field → new value, for the feature `op`."""
    before, after = (
        {f"{d.name}.{field.name}": value
         for d, message in ((d, getattr(feature, d.name)) for d in feature.DESCRIPTOR.fields
                            if d.name in ("presence", "value_count", "int_domain"))
         for field, value in message.ListFields()}
        for feature in (SCHEMA.feature[1], widen(SCHEMA, datasets).feature[1])
    )  # fmt: skip
    assert before.keys() == after.keys()
    return {key: after[key] for key in after if after[key] != before[key]}


@pytest.mark.parametrize(
    ("data", "change"),
    [
        ({}, {}),
        ({"ids": (0, 7, 26)}, {"int_domain.min": 0, "int_domain.max": 26}),
        ({"longest": 30}, {"value_count.max": 30}),
        ({"shortest": 0}, {"value_count.min": 0}),
        ({"present": 9}, {"presence.min_fraction": 0.9}),
        ({"names": ("defs", "res")}, {"presence.min_fraction": 0.0, "presence.min_count": 0}),
        ({"rows": 0, "present": 0, "names": ()}, {}),  # an empty split says nothing
    ],
)
def test_only_what_the_data_ask_for_grows(data, change):
    assert changed(dataset(), dataset(**data)) == change


def test_narrower_data_narrow_nothing_and_unknown_features_stay_out():
    assert widen(SCHEMA, [dataset(ids=(5,), shortest=4, longest=4, names=("op", "new"))]).feature[1:2] == [
        SCHEMA.feature[1]
    ]
    assert [f.name for f in widen(SCHEMA, [dataset(names=("new",))]).feature] == ["defs", "op", "res"]


@pytest.fixture
def narrow(tmp_path):
    """A curated schema that knows one digit less than the data."""
    schema = schema_pb2.Schema.FromString(SCHEMA.SerializeToString())
    schema.feature[2].int_domain.max = 18
    file = tmp_path / "narrow.pbtxt"
    file.write_text(text_format.MessageToString(schema))
    return file


@pytest.mark.slow
def test_change_is_shown_written_and_then_nothing_is_left_to_change(finished, narrow):
    options = ("--root", finished.root, "--set", f"data.schema={narrow}")
    before = narrow.read_text()
    shown = maskline("schema", "diff", *options)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [line for line in shown.stdout.splitlines() if line[0] in "+-"][2:] == [
        "-    max: 18",
        "+    max: 19",
    ]
    assert narrow.read_text() == before
    assert_documented("schema-diff", shown.stdout, replace={narrow: "transform/schema.pbtxt"})
    done = maskline("schema", "accept", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"{narrow} is written; the next `maskline run` uses it.\n")
    assert narrow.read_text() == before.replace("max: 18\n    is_categorical", "max: 19\n    is_categorical")
    for command in ("diff", "accept"):
        again = maskline("schema", command, *options)
        assert again.returncode == 0
        assert again.stdout.startswith("The schema accepts the data of run ")


@pytest.mark.slow
def test_what_the_sequence_cannot_take_is_refused_in_one_line(finished, narrow):
    before = narrow.read_text()
    schema = text_format.Parse(before, schema_pb2.Schema())
    for feature in schema.feature:
        feature.int_domain.max = 18
    narrow.write_text(text_format.MessageToString(schema))
    symbols = "[" + ",".join(f"'{symbol}'" for symbol in SPEC.vocabulary[:-1]) + "]"
    refused = maskline(
        "schema", "accept", "--root", finished.root,
        "--set", f"data.schema={narrow}", "--set", f"sequence.vocabulary={symbols}",
    )  # fmt: skip
    assert refused.returncode == 2
    assert refused.stderr == (
        f"maskline: {narrow}: not changed: feature 'defs' allows ids up to 19, the vocabulary ends at 18; "
        "fix the data, or change sequence first\n"
    )
    assert "max: 18" in narrow.read_text()


@pytest.mark.parametrize(
    ("root", "problem"), [("nowhere", "no run yet"), ("finished", "data.schema is not set")]
)
@pytest.mark.slow
def test_nothing_to_accept_is_said(tmp_path, finished, root, problem):
    file = tmp_path / "settings.yaml"
    file.write_text("{}")
    where = finished.root if root == "finished" else tmp_path / root
    done = maskline("schema", "accept", "--config", file, "--root", where)
    assert done.returncode == 2
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1
