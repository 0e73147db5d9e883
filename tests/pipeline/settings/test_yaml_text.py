"""YAML 1.2 with lines, and bounds on what a text may hold."""

import math

import pytest

from maskline.pipeline.settings.values import Origin
from maskline.pipeline.settings.yaml_text import MAX_BYTES, MAX_DEPTH, NotYamlError, read, scalar
from maskline.transform.errors import InputError

FILE = Origin("file", "a.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10), ("012", 12), ("-7", -7), ("+7", 7), ("0o17", 15), ("0x1F", 31),
        ("9" * 100, int("9" * 100)),
        ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("-1.0e-5", -1e-5), ("1.", 1.0), ("1.125", 1.125),
        (".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf), ("1e400", math.inf),
        ("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None),
        ("yes", "yes"), ("on", "on"), ("off", "off"), ("No", "No"), ("y", "y"), ("tRue", "tRue"),
        ("1:30", "1:30"), ("1_000", "1_000"), ("0b11", "0b11"),
        ("2026-11-21", "2026-11-21"), ("2026-02-31", "2026-02-31"),
        ("- 3", "- 3"), (".", "."), ("e3", "e3"), ("inf", "inf"), ("nan", "nan"), ("9" * 101, "9" * 101),
    ],
)  # fmt: skip
def test_scalars_are_those_of_the_core_schema(text, value):
    found = scalar(text)
    assert (found, type(found)) == (value, type(value))


def test_not_a_number_is_a_number():
    assert math.isnan(scalar(".nan"))


def test_each_value_knows_its_line():
    node = read("a:\n  b: [1,\n   'on', true]\nc: |\n  text\n", FILE)
    assert node.plain() == {"a": {"b": [1, "on", True]}, "c": "text\n"}
    assert [str(leaf.source) for leaf in node.scalars()] == ["a.yaml:2", "a.yaml:3", "a.yaml:3", "a.yaml:4"]


def test_an_alias_is_what_its_anchor_names():
    assert read("a: &x [1, 2]\nb: *x", FILE).plain() == {"a": [1, 2], "b": [1, 2]}


def bomb(levels):
    """Each level repeats the one before nine times."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("training:\n  epochs: 3\ndata: {}\ntraining: {}", "a.yaml:4: training: is set here and in"),
        ("a:\n  b: 1\n\n  b: 2", "a.yaml:4: a.b: is set here and in line 2; keep one of them"),
        ("a: {b: 1, b: 1}", "a.yaml:1: a.b: is set here and in line 1"),
        ("'a': 1\n\"\\x61\": 2", "a.yaml:2: a: is set here and in line 1"),
        (bomb(9), "a.yaml:6: holds more than 100,000 values, aliases counted as what they repeat"),
        ("a: " + "[" * 5000, f"a.yaml:1: lists and mappings are nested more than {MAX_DEPTH} deep"),
        ("a: " + "{b: " * 5000, f"a.yaml:1: lists and mappings are nested more than {MAX_DEPTH} deep"),
        ("\n".join("  " * n + "a:" for n in range(300)), f"a.yaml:{MAX_DEPTH + 2}: lists and"),
        ("a: &a [*a]", "a.yaml:1: *a refers to no anchor; quote a text with a *"),
        ("a: *.gz", "a.yaml:1: *.gz refers to no anchor; quote a text with a *"),
        ("a: 1\n---\nb: 2", "a.yaml:2: a second document begins"),
        ("a: !!python/object:os.system x", "a.yaml:1: tag tag:yaml.org,2002:python/object:os.system: "),
        ("? [a]\n: b", "a.yaml:1: a key is a list, a mapping or an alias; keys are names"),
        ("a: " + "x" * MAX_BYTES, "a.yaml: holds more than 512 KiB"),
        ("\"\\e[31mred\": 1\n\"\\e[31mred\": 2", "a.yaml:2: \\x1b[31mred: is set here and in line 1"),
    ],
)  # fmt: skip
def test_what_settings_do_not_hold_is_refused_in_one_line(text, problem):
    with pytest.raises(InputError) as refused:
        read(text, FILE)
    assert str(refused.value).startswith(problem)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: b: c",
        "\ta: 1",
        "a: 'b",
        'a: "\\UFFFFFFFF"',
        "a\x1bb: 3",
        "%YAML 3.0\n---\na: 1",
        "a: @b",
        "a: %",
    ],
)
def test_what_is_not_yaml_is_refused_in_one_line(text):
    with pytest.raises(NotYamlError, match=r"^a.yaml(:\d+)?: is not YAML: ") as refused:
        read(text, FILE)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300
