"""Settings: one file, one line for each mistake."""

import re

import pytest
import yaml

from maskline.pipeline.config import Config, load
from maskline.trainer.settings import PRESETS
from maskline.transform.errors import InputError
from tests.support import REPOSITORY


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_file_in_the_repository_holds_the_defaults():
    fields = {"exclude": {"root": True, "data": {"path": True, "schema_file": True}}}
    assert load(REPOSITORY / "maskline.yaml").model_dump(**fields) == Config().model_dump(**fields)


def test_values_that_a_preset_sets_stand_there_as_comments(tmp_path):
    text = (REPOSITORY / "maskline.yaml").read_text()
    given = re.sub(r"^  # (?=[a-z_]+: )", "  ", text, flags=re.M)
    (tmp_path / "all.yaml").write_text(given)
    assert load(tmp_path / "all.yaml").model == Config().model
    assert load(tmp_path / "all.yaml").training == Config().training
    named = yaml.safe_load(given)
    assert set(named["model"]) == set(Config.model_fields["model"].annotation.model_fields)
    assert set(named["training"]) == set(Config.model_fields["training"].annotation.model_fields)
    untouched = yaml.safe_load(text)
    for part, values in PRESETS["reference"].items():
        assert not set(values) & set(untouched[part]), "a key that stands there wins over the preset"


def test_preset_sets_what_is_not_given(elsewhere):
    config = load(overrides=["model.preset=reference", "model.width=9", "training.epochs=3"])
    assert (config.model.width, config.model.hidden, config.model.attention_mask) == (9, (150,), "queries")
    assert (config.training.epochs, config.training.batch_size) == (3, 2)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["model.preset=best"], "model.preset: 'best' is not allowed: Input should be 'default'"),
        (["model.kernel=4"], "model: kernel: 4 is even; an odd kernel sees as far ahead as back"),
        (["model.preset=length-free", "model.queries=0"], "needs rows of one length"),
        (["training.length_buckets=[5, 10]"], "only a model of any length has them"),
        (["model=reference"], "model: 'reference' is not allowed"),
    ],
)
def test_settings_that_do_not_fit_together(elsewhere, overrides, problem):
    with pytest.raises(InputError, match=re.escape(problem)):
        load(overrides=overrides)


def test_without_a_file_the_defaults_hold_here(elsewhere):
    config = load()
    assert config.root == elsewhere / "maskline-root"
    assert config.data.path == elsewhere / "data/reference"


def test_paths_in_a_file_are_relative_to_it(elsewhere):
    (elsewhere / "sub").mkdir()
    (elsewhere / "sub/my.yaml").write_text("root: r\ndata: {path: d, schema: s.pbtxt}")
    config = load(elsewhere / "sub/my.yaml")
    assert (config.root, config.data.path) == (elsewhere / "sub/r", elsewhere / "sub/d")
    assert config.data.schema_file == elsewhere / "sub/s.pbtxt"


def test_command_line_wins_over_file(elsewhere):
    (elsewhere / "maskline.yaml").write_text("training: {epochs: 3, seed: 4}\nroot: r")
    config = load(overrides=["training.epochs=7", "data.path=x", "model.width=9"], root="other", data="d")
    assert (config.training.epochs, config.training.seed, config.model.width) == (7, 4, 9)
    assert (config.root, config.data.path) == (elsewhere / "other", elsewhere / "d")


def test_vocabulary_may_be_a_file(elsewhere):
    (elsewhere / "words.txt").write_text("<pad>\nsep\nred\n")
    (elsewhere / "my.yaml").write_text("sequence: {vocabulary: words.txt, separator: sep, padding: <pad>}")
    assert load(elsewhere / "my.yaml").sequence.vocabulary == ("<pad>", "sep", "red")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("trainning: {}", "bad.yaml: trainning: no such setting; did you mean training? allowed: "),
        ("training: {epoch: 3}", "training.epoch: no such setting; did you mean epochs?"),
        (
            "training: {epochs: many}",
            "training.epochs: 'many' is not allowed: Input should be a valid integer",
        ),
        (
            "training: {epochs: 0}",
            "training.epochs: 0 is not allowed: Input should be greater than or equal to 1",
        ),
        ("training: 3", "training: 3 is not allowed"),
        (
            "evaluation: {slices: [{name: a, begin: x}]}",
            "slices.0.begin: no such setting; did you mean begins?",
        ),
        (
            "evaluation: {slices: [{name: a, feature: shape, begins: [x]}]}",
            "evaluation.slices.0: slice 'a': no feature 'shape'; there are defs, op, res",
        ),
        (
            "evaluation: {thresholds: [{metric: acuracy}]}",
            "release_gate.thresholds.0.metric: 'acuracy' is not",
        ),
        ("sequence: {label: op}", "sequence: label 'op' is also an input in features"),
        ("sequence: {features: [a-b]}", "sequence.features.0: 'a-b' is not allowed"),
        ("sequence: {vocabulary: none.txt}", "sequence.vocabulary: "),
        ("data: {schemas: x}", "data.schemas: no such setting; did you mean schema?"),
        ("- a\n- b", "bad.yaml: holds a list; a mapping of settings is needed"),
        ("a: [", "bad.yaml: is not YAML"),
    ],
)
def test_mistake_in_a_file_is_one_line(elsewhere, text, problem):
    (elsewhere / "bad.yaml").write_text(text)
    with pytest.raises(InputError) as refused:
        load(elsewhere / "bad.yaml")
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("training.epochs", "write it as path.to.key=value"),
        ("=3", "write it as path.to.key=value"),
        ("training.epochs=[", "'[' is not YAML"),
        ("training.epochs=x", "--set: training.epochs: 'x' is not allowed"),
        ("a.b=1", "--set: a: no such setting"),
    ],
)
def test_mistake_in_an_override_is_one_line(elsewhere, override, problem):
    with pytest.raises(InputError) as refused:
        load(overrides=[override])
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_file_is_named(elsewhere):
    with pytest.raises(InputError, match=r"none.yaml: cannot be read \(No such file"):
        load(elsewhere / "none.yaml")
