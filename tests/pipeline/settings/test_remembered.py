"""A root remembers its settings, and the commands that runs and gates print find them."""

import json
from pathlib import Path

import pytest

from maskline.pipeline.settings.load import load_with_sources
from maskline.pipeline.settings.remembered import FILE, of_root
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec, example_text, tokenize


def test_the_settings_of_the_last_run_are_found_by_its_root(remembered, elsewhere, monkeypatch):
    assert of_root(None, [], remembered.settings.root).settings == remembered.settings
    assert of_root(None, [], Path("a folder/runs")).settings == remembered.settings
    monkeypatch.chdir("/")
    found = of_root(None, ["training.seed=4"], remembered.settings.root).settings
    assert found.training.seed == 4
    assert found.model_copy(update={"training": remembered.settings.training}) == remembered.settings
    assert found.data.schema_file == elsewhere / "s.pbtxt"


def test_the_file_counts_as_it_is_today(remembered, elsewhere):
    file = elsewhere / "a folder/colours.yaml"
    file.write_text(file.read_text() + "data_gate: {max_drift: 0.5}\n")
    assert of_root(None, [], remembered.settings.root).settings.data_gate.max_drift == 0.5


def test_a_file_that_is_gone_is_remembered(remembered, elsewhere):
    (elsewhere / "a folder/colours.yaml").unlink()
    assert of_root(None, [], remembered.settings.root).settings == remembered.settings


def test_a_config_wins_over_what_a_root_remembers(remembered, elsewhere):
    (elsewhere / "other.yaml").write_text("training: {epochs: 9}")
    found = of_root(Path("other.yaml"), [], remembered.settings.root).settings
    assert (found.training.epochs, found.sequence) == (9, SequenceSpec())


def test_without_options_the_root_that_stands_here_is_asked(remembered, elsewhere):
    assert of_root(None, [], None).settings == load_with_sources().settings
    (elsewhere / "maskline.yaml").write_text("root: a folder/runs")
    assert of_root(None, [], None).settings == remembered.settings


def test_a_root_without_runs_has_the_settings_in_force(elsewhere):
    assert of_root(None, [], elsewhere / "new").settings == load_with_sources(root=elsewhere / "new").settings


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"given": [], "options": {}}', "\\ud800"])
def test_what_is_not_remembered_settings_is_one_line(remembered, text):
    (remembered.settings.root / FILE).write_text(text)
    with pytest.raises(
        InputError, match=r"settings.json: does not hold the settings of a run; remove it, or"
    ):
        of_root(None, [], remembered.settings.root)


@pytest.mark.parametrize(
    "spec",
    [
        SequenceSpec(),
        SequenceSpec(features=("a",), vocabulary=("-", " ", "b", ":")),
        SequenceSpec(
            features=("a", "b", "c"),
            vocabulary=("<pad>", "sep", "-minus", "red"),
            separator="sep",
            padding="<pad>",
        ),
    ],
)
def test_the_example_is_in_the_language_of_the_data(spec):
    text = example_text(spec)
    assert set(tokenize(text, spec)) == set(spec.features)
    assert not text.startswith("-")


def test_only_settings_are_written_and_no_partial_file_is_left(remembered):
    assert [path.name for path in remembered.settings.root.iterdir()] == [FILE]
    known = json.loads((remembered.settings.root / FILE).read_text())
    assert known["options"]["training"] == {"epochs": 3}
