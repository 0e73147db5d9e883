"""Settings: one file, one line for each mistake."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from maskline.components.ingest.spans import span_number
from maskline.pipeline.settings.load import load, load_with_sources
from maskline.pipeline.settings.sections import Settings
from maskline.trainer.settings import PRESETS
from maskline.transform.errors import InputError
from tests.support import REPOSITORY

CLASSES = ("task.kind=class", "task.classes=[a, b]")


def test_file_in_the_repository_holds_the_defaults():
    fields = {"exclude": {"root": True, "data": {"path": True, "schema_file": True, "split_by": True}}}
    assert load(REPOSITORY / "maskline.yaml").model_dump(**fields) == Settings().model_dump(**fields)


def test_values_that_a_preset_sets_stand_there_as_comments(tmp_path):
    text = (REPOSITORY / "maskline.yaml").read_text()
    given = re.sub(r"^  # (?=[a-z_]+: )", "  ", text, flags=re.M)
    (tmp_path / "all.yaml").write_text(given)
    assert load(tmp_path / "all.yaml").model == Settings().model
    assert load(tmp_path / "all.yaml").training == Settings().training
    named = YAML(typ="safe").load(given)
    assert set(named["model"]) == set(Settings.model_fields["model"].annotation.model_fields)
    assert set(named["training"]) == set(Settings.model_fields["training"].annotation.model_fields)
    untouched = YAML(typ="safe").load(text)
    for part, values in PRESETS["reference"].items():
        assert not set(values) & set(untouched[part]), "a key that stands there wins over the preset"


def test_preset_sets_what_is_not_given(elsewhere):
    config = load(overrides=["model.preset=reference", "model.width=9", "training.epochs=3"])
    assert (config.model.width, config.model.hidden, config.model.attention_mask) == (9, (150,), "queries")
    assert (config.training.epochs, config.training.batch_size) == (3, 2)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ["model.preset=best"],
            "--set: model.preset: 'best' is not allowed; it must be default, reference, length-free or text",
        ),
        (["model.kernel=4"], "--set: model.kernel: 4 is even; an odd kernel sees as far ahead as back"),
        (
            ["data.split_by=a:b:c"],
            "--set: data.split_by: 'a:b:c' is neither a feature nor `package.module:function`",
        ),
        (
            ["data.split_by=user", "data.presplit=true"],
            "--set: data.split_by: data.presplit is true, so the splits are made already; set one of them",
        ),
        (
            ["model.preset=length-free", "model.queries=0"],
            "--set: model.queries: 0 flattens the row, which needs rows of one length",
        ),
        (
            ["training.length_buckets=[5, 10]"],
            "--set: training.length_buckets: only a model of any length has them",
        ),
        (
            ["model.preset=length-free", "training.length_buckets=[10, 50]"],
            "--set: training.length_buckets: 50 is more than sequence.length, which is 20",
        ),
        (["data.pattern=/x/*"], "--set: data.pattern: '/x/*' is absolute; give it relative to data.path"),
        (["data.pattern=../*"], "--set: data.pattern: '../*' names no files below data.path; give one such"),
        (["data.success_marker=../x"], "--set: data.success_marker: '../x' is not a file's name"),
        (["data.path=x/{SPAM}"], "{SPAM}: '{SPAM}' is no placeholder; did you mean {SPAN}?"),
        (["data.path=x/{yyyy}-{MM}-{DD}"], "'{yyyy}' is no placeholder; did you mean {YYYY}?"),
        (["data.path=x/{SPAN:0}"], "'{SPAN:0}': the width is a number from 1 to 9, as in {SPAN:3}"),
        (["data.path=x/{SPAN:99999999999999}"], "the width is a number from 1 to 9, as in {SPAN:3}"),
        (["model=reference"], "model: 'reference' is not allowed"),
        (
            ["release_gate.thresholds=[{metric: loss, min: 2, max: 0.5}]"],
            "--set: release_gate.thresholds.0.min: 2 is above max, which is 0.5; no model could pass",
        ),
        (
            ["release_gate.thresholds=[{metric: loss, max: 2}, {metric: accuracy, min: 85}]"],
            "--set: release_gate.thresholds.1.min: 85: accuracy is a share, from 0 to 1",
        ),
        (
            ["release_gate.thresholds=[{metric: roc_auc, max_worse: 1.5}]"],
            "--set: release_gate.thresholds.0.max_worse: 1.5: roc_auc is a share, from 0 to 1",
        ),
        (
            ["cluster.node.retry_seconds=7200", "cluster.node.retry_deadline_hours=2"],
            "--set: cluster.node.retry_seconds: 7200 s are not below retry_deadline_hours, which is 2;",
        ),
        (
            ["cluster.nodes={Trainer: {retry_seconds: 7200}}", "cluster.node.retry_deadline_hours=1"],
            "cluster.nodes.Trainer.retry_seconds: 7200 s are not below retry_deadline_hours, which is 1",
        ),
        (
            ["cluster.node.tolerations=[{key: gpu, value: a100}]"],
            "--set: cluster.node.tolerations.0.value: 'a100' counts only with operator Equal; set that, too",
        ),
        (
            ["cluster.node.tolerations=[{operator: Equal, value: a100}]"],
            "--set: cluster.node.tolerations.0.key: operator Equal needs the key of the taint",
        ),
        (["task.threshold=0.4"], "--set: task.threshold: only `class` with two classes has one"),
        (["task.kind=all"], "--set: task.kind: 'all' is not allowed; it must be first, class, each or whole"),
        (
            ["task={kind: each, classes: [a, b]}"],
            "--set: task.feature: say whose ids have labels; sequence.features has defs, op",
        ),
        (
            ["task={kind: each, feature: res, classes: [a, b]}"],
            "--set: task.feature: 'res' is not one of the inputs; sequence.features has defs, op",
        ),
        (
            ["task.feature=op"],
            "--set: task.feature: task.kind is first; only `each` labels the ids of a feature",
        ),
        (
            [
                "task={kind: each, feature: op, classes: [a, b]}",
                "release_gate.thresholds=[{metric: edit_distance, max: 1}]",
            ],
            "--set: release_gate.thresholds.0: edit_distance is measured where task.kind is whole",
        ),
        (["task.length=5"], "--set: task.length: task.kind is first; only `whole` has a length"),
        (
            ["task.kind=whole", "model.queries=0"],
            "model.queries: 0 flattens the row; task.kind=whole needs at least 1 for each position",
        ),
        (
            ["task.kind=whole", "release_gate.thresholds=[{metric: macro_f1, min: 0.5}]"],
            "release_gate.thresholds.0: macro_f1 is measured where task.kind is first or class or each",
        ),
        (
            ["release_gate.thresholds=[{metric: edit_distance, max: 2}]"],
            "release_gate.thresholds.0: edit_distance is measured where task.kind is whole",
        ),
        (["task.kind=class"], "task.classes: [] are too few: give the classes, at least two"),
        (["task.classes=[a, b]"], "task.classes: task.kind is first, which has no classes"),
        ([*CLASSES, "task.classes=[a, b, a]"], "task.classes: classes 0 and 2 are both 'a'"),
        ([*CLASSES, "task.classes=[a, ' b']"], "class 1: ' b' begins or ends with white space"),
        ([*CLASSES, "task.classes=[a, ' ']"], "class 1: ' ' begins or ends with white space"),
        (["training.class_weights=balanced"], "training.class_weights: task.kind is first, which has no"),
        ([*CLASSES, "training.class_weights.c=2"], "training.class_weights: 'c' is not one of task.classes"),
        (
            [*CLASSES, "training.class_weights={a: 0}"],
            "training.class_weights: {a: 0} is not allowed; it must be none or balanced or a mapping of",
        ),
        (
            [*CLASSES, "evaluation.slices=[{name: s, feature: res, begins: [c]}]"],
            "evaluation.slices.0: slice 's': 'c' is not one of task.classes",
        ),
        (
            [*CLASSES, "release_gate.thresholds=[{metric: f1, answer: '1', min: 0.5}]"],
            "release_gate.thresholds.0: answer '1' is not one of task.classes",
        ),
        (["sequence.task={kind: class}"], "sequence.task: no such setting"),
    ],
)
def test_settings_that_do_not_fit_together(elsewhere, overrides, problem):
    with pytest.raises(InputError, match=re.escape(problem)):
        load(overrides=overrides)


@pytest.mark.parametrize(
    "override",
    [
        "release_gate.thresholds=[{metric: loss, min: 2, max: 2}, {metric: accuracy, min: 0, max: 1}]",
        "cluster={node: {retry_deadline_hours: 1000}, nodes: {Trainer: {retry_seconds: 1000000}}}",
        "cluster.node={retries: 0, retry_deadline_hours: 1, retry_seconds: 3600}",
        "cluster.node.tolerations=[{key: gpu, operator: Equal, value: a100}]",
    ],
)
def test_bounds_that_can_be_met_are_taken(elsewhere, override):
    load(overrides=[override])


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


def test_classes_may_be_a_file_and_join_the_sequence(elsewhere):
    (elsewhere / "classes.txt").write_text("all clear\nalarm\n")
    (elsewhere / "my.yaml").write_text("task: {kind: class, classes: classes.txt}")
    config = load(elsewhere / "my.yaml", ["training.class_weights.alarm=3"])
    assert config.sequence.answers == config.sequence.task.classes == ("all clear", "alarm")
    assert config.training.class_weights == {"alarm": 3}
    (elsewhere / "classes.txt").write_text("alarm\n\n")
    with pytest.raises(InputError, match=r"my.yaml:1: task.classes: .*line 2: is empty; a class is needed"):
        load(elsewhere / "my.yaml")
    (elsewhere / "classes.txt").write_text("alarm\nclear\nalarm\n")
    with pytest.raises(InputError, match=r"classes.txt: lines 1 and 3 both hold 'alarm'"):
        load(elsewhere / "my.yaml")


def test_vocabulary_may_be_a_file(elsewhere):
    (elsewhere / "words.txt").write_text("<pad>\nsep\nred\n")
    (elsewhere / "my.yaml").write_text("sequence: {vocabulary: words.txt, separator: sep, padding: <pad>}")
    assert load(elsewhere / "my.yaml").sequence.vocabulary == ("<pad>", "sep", "red")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("trainning: {}", "bad.yaml:1: trainning: no such setting; did you mean training? allowed: "),
        ("training: {epoch: 3}", "training.epoch: no such setting; did you mean epochs?"),
        (
            "training: {epochs: many}",
            "training.epochs: 'many' is not allowed; it must be an integer from 1 to 1,000,000",
        ),
        (
            "training: {epochs: 0}",
            "training.epochs: 0 is not allowed; it must be an integer from 1 to 1,000,000",
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
        ("sequence: {label: op}", "sequence.label: 'op' is also an input in features"),
        ("sequence: {features: [a-b]}", "sequence.features.0: 'a-b' is not allowed"),
        ("sequence: {vocabulary: none.txt}", "sequence.vocabulary: "),
        ("data: {schemas: x}", "data.schemas: no such setting; did you mean schema?"),
        ("- a\n- b", "bad.yaml:1: holds ['a', 'b']; settings are a mapping, such as `data:`"),
        ("a: [", "bad.yaml:1: is not YAML: "),
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
        ("training.epochs=[", "--set: training.epochs: '[' is not allowed"),
        ("training.epochs=x", "--set: training.epochs: 'x' is not allowed"),
        ("a.b=1", "--set: a: no such setting"),
        ("training={epochs: 3, epochs: 4}", "--set: training.epochs: is set twice; keep one of them"),
        (
            "cluster.nodes={Trainer: {cpu: '1', cpu: '2'}}",
            "--set: cluster.nodes.Trainer.cpu: is set twice; keep one of them",
        ),
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


def test_an_empty_section_is_the_defaults(elsewhere):
    sections = (
        "data:\n  # path: x\ntraining:\ndata_gate:\n  severity:\nevaluation: {slices: }\ncluster:\n  nodes:\n"
    )
    (elsewhere / "empty.yaml").write_text(sections + "beam:\n  args:\n")
    assert load(elsewhere / "empty.yaml") == load()
    (elsewhere / "nothing.yaml").write_text("# nothing")
    assert load(elsewhere / "nothing.yaml") == load()


def test_home_is_expanded_wherever_a_path_stands(elsewhere):
    (elsewhere / "home").mkdir()
    (elsewhere / "home/words.txt").write_text("<pad>\n:\nred\n")
    text = "root: ~/runs\ndata: {path: ~/shards, schema: ~/s.pbtxt}\n"
    text += "sequence: {vocabulary: ~/words.txt, padding: <pad>}"
    (elsewhere / "home/my.yaml").write_text(text)
    settings = load(Path("~/my.yaml"))
    home = elsewhere / "home"
    assert (settings.root, settings.data.path, settings.data.schema_file) == (
        home / "runs",
        home / "shards",
        home / "s.pbtxt",
    )
    assert settings.sequence.vocabulary == ("<pad>", ":", "red")
    assert load(root="~/x", data="~/y").root == home / "x"
    assert load(overrides=["root=~/z", "data.path=~/y"]).data.path == home / "y"


def test_paths_are_normal(elsewhere, monkeypatch):
    (elsewhere / "job").mkdir()
    (elsewhere / "conf.yaml").write_text("root: root\ndata: {path: job/../shards}")
    before = load(elsewhere / "conf.yaml")
    monkeypatch.chdir(elsewhere / "job")
    assert load(Path("../conf.yaml")) == before
    assert before.root == elsewhere / "root"
    assert before.data.path == elsewhere / "shards"
    assert load(root="../other/./x/").root == elsewhere / "other/x"


@pytest.mark.parametrize("root", ["exp[1]", "what?", "a*b", "back\\slash", "exp[1]/deep"])
def test_a_root_that_would_be_a_pattern_is_refused_by_name(elsewhere, root):
    with pytest.raises(InputError, match=r"^--root: root: .* would be read as a pattern") as refused:
        load(root=root)
    assert root in str(refused.value)


def test_data_may_lie_where_a_root_may_not(elsewhere):
    assert load(data="shards [v1]").data.path == elsewhere / "shards [v1]"


@pytest.mark.parametrize(
    ("overrides", "setting", "value"),
    [
        (["data.pattern=*.gz"], "pattern", "*.gz"),
        (["data.pattern=[ab].tfrecord"], "pattern", "[ab].tfrecord"),
        (["data.pattern=a: b # c"], "pattern", "a: b # c"),
        (["data.pattern='010'"], "pattern", "010"),
        (["data.success_marker="], "success_marker", ""),
        (["data.success_marker=_SUCCESS"], "success_marker", "_SUCCESS"),
        (["data.schema=null"], "schema_file", None),
        (["data.eval_percent=010"], "eval_percent", 10),
        (["data.eval_percent= 30"], "eval_percent", 30),
        (["data.presplit=true", "data.presplit=false"], "presplit", False),
    ],
)
def test_an_override_is_text_or_what_it_looks_like(elsewhere, overrides, setting, value):
    assert getattr(load(overrides=overrides).data, setting) == value


def test_a_symbol_may_be_a_blank_or_a_word_of_other_yamls(elsewhere):
    (elsewhere / "my.yaml").write_text(
        "sequence: {vocabulary: [yes, no, on, ' '], separator: no, padding: ' '}"
    )
    assert load(elsewhere / "my.yaml").sequence.vocabulary == ("yes", "no", "on", " ")
    assert (
        load(elsewhere / "my.yaml", ["sequence.separator=yes", "sequence.padding= "]).sequence.padding == " "
    )


@pytest.mark.parametrize(
    ("path", "span", "number"),
    [
        ("x/{SPAN}", "010", 10),
        ("x/{YYYY}-{MM}-{DD}", "2026-11-21", 20778),
        ("x/{YYYY}{MM}{DD}", "20261121", 20778),
        ("x/{YYYY}{MM}{DD}", "2026-11-21", 20778),
        ("x/{YYYY}/{MM}/{DD}", "2026/11/21", 20778),
        ("x/day={DD}.{MM}.{YYYY}/v{VERSION}", "21.11.2026", 20778),
        ("x/{YYYY}-{MM}-{DD}", "20778", 20778),
    ],
)
def test_a_span_is_a_number_or_a_date_as_folders_show_it(elsewhere, path, span, number):
    (elsewhere / "my.yaml").write_text(f"data:\n  path: '{path}'\n  span: {span}\n")
    for data in (load(elsewhere / "my.yaml").data, load(data=path, span=span).data):
        assert span_number(data.path, data.span) == number


@pytest.mark.parametrize(
    ("path", "span", "problem"),
    [
        ("x/{SPAN}", "1:30", "data.span: '1:30' is not a span; give a number, or latest"),
        ("x/{SPAN}", "2026-11-21", "'2026-11-21' is not a span; give a number"),
        (
            "x/{YYYY}-{MM}-{DD}",
            "2026-02-31",
            "'2026-02-31' is not a span; give a date such as 2026-11-22, or",
        ),
        ("x/{YYYY}{MM}{DD}", "20260231", "'20260231' is not a span; give a date such as 20261122, or latest"),
        ("x/{YYYY}-{MM}-{DD}", "20261121", "'20261121' is not a span; give a date such as 2026-11-22"),
        ("x/{SPAN}", "true", "true is not allowed; it must be an integer or text"),
        ("x/{SPAN}", "1.5", "1.5 is not allowed; it must be an integer or text"),
        ("x/{SPAN}", "-1", "'-1' is not a span"),
        ("x/{SPAN}", "9" * 5000, "' is not a span"),
    ],
)
def test_a_wrong_span_is_one_line(elsewhere, path, span, problem):
    (elsewhere / "my.yaml").write_text(f"data:\n  path: '{path}'\n  span: {span}\n")
    for given in ({"file": elsewhere / "my.yaml"}, {"data": path, "span": span}):
        with pytest.raises(InputError) as refused:
            load(**given)
        assert problem in str(refused.value)
        assert str(refused.value).startswith("--span: " if "span" in given else f"{elsewhere}/my.yaml:3: ")
        assert len(str(refused.value)) < 300


def test_blame_falls_on_what_set_the_value(elsewhere):
    (elsewhere / "my.yaml").write_text("training:\n  epochs: 3\n")
    with pytest.raises(InputError, match=r"^--set: training.epochs: 'x' is not"):
        load(elsewhere / "my.yaml", ["training.epochs=x"])
    (elsewhere / "my.yaml").write_text("training:\n  epochs: x\n  seed: -1\n")
    with pytest.raises(InputError, match=r"/my.yaml:2: training.epochs: 'x' is not"):
        load(elsewhere / "my.yaml", ["training.patience=2"])
    (elsewhere / "my.yaml").write_text("training: 3\n")
    with pytest.raises(InputError, match=r"/my.yaml:1: training: 3 is not allowed; it must be a mapping"):
        load(elsewhere / "my.yaml", ["training.epochs=2"])


def test_the_settings_in_force_are_named(elsewhere):
    assert load_with_sources().in_force == f"settings: the defaults; there is no maskline.yaml in {elsewhere}"
    (elsewhere / "maskline.yaml").write_text("")
    assert load_with_sources().in_force == "settings: maskline.yaml"
    assert (
        load_with_sources(overrides=["training.epochs=2"]).in_force == "settings: maskline.yaml, and options"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "training: {seed: 4294967296}",
            "training.seed: 4294967296 is not allowed; it must be an integer from 0 to",
        ),
        ("model: {hidden: [0]}", "model.hidden.0: 0 is not allowed; it must be an integer from 1"),
        ("model: {hidden: [-5]}", "model.hidden.0: -5 is not allowed"),
        (
            "training: {threads: 1000000000000000000000000}",
            "training.threads: 1000000000000000000000000 is not",
        ),
        ("model: {hidden: [1000000, 1000000]}", "model.hidden: the layers would have 1,000,148,000,"),
        ("model: {width: 65536, queries: 65536}", "model.hidden: the layers would have 549,"),
        (
            "model: {width: 4096}\ntask: {kind: whole, length: 1000}",
            "model.hidden: the layers would have 33,",
        ),
        ("training: {epochs: yes}", "training.epochs: 'yes' is not allowed"),
        ("training: {epochs: true}", "training.epochs: true is not allowed"),
        ("training: {learning_rate: true}", "training.learning_rate: true is not allowed"),
        (
            "training: {learning_rate: .nan}",
            "training.learning_rate: .nan is not allowed; it must be a number above 0",
        ),
        ("training: {epochs: 3.0}", "training.epochs: 3.0 is not allowed"),
        ("training: {epochs: '3'}", "training.epochs: '3' is not allowed"),
        ("training: {xla: true}", "training.xla: true is not allowed; it must be auto, on or off"),
        (
            "sequence: {separator: 3}",
            "sequence.separator: 3 is not allowed; it must be text; put it in quotes",
        ),
        (
            "release_gate: {thresholds: [{min: 1}]}",
            "release_gate.thresholds.0.metric: is missing; it is accuracy",
        ),
        (
            "cluster: {volumes: {A_B: /x}}",
            "cluster.volumes.A_B: is not a name that is allowed here; it must match",
        ),
        ('root: "a\\0b"', "root: 'a\\x00b': it holds a control character"),
        ("root: ''", "root: '': it is empty"),
        ('data: {pattern: "\\ud800"}', "data.pattern: '\\ud800' is not Unicode text"),
        ('cluster: {node: {node_selector: {"\\ud800": x}}}', "'\\ud800' is not Unicode text"),
        ("root: ~nobody-of-this-name/x", "there is no such home directory"),
    ],
)
def test_absurd_values_are_refused_by_name(elsewhere, text, problem):
    (elsewhere / "bad.yaml").write_text(text)
    with pytest.raises(InputError) as refused:
        load(elsewhere / "bad.yaml")
    assert str(refused.value).startswith(f"{elsewhere}/bad.yaml:1: ")
    assert problem in str(refused.value)
    assert str(refused.value).isprintable()


def test_what_is_not_a_file_holds_no_settings(elsewhere):
    (elsewhere / "bytes.yaml").write_bytes(b"root: \xff")
    with pytest.raises(InputError, match=r"bytes.yaml: is not UTF-8 text \(byte 6\)"):
        load(elsewhere / "bytes.yaml")
    for name in ("/dev/zero", elsewhere):
        with pytest.raises(InputError, match="is not a file; give the YAML file"):
            load(Path(name))
