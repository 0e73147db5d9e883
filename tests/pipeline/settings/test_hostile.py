"""Every setting with hostile values: one line refuses them, or the settings hold what the file says."""

import json
import math
from typing import get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskline.pipeline.settings import effective, fields
from maskline.pipeline.settings.load import load_with_sources
from maskline.pipeline.settings.values import Origin
from maskline.pipeline.settings.yaml_text import read as read_yaml
from maskline.pipeline.settings.yaml_text import scalar
from maskline.transform.errors import InputError
from tests.fuzz import cases

HOSTILE = [
    "yes", "true", "", "null", "-1", "010", "1:30", "1_000", "1e3", ".nan", "-.inf", "9" * 5000,
    "1000000000000000000000000", "4294967296", "2026-02-31", "[]", "[0]", "[-5]", "[[]]", "[" * 30,
    "{}", "{a: {a: {}}}", "'  '", "a b", '"\\0"', '"\\e[31m"', '"\\ud800"', "x" * 5000, "*a",
    "'..'", "'~root'", "é",
]  # fmt: skip
ON_THE_COMMAND_LINE = [
    "yes",
    "true",
    "",
    "null",
    "-1",
    ".nan",
    "9" * 5000,
    "[0]",
    "{a: 1}",
    "x" * 5000,
    "\x1b[31m",
    "*",
]
ALL = list(fields.all_fields())
OF_OTHER_TYPES = {
    int: ("true", "1.0", "'1'"),
    float: ("true", "'1'", ".nan"),
    str: ("1", "true"),
    bool: ("1", "yes"),
}


def refused_in_one_line(error, where):
    text = str(error)
    assert text.isprintable(), text
    assert len(text) < 700, text
    assert where in text, text


def nested(path, text):
    lines = [f"{'  ' * depth}{key}:" for depth, key in enumerate(path)]
    return "\n".join(lines) + f" {text}\n"


def means(field, text, value):
    """Whether a setting holds what a file says, by a reading of YAML 1.2 of its own for plain scalars."""
    written = read_yaml(f"a: {text}", Origin("file", "a")).plain()["a"]
    found = fields.find(field.path)
    assert found is not None
    annotation, _ = found
    if written is None:  # an empty section, list or mapping is the default; a setting that may be unset is
        return value is None or get_origin(annotation) in (tuple, dict)
    if fields.is_path(field.path):
        return value is None or isinstance(value, str | list)
    if isinstance(written, dict) and isinstance(value, dict):
        return written.keys() == value.keys()
    if isinstance(value, float) and not isinstance(written, bool | str):
        return float(written) == value
    return written == value and isinstance(written, bool) == isinstance(value, bool)


@pytest.mark.parametrize("field", ALL, ids=lambda field: field.name)
def test_a_hostile_value_in_a_file_is_refused_or_meant(field, elsewhere):
    file = elsewhere / "bad.yaml"
    for text in HOSTILE:
        file.write_text(nested(field.path, text))
        try:
            loaded = load_with_sources(file)
        except InputError as error:
            refused_in_one_line(error, f"{file}")
            continue
        value = effective.as_json(loaded)[field.name]["value"]
        assert means(field, text, value), (text, value)
        json.dumps(value, allow_nan=False)


@pytest.mark.parametrize("field", ALL, ids=lambda field: field.name)
def test_a_hostile_override_is_refused_or_meant(field, elsewhere):
    for text in ON_THE_COMMAND_LINE:
        try:
            loaded = load_with_sources(overrides=[f"{field.name}={text}"])
        except InputError as error:
            refused_in_one_line(error, "--set: ")
            continue
        assert effective.as_json(loaded)[field.name]["from"] in ("option", "default")


@pytest.mark.parametrize("field", ALL, ids=lambda field: field.name)
def test_a_boolean_is_no_number_and_a_number_no_text(field, elsewhere):
    found = fields.find(field.path)
    assert found is not None
    annotation, _ = found
    for text in OF_OTHER_TYPES.get(annotation, ()):
        with pytest.raises(InputError, match=f"^--set: {field.name}: "):
            load_with_sources(overrides=[f"{field.name}={text}"])


words = st.sampled_from(
    [*"[]{},:#&*!|>'\"%@`-? \n\t~", "\n  ", "\n- ", ": ", "a", "b", "yes", "010", "&a ", "*a", "!!int ", "<<",
     "---\n", "training", "epochs", "data", "...", '"\\x', "\x1b", "\ufeff", "\x85", "\u2028", "9" * 400]
)  # fmt: skip


@cases(300)
@given(st.one_of(st.lists(words, max_size=40).map("".join), st.text(max_size=60)))
def test_any_text_is_values_or_one_line(text):
    try:
        read_yaml(text, Origin("file", "a.yaml")).plain()
    except InputError as error:
        refused_in_one_line(error, "a.yaml")


@cases(60)
@given(st.sampled_from(ALL), st.one_of(st.lists(words, max_size=12).map("".join), st.text(max_size=30)))
def test_any_override_is_a_setting_or_one_line(field, text):
    try:
        load_with_sources(overrides=[f"{field.name}={text}"])
    except InputError as error:
        refused_in_one_line(error, "--set: ")


@cases(300)
@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.none()))
def test_scalars_are_read_as_json_writes_them(value):
    special = {math.inf: ".inf", -math.inf: "-.inf"}
    text = ".nan" if value != value else special.get(value) or json.dumps(value)
    found = scalar(text)
    assert found == value or (found != found and value != value)
    assert type(found) is type(value)
