"""`data.split_by`: what belongs together is in one split, and the row says so to what comes behind."""

import sys
from collections import defaultdict

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from maskline.components.ingest import beam, groups, keyed
from maskline.components.ingest.beam import ReadShard, ShardPart
from maskline.components.ingest.component import IngestSettings
from maskline.components.ingest.listing import list_shards
from maskline.components.ingest.quarantine import IngestReport
from maskline.components.ingest.rows import read_row, with_key
from maskline.transform import own_code
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import GROUP, SPLITS
from maskline.transform.samples import exercises, same_exercise
from maskline.transform.splits import encoded, split_of, splits_of
from tests.components.ingest.test_component import data, execute, numbered
from tests.fuzz import cases
from tests.support import example, tfrecord, write_shard

SPEC = SequenceSpec()


def with_float(row, name, value):
    """The row with one more feature, of one float."""
    found = tf.train.Example.FromString(row)
    found.features.feature[name].float_list.value.append(value)
    return found.SerializeToString(deterministic=True)


def dealt(folder, split_by, **options):
    """What a reader makes of the shards in a folder: rows of each split, those set aside, and counts."""
    reader = ReadShard(str(folder), SPEC, test_share=0.5, split_by=split_by, **options)
    splits, bad, results = defaultdict(list), [], []
    for shard in list_shards(folder, "*").shards:
        for number, found in enumerate(reader.process(ShardPart(shard))):
            if found.tag in SPLITS:
                file = folder.parent / f"{shard.name}-{number}"
                file.write_bytes(found.value.content)
                splits[found.tag] += [tf.train.Example.FromString(row) for row in data(file)]
            else:
                {"quarantined": bad, "shards": results}[found.tag].append(found.value)
    return splits, bad, results


def keys(rows):
    return {row.features.feature[GROUP].int64_list.value[0] for row in rows}


@pytest.mark.parametrize("of", [lambda n: [n % 40], lambda n: [f"user {n % 40} ü"]], ids=["int", "text"])
def test_rows_of_one_user_are_in_one_split_whatever_else_they_hold(tmp_path, of):
    rows = [row | {"user": of(n)} for n, row in enumerate(numbered(342))]
    write_shard(tmp_path / "d/a", rows[:200])
    write_shard(tmp_path / "d/b", rows[200:], compress=True)
    splits, bad, results = dealt(tmp_path / "d", "user")
    assert not bad
    found = {split: keys(rows) for split, rows in splits.items()}
    assert set(found) == set(SPLITS)
    assert sum(map(len, found.values())) == len(set.union(*found.values())) == 40
    assert sum(map(len, splits.values())) == 342
    kept = [set(row.features.feature) for rows in splits.values() for row in rows]
    assert all(names == {"defs", "op", "res", GROUP} for names in kept)  # the user is not kept
    assert not any(result.dropped for result in results), "nothing is lost that the settings do not name"


def test_floats_decide_too_and_so_does_a_feature_that_is_an_input(tmp_path):
    (tmp_path / "d").mkdir()
    rows = [with_float(example(**row), "f", n % 3 / 8) for n, row in enumerate(numbered(60))]
    (tmp_path / "d/a").write_bytes(tfrecord(rows))
    assert len(set.union(*map(keys, dealt(tmp_path / "d", "f")[0].values()))) == 3
    assert len(set.union(*map(keys, dealt(tmp_path / "d", "op")[0].values()))) == 1


