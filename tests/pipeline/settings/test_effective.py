"""`maskline settings`, and the page that is made from the settings' classes."""

import json
import time

import pytest
from click.testing import CliRunner

from maskline.pipeline.cli import cli
from maskline.pipeline.settings import effective, fields
from maskline.pipeline.settings.load import load, load_with_sources
from maskline.pipeline.settings.reference import settings_page
from tests.support import REPOSITORY

AWKWARD = """data: {pattern: "*.gz", success_marker: "a: b # c", path: "data é/{SPAN}"}
sequence:
  features: [a]
  label: b
  vocabulary: ["", " ", yes, "010", "1e3", "null", "- x", "'", '"', "\\\\", "é", "~", "%", "#", "*a"]
  separator: "yes"
  padding: " "
evaluation: {slices: [{name: n, feature: a, contains: ["*a", "yes"]}, {name: l, lengths: [3, 7]}]}
cluster: {nodes: {Trainer: {cpu: "4", node_selector: {a: "1"}}}, secrets: [{secret: s, key: k, env: E}]}
training: {learning_rate: 1e-7}
model: {preset: reference}
"""


def test_what_is_printed_is_a_file_that_sets_the_same(elsewhere):
    (elsewhere / "awkward.yaml").write_text(AWKWARD.replace('"", ', "").replace('"- x", ', ""))
    for given in ({}, {"file": elsewhere / "awkward.yaml"}, {"file": REPOSITORY / "maskline.yaml"}):
        loaded = load_with_sources(**given)
        (elsewhere / "printed.yaml").write_text("\n".join(effective.as_yaml(loaded)))
        assert load(elsewhere / "printed.yaml") == loaded.settings


def test_each_setting_says_where_it_was_set(elsewhere, monkeypatch):
    (elsewhere / "my.yaml").write_text("model:\n  preset: reference\n  width: 9\ndata: {span: latest}\n")
    found = effective.as_json(load_with_sources(elsewhere / "my.yaml", ["training.epochs=3"], root="r"))
    assert list(found) == [field.name for field in fields.all_fields()]
    assert found["model.width"] == {"value": 9, "from": "file", "where": f"{elsewhere}/my.yaml:3"}
    assert found["model.hidden"] == {"value": [150], "from": "preset", "where": "preset reference"}
    assert found["training.epochs"] == {"value": 3, "from": "option", "where": "--set"}
    assert found["root"] == {"value": str(elsewhere / "r"), "from": "option", "where": "--root"}
    assert found["data.schema"] == {"value": None, "from": "default", "where": ""}
    assert found["training.warmup"] == {"value": 0.05, "from": "default", "where": ""}


def test_the_command_prints_them(elsewhere):
    (elsewhere / "maskline.yaml").write_text("gate:\n  max_drift: 0.25\n")
    printed = CliRunner().invoke(cli, ["settings", "--set", "training.epochs=3"], catch_exceptions=False)
    lines = dict(line.split("  # ") for line in printed.stdout.splitlines() if "  # " in line)
    lines = {key.strip(): source for key, source in lines.items()}
    assert printed.stdout.startswith("# settings: maskline.yaml, and options\n")
    assert (lines["max_drift: 0.25"], lines["epochs: 3"], lines["seed: 0"]) == (
        "maskline.yaml:2",
        "--set",
        "default",
    )
    assert printed.stderr == "maskline: note: gate is called data_gate now (maskline.yaml:2)\n"
    as_json = CliRunner().invoke(cli, ["settings", "--json"], catch_exceptions=False)
    assert json.loads(as_json.stdout)["data_gate.max_drift"]["where"] == "maskline.yaml:2"


def test_a_vocabulary_of_a_million_lines_is_shown_as_its_file(elsewhere):
    (elsewhere / "words.txt").write_text("\n".join(["<pad>", "sep", *(f"w{n}" for n in range(999_998))]))
    text = "sequence: {vocabulary: words.txt, padding: <pad>, separator: sep}\nmodel: {width: 8, hidden: [8]}"
    (elsewhere / "maskline.yaml").write_text(text)
    began = time.process_time()
    printed = CliRunner().invoke(cli, ["settings"], catch_exceptions=False).stdout
    assert time.process_time() - began < 20
    [line] = [line for line in printed.splitlines() if "vocabulary:" in line]
    source = "maskline.yaml:1: <pad>, sep, w0, … 1,000,000 symbols"
    assert line.split("  # ") == [f"  vocabulary: {elsewhere}/words.txt", source]
    (elsewhere / "printed.yaml").write_text(printed)
    assert load(elsewhere / "printed.yaml") == load()
    refused = CliRunner().invoke(cli, ["settings", "--set", "sequence.separator=seb"])
    assert str(refused.exception) == (
        "--set: sequence.separator: 'seb' is not in the vocabulary; nearest are 'sep'"
    )


def test_the_page_is_current():
    written = (REPOSITORY / "docs/settings.md").read_text()
    assert written == settings_page(), (
        "write it anew: python -m maskline.pipeline.settings.reference > docs/settings.md"
    )


@pytest.mark.parametrize("field", list(fields.all_fields()), ids=lambda field: field.name)
def test_the_page_names_every_setting(field):
    assert f"| `{field.path[-1]}` |" in settings_page()
