"""Settings that do not fit the data are told from bad data, before anything is ingested."""

import pytest

from maskline.pipeline.local import fit
from maskline.pipeline.settings.load import load_with_sources
from maskline.transform.errors import InputError
from tests.support import GOOD, _field, example, tfrecord, write_shard

SEQUENCE = "sequence:\n  features: [text]\n  label: {label}\n  vocabulary: [' ', ':', a, b]\n"

TASK = "task.kind=class", "task.classes=[no, yes]"


def with_text(name, text, /, **features):
    """A tf.Example with a bytes feature beside int64 lists."""
    entry = _field(1, name.encode()) + _field(2, _field(1, _field(1, text)))
    return example(**features) + _field(1, _field(1, entry))


@pytest.fixture
def given(tmp_path):
    def given(label="intent", *overrides):
        (tmp_path / "my.yaml").write_text(SEQUENCE.format(label=label))
        return load_with_sources(tmp_path / "my.yaml", overrides)

    return given


@pytest.fixture
def shard(tmp_path):
    def shard(*records, name="a.tfrecord"):
        (tmp_path / name).write_bytes(tfrecord(records))
        return tmp_path / name

    return shard


def test_a_mistyped_label_is_told_with_what_rows_have_and_the_nearest_name(tmp_path, given, shard):
    rows = [example(text=[2], intent=[3])] * 150
    with pytest.raises(InputError) as refused:
        fit.check(given("intnet"), [shard(*rows)])
    assert str(refused.value) == (
        f"{tmp_path}/my.yaml:3: sequence.label: 'intnet' is in none of the first 100 rows; "
        "rows have: intent (int64), text (int64); did you mean intent?"
    )


def test_features_that_hold_text_are_told(tmp_path, given, shard):
    with pytest.raises(InputError) as refused:
        fit.check(given(), [shard(with_text("text", b"hello", intent=[3]))])
    assert str(refused.value) == (
        f"{tmp_path}/my.yaml:2: sequence.features: 'text' holds bytes, and int64 ids are needed; "
        "rows have: intent (int64), text (bytes); set sequence.text.split to words or characters, or write "
        "the ids of a vocabulary"
    )


def test_features_that_should_hold_text_and_do_not_are_told(tmp_path, given, shard):
    with pytest.raises(InputError) as refused:
        fit.check(
            given("intent", "sequence.text={split: words}", *TASK), [shard(example(text=[2], intent=[3]))]
        )
    assert "'text' holds int64, and text, in bytes lists, is needed; " in str(refused.value)
    assert str(refused.value).endswith("set sequence.text.split=ids")


def test_blame_falls_on_what_set_the_name(given, shard, monkeypatch, tmp_path):
    rows = shard(example(text=[2], intent=[3]))
    with pytest.raises(InputError, match=r"^--set: sequence.label: 'x' is in none of the first 1 rows"):
        fit.check(given("intent", "sequence.label=x"), [rows])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=r"^the defaults: sequence.features: 'defs' is in none.*describe your"
    ):
        fit.check(load_with_sources(), [rows])


def test_what_only_some_rows_lack_is_left_to_the_data_gate(given, shard):
    good, bad = example(text=[2], intent=[3]), example(text=[2])
    for records in (
        [bad] * 99 + [good],
        [with_text("text", b"x", intent=[3]), good],
        [b"no example", good],
        [b"\xff"],
    ):
        fit.check(given(), [shard(*records)])


def test_the_first_shards_are_looked_at(given, shard):
    good, bad = example(text=[2], intent=[3]), example(text=[2])
    shards = [shard(bad, name=f"{n}.tfrecord") for n in range(2)]
    fit.check(given(), [*shards, shard(good, name="c.tfrecord")])
    with pytest.raises(InputError, match=r"sequence.label: 'intent' is in none of the first 2 rows"):
        fit.check(given(), shards)


def test_a_damaged_shard_is_left_to_the_ingest(given, shard, tmp_path):
    whole = shard(example(text=[2], intent=[3])).read_bytes()
    (tmp_path / "cut.tfrecord").write_bytes(whole[:-3])
    (tmp_path / "empty.tfrecord").write_bytes(b"")
    fit.check(given(), [tmp_path / "cut.tfrecord", tmp_path / "empty.tfrecord"])


def test_the_exercises_fit_the_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit.check(load_with_sources(), [write_shard(tmp_path / "a.tfrecord", [GOOD])])


def test_many_features_and_odd_names_stay_one_line(given, shard):
    record = example(**{f"f{n:03}": [1] for n in range(300)}, **{"a\x1b[31m\n": [1]})
    with pytest.raises(
        InputError, match=r"a\\x1b\[31m\\n \(int64\), f000 .* and 281 more; describe"
    ) as refused:
        fit.check(given(), [shard(record)])
    assert str(refused.value).isprintable()


def test_key_of_the_split_that_no_row_has_is_told_with_what_they_have(tmp_path, given, shard):
    rows = shard(*(with_text("user", b"a", text=[2], intent=[3]) for _ in range(3)))
    fit.check(given("intent", "data.split_by=user"), [rows])
    with pytest.raises(InputError) as refused:
        fit.check(given("intent", "data.split_by=usr"), [rows])
    assert str(refused.value) == (
        "--set: data.split_by: 'usr' is in none of the first 3 rows; "
        "rows have: intent (int64), text (int64), user (bytes); did you mean user?"
    )


def test_function_that_fails_for_every_row_is_told_and_one_that_fails_for_some_is_not(
    tmp_path, given, shard, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "split_of_fit.py").write_text("def key(row):\n    return row['user'][0]\n")
    loaded = given("intent", "data.split_by=split_of_fit:key")
    lacking = example(text=[2], intent=[3])
    with pytest.raises(InputError) as refused:
        fit.check(loaded, [shard(lacking, lacking)])
    assert str(refused.value) == (
        "--set: data.split_by: 'split_of_fit:key' gives none of the first 2 rows a key: split_of_fit:key "
        "failed (KeyError: 'user'); data.split_by needs its answer; rows have: intent (int64), text (int64); "
        "fix it, or name a feature"
    )
    fit.check(loaded, [shard(lacking, with_text("user", b"a", text=[2], intent=[3]), name="b.tfrecord")])


def test_numbers_that_no_row_has_are_told(tmp_path, given, shard):
    rows = shard(example(text=[2], intent=[3], heat=[21], place=[0.5]))
    fit.check(given("intent", "sequence.numeric={place: 1}"), [rows])
    with pytest.raises(InputError) as refused:
        fit.check(given("intent", "sequence.numeric={heat: 1}"), [rows])
    assert "sequence.numeric: 'heat' holds int64, and floats are needed; rows have:" in str(refused.value)
    assert str(refused.value).endswith("write a float list")
    with pytest.raises(InputError) as refused:
        fit.check(given("intent", "sequence.numeric={plaice: 1}"), [rows])
    assert "'plaice' is in none of the first 1 rows" in str(refused.value)
    assert str(refused.value).endswith("did you mean place?")


def test_numbers_have_no_place_in_tagging_and_in_models_of_ones_own(given):
    with pytest.raises(InputError, match="each labels ids, and numbers belong to a row"):
        given("intent", "sequence.numeric={heat: 1}", "task.kind=each", "task.classes=[no, yes]")
    with pytest.raises(InputError, match="a model of your own reads ids alone"):
        given("intent", "sequence.numeric={heat: 1}", "model.build=mine:build")