def test_row_without_the_feature_is_set_aside_and_named(tmp_path):
    rows = [row | ({"user": [n]} if n % 3 else {}) for n, row in enumerate(numbered(30))]
    write_shard(tmp_path / "d/a", rows)
    splits, bad, _ = dealt(tmp_path / "d", "user")
    assert sum(map(len, splits.values())) == 20
    assert [row.record for row in bad] == list(range(0, 30, 3))
    assert {(row.reason, row.text) for row in bad} == {
        ("no key for data.split_by", "feature 'user' is missing or empty; data.split_by needs it")
    }
    assert bad[0].data == example(**rows[0])


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that the settings can name."""
    monkeypatch.syspath_prepend(tmp_path / "code")

    def module(text, name="mine"):
        (tmp_path / "code").mkdir(exist_ok=True)
        (tmp_path / f"code/{name}.py").write_text(text)
        sys.modules.pop(name, None)
        groups._function.cache_clear()
        return f"{name}:key"

    yield module
    sys.modules.pop("mine", None)
    groups._function.cache_clear()


def test_function_decides_and_rows_for_which_it_raises_are_set_aside(tmp_path, module):
    path = module("def key(row):\n    return (row['res'][0] % 9, 'é') if row['res'][0] != 5 else 1 / 0\n")
    write_shard(tmp_path / "d/a", numbered(342))
    splits, bad, _ = dealt(tmp_path / "d", path)
    assert {row.text for row in bad} == {
        "mine:key failed (ZeroDivisionError: division by zero); data.split_by needs its answer"
    }
    assert sum(map(len, splits.values())) + len(bad) == 342
    assert len(bad) == 18
    for split, rows in splits.items():
        others = set.union(set(), *(keys(more) for name, more in splits.items() if name != split))
        assert not keys(rows) & others
    assert len(set.union(*map(keys, splits.values()))) == 9


@pytest.mark.parametrize("answer", ["None", "{1, 2}", "object()"])
def test_what_is_no_key_sets_the_row_aside(tmp_path, module, answer):
    write_shard(tmp_path / "d/a", numbered(2))
    _, bad, _ = dealt(tmp_path / "d", module(f"def key(row):\n    return {answer}\n"))
    assert len(bad) == 2
    assert "TypeError: a key is text, bytes, a number or a tuple of these, and not" in bad[0].text


def test_keys_are_encoded_alike_in_every_process():
    import numpy as np

    assert encoded([1, ("a", b"b")]) == encoded((np.int64(1), ["a", b"b"])) == b"(1, ('a', b'b'))"
    assert len({encoded(key) for key in (1, "1", b"1", (1,), 1.5, True)}) == 6


def test_exercises_in_other_words_belong_together(tmp_path):
    import numpy as np

    rows = []
    for definitions, operation, result in exercises(3000, max_value=6, rng=np.random.default_rng(0)):
        texts = {"defs": definitions, "op": operation, "res": result}
        rows.append({name: [SPEC.ids[symbol] for symbol in text] for name, text in texts.items()})
    write_shard(tmp_path / "d/a", rows)
    splits, bad, _ = dealt(tmp_path / "d", "maskline.transform.samples:same_exercise")
    assert not bad
    found = {
        split: {
            same_exercise({n: f.int64_list.value for n, f in row.features.feature.items()}) for row in rows
        }
        for split, rows in splits.items()
    }
    # 11 values: 66 unordered pairs for each of three operations.
    assert sum(map(len, found.values())) == len(set.union(*found.values())) == 3 * 66
    assert 0.1 < 1 - len(splits["train"]) / 3000 < 0.3

    def asked(definitions, operation):
        texts = {"defs": definitions, "op": operation}
        return same_exercise({name: [SPEC.ids[s] for s in text] for name, text in texts.items()})

    assert (
        asked("x=-12,y=24", "y-x")
        == asked("y=-12,x=24", "y-x")
        == ("-", -12, 24)
        != asked("x=-12,y=24", "y+x")
    )


SETTINGS = {"sequence": SPEC, "pattern": "*", "min_test_rows": 5}


@pytest.mark.parametrize(
    ("split_by", "problem"),
    [
        (
            "constant",
            "data.split_by: 'constant' leaves all 30 rows in train: all have the same value, and rows of",
        ),
        (
            "nobody",
            "data.split_by: 'nobody' gives none of 30 rows a key: feature 'nobody' is missing or empty",
        ),
    ],
)
def test_key_that_sends_everything_to_one_part_is_refused(tmp_path, split_by, problem):
    write_shard(tmp_path / "data/a", [row | {"constant": [4]} for row in numbered(30)])
    with pytest.raises(InputError) as refused:
        execute(tmp_path, tmp_path / "data", IngestSettings(**SETTINGS, split_by=split_by))
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_function_must_be_the_one_that_the_run_was_made_with(tmp_path, module):
    path = module("def key(row):\n    return row['res']\n")
    write_shard(tmp_path / "data/a", numbered(60))
    source = own_code.source(path, groups.SETTING)
    settings = IngestSettings(**SETTINGS, split_by=path, split_source=source)
    execute(tmp_path, tmp_path / "data", settings)
    report = IngestReport.model_validate_json((tmp_path / "quarantine/report.json").read_text())
    assert sum(report.splits.values()) == 60
    assert report.groups == 11  # more than ten are not counted
    module("def key(row):\n    return row['op']\n")
    assert own_code.source(path, groups.SETTING) != source
    with pytest.raises(
        InputError, match="the source of mine:key here is not the one that the run was made with"
    ):
        execute(tmp_path, tmp_path / "data", settings)


def by_row(data, split_by):
    """What the ingest makes of a row that is looked at for itself: where it goes, and what is written."""
    reader = ReadShard("", SPEC, test_share=0.5, split_by=split_by)
    row, key = reader._grouped(read_row(data, SPEC), data)
    if row.problem:
        return "quarantined", data
    written = tf.train.Example.FromString(row.data)
    return split_of(key, train_percent=80, test_share=0.5), written.SerializeToString(deterministic=True)


ids = st.lists(st.integers(2, 19), min_size=1, max_size=9)
users = st.one_of(st.lists(st.integers(-3, 3), max_size=2), st.lists(st.sampled_from("äb"), max_size=2))
rows = st.fixed_dictionaries(dict.fromkeys(("defs", "op", "res"), ids), optional={"user": users})


@cases(60)
@given(rows=st.lists(rows, min_size=1, max_size=8))
@pytest.mark.parametrize("split_by", ["user", "op", "mine:key"])
def test_blocks_are_dealt_out_as_row_by_row(tmp_path, module, split_by, rows):
    module("def key(row):\n    return row['op'], len(row['defs']), 1 // (row['res'][0] - 2)\n")
    data = [example(**row) for row in rows]
    (tmp_path / "d").mkdir(exist_ok=True)
    (tmp_path / "d/a").write_bytes(tfrecord(data))
    splits, bad, _ = dealt(tmp_path / "d", split_by)
    found = [
        (split, row.SerializeToString(deterministic=True)) for split, rows in splits.items() for row in rows
    ]
    found += [("quarantined", row.data) for row in bad]
    assert sorted(found) == sorted(by_row(row, split_by) for row in data)


@pytest.mark.parametrize("split_by", ["user", "op", "maskline.transform.samples:same_exercise"])
def test_good_rows_with_a_key_are_not_looked_at_one_by_one(tmp_path, monkeypatch, split_by):
    texts = [("x=1,y=2", "x+y", "3"), ("y=-4,x=2", "y-x", "-6")]
    names = ("defs", "op", "res")
    rows = [{n: [SPEC.ids[s] for s in text] for n, text in zip(names, row, strict=True)} for row in texts]
    user = [{"user": ["ü"]} if split_by == "user" else {}] * 2
    write_shard(tmp_path / "d/a", [row | more for row, more in zip(rows, user, strict=True)])
    monkeypatch.setattr(beam, "read_row", None)
    splits, bad, _ = dealt(tmp_path / "d", split_by)
    assert sum(map(len, splits.values())) == 2
    assert not bad


@pytest.mark.parametrize("key", [0, 1, 127, 128, 2**62, 2**63 - 1, 2**63, 2**256 - 1])
def test_key_is_written_as_protobuf_writes_it(key):
    [entry] = keyed._entries([key.to_bytes(32, "big")])
    written = with_key(b"", key)
    assert written == b"\n" + bytes([len(entry)]) + entry


@cases(30)
@given(numbers=st.lists(st.integers(0, 2**256 - 1), max_size=6), percent=st.integers(0, 100))
def test_many_digests_are_split_as_one_is(numbers, percent):
    shares = {"train_percent": percent, "test_share": 0.31}
    many = splits_of([number.to_bytes(32, "big") for number in numbers], **shares)
    assert many.tolist() == [split_of(number, **shares) for number in numbers]
