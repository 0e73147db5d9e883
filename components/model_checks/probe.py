"""Asks an exported model, in a process that has TensorFlow and none of our packages. A script, not a module.

    python -I probe.py ANSWERS < REQUEST

REQUEST is a line of JSON: `model` (the SavedModel), `golden` (the trainer's golden rows), `hidden` (packages
that must not be there), `nan` (whether NaN too is put in place of padding). It is read when TensorFlow is
imported, so that the process can be started before there is a model. ANSWERS is a file of JSON: a figure, or
`{"error": …}`, for each function in `QUESTIONS`. It judges nothing; that is `checks`.
"""

import ctypes
import gc
import importlib.util
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

if __name__ == "__main__":  # at once, for the imports below take seconds: a killed run leaves nothing at work
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    # TensorFlow and Keras import these where they are there, for what no model needs: half of their time.
    unused = "h5py googleapiclient IPython matplotlib pandas PIL pyarrow rich scipy sklearn tensorboard"
    sys.modules |= dict.fromkeys(unused.split())  # type: ignore[arg-type]
    gc.disable()  # what is imported is no garbage

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

ALONE, TIMED, LOOKED_INTO = 32, 200, 64  # rows that are asked one by one, timed, looked into
NOISE = 1e3


class Hidden:
    """Refuses to find packages, as where they are not installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Raises for a hidden package; leaves all others to the finders behind."""
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


class Subject:
    """The loaded model, its own description of its language, and rows to ask it with."""

    def __init__(self, model: str, golden: str, *, nan: bool) -> None:
        self.noise = (NOISE, np.nan) if nan else (NOISE, -NOISE)
        self.loaded = tf.saved_model.load(model)
        self.signatures = self.loaded.signatures
        with tf.io.gfile.GFile(f"{model}/assets.extra/maskline.json") as file:
            self.spec = json.loads(file.read())["sequence"]
        self.texts = self.spec.get("text", {})  # how features that hold text are read
        self.numeric = self.spec.get("numeric", {})  # and the length of each
        self.pad_id = self.spec["vocabulary"].index(self.spec["padding"])
        records = tf.data.TFRecordDataset(golden, "GZIP").as_numpy_iterator()
        rows = [tf.train.Example.FromString(record).features.feature for record in records]
        self.examples = [row["example"].bytes_list.value[0] for row in rows]
        self.logits = np.array([row["logits"].float_list.value for row in rows], np.float32)

    def ask(self, signature: str, rows: Sequence[Any]) -> dict[str, Any]:
        """A signature's answers; logits [rows, …] are laid flat, [rows, logits of a row]."""
        answers = {n: v.numpy() for n, v in self.signatures[signature](tf.constant(rows, tf.string)).items()}
        if "logits" in answers:
            answers["logits"] = answers["logits"].reshape(len(rows), -1)
        return answers

    def text(self, example: bytes) -> str:
        """A row as the text that stands for it."""
        segments = [[self.spec["vocabulary"][i] for i in ids] for ids in self.ids(example)]
        features = tf.train.Example.FromString(example).features.feature
        return self.join(segments, [n for name in self.numeric for n in features[name].float_list.value])

    def join(self, segments: Sequence[Sequence[str]], numbers: Sequence[float] | None = None) -> str:
        """The text of some symbols, and of the numbers of a row; by default zeros."""
        if numbers is None:
            numbers = [0.0] * sum(self.numeric.values())
        between = " " if any(len(symbol) > 1 for symbol in self.spec["vocabulary"]) else ""
        if self.texts:
            between = " " if self.texts["split"] == "words" else ""
        text = f"{between}{self.spec['separator']}{between}".join(map(between.join, segments))
        return "\t".join([text, *map(repr, numbers)])

    def ids(self, example: bytes) -> list[list[int]]:
        """The ids of each feature of a row."""
        features = tf.train.Example.FromString(example).features.feature
        if not self.texts:
            return [list(features[name].int64_list.value) for name in self.spec["features"]]
        place = {symbol: index for index, symbol in enumerate(self.spec["vocabulary"])}
        unknown = place.get(self.spec["unknown"], -1)
        return [
            [place.get(symbol.decode(), unknown) for symbol in features[name].bytes_list.value]
            for name in self.spec["features"]
        ]

    def value(self, index: int) -> int | str:
        """What a feature holds of an id: itself, or its symbol; something unknown where there is none."""
        if not self.texts:
            return index
        return self.spec["vocabulary"][index] if 0 <= index < len(self.spec["vocabulary"]) else "☃"

    def example(self, **features: Sequence[Any]) -> bytes:
        """A serialized tf.Example of lists of int64, of floats or of texts."""
        made = tf.train.Example()
        for name, values in features.items():
            feature = made.features.feature[name]
            if any(isinstance(value, float) for value in values):
                feature.float_list.value.extend(values)
            elif any(isinstance(value, str) for value in values):
                feature.bytes_list.value.extend(value.encode() for value in values)
            else:
                feature.int64_list.value.extend(values)
        return made.SerializeToString()

    def row(self, first: int, **other: Sequence[Any]) -> bytes:
        """A row with `first` ids in the first feature and one in each other, all the same allowed id."""
        allowed = self.ids(self.examples[0])[0][0]
        lengths = [first] + [1] * (len(self.spec["features"]) - 1)
        value = self.value(allowed)
        named: dict[str, Sequence[Any]] = {
            n: [value] * k for n, k in zip(self.spec["features"], lengths, strict=True)
        }
        named |= {name: [0.0] * length for name, length in self.numeric.items()}
        return self.example(**{**named, **other})

    @property
    def longest(self) -> int:
        """How many ids the first feature may have beside one in each other."""
        return self.spec["length"] - 2 * (len(self.spec["features"]) - 1)


def packages(subject: Subject, hidden: Sequence[str]) -> list[str]:
    """Those of the hidden packages that can be found after all."""

    def found(name: str) -> bool:
        try:
            return importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:
            return False

    return [name for name in hidden if found(name) or name in sys.modules]


def finite(subject: Subject) -> dict[str, int]:
    """Counts, for each signature, the NaN and infinite values in its answers to all rows."""
    asked = {
        "serving_default": subject.examples,
        "serving_text": [subject.text(example) for example in subject.examples],
        "transform_features": subject.examples,
    }
    # Models of earlier releases have none that answer row by row.
    by_row = {f"{name}_rows": rows for name, rows in asked.items() if f"{name}_rows" in subject.signatures}
    counts = {}
    for signature, rows in (asked | by_row).items():
        answers = [value for value in subject.ask(signature, rows).values() if value.dtype.kind in "fiu"]
        counts[signature] = sum(int(np.sum(~np.isfinite(value))) for value in answers)
    return counts


def golden(subject: Subject) -> dict[str, float]:
    """How far the served logits are from those before the export, by signature."""
    texts = [subject.text(example) for example in subject.examples]
    return {
        name: _distance(subject.ask(name, rows)["logits"], subject.logits)
        for name, rows in (("serving_default", subject.examples), ("serving_text", texts))
    }


def batch(subject: Subject) -> float:
    """How far answers to rows one by one are from those to all of them at once."""
    together = subject.ask("serving_default", subject.examples)["logits"][:ALONE]
    alone = [subject.ask("serving_default", [row])["logits"][0] for row in subject.examples[:ALONE]]
    return _distance(np.array(alone), together)


def padding(subject: Subject) -> float:
    """How far answers to rows that a long row beside them pads are from those without it."""
    rows = sorted(subject.examples, key=lambda row: sum(map(len, subject.ids(row))))[:ALONE]
    alone = [subject.ask("serving_default", [row])["logits"][0] for row in rows]
    beside = subject.ask("serving_default", [*rows, subject.row(subject.longest)])["logits"][:-1]
    return _distance(np.array(alone), beside)


def mask(subject: Subject) -> dict[str, float]:
    """What of the padding reaches an answer, found in the served graph itself.

    The graph is laid flat, its variables frozen. Then every tensor in it can be read, and replaced.

    Returns:
      `attention`: the largest share of attention that a real position pays to padding; `changed`: the part of
      the rows that answer otherwise when noise stands in the padding of what was looked up for each id;
      `flattened`: the largest number in padding where rows are laid side by side. And how many such places
      there are: `softmaxes`, `lookups`, `reshapes`.
    """
    signature = subject.signatures["serving_default"]
    flat = convert_variables_to_constants_v2(signature)
    # Both lists are in the order of the names.
    logits = flat.outputs[sorted(signature.structured_outputs).index("logits")].name
    rows: Any = [*subject.examples[: LOOKED_INTO - 1], subject.row(1)]
    if subject.texts:
        examples = rows[:-1]
        rows = subject.ask("transform_features", examples)["x"]
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        laid_flat = flat.graph.as_graph_def()
        if subject.texts:  # the answers need not wait for checks of the text, which is not there
            for node in laid_flat.node:
                node.input[:] = [name for name in node.input if not name.startswith("^")]
        tf.import_graph_def(laid_flat, name="")
        feed: dict[str, Any] = {flat.inputs[0].name: rows}
        if subject.texts:  # tables that read text cannot be laid flat: begin behind them
            begin = _begin_at_ids(session, rows)
            feed = {flat.inputs[0].name: examples, **begin} if begin else feed
        return _look_into(session, feed, logits, subject)


def _begin_at_ids(session: Any, rows: Any) -> dict[str, Any]:
    """Rows of ids [rows, length], for the first tensor of ids that something is looked up by, if any is."""
    found = [
        operation.inputs[1]
        for operation in session.graph.get_operations()
        if operation.type == "GatherV2" and operation.outputs[0].dtype.is_floating
    ]
    if not found:
        return {}
    ids = found[0]
    # The mask is made above these; a lookup chooses (`SelectV2`) between negative ids and others.
    while ids.op.type in ("SelectV2", "Cast", "Identity", "StridedSlice", "EnsureShape"):
        ids = ids.op.inputs[2 if ids.op.type == "SelectV2" else 0]
    return {ids.name: rows.astype(ids.dtype.as_numpy_dtype)}


def _look_into(session: Any, feed: dict[str, Any], logits: str, subject: Subject) -> dict[str, float]:
    # All at once: a session prepares the graph again for each set of tensors that it is asked for.
    found = {
        kind: [
            operation
            for operation in session.graph.get_operations()
            if operation.type == kind and operation.outputs[0].dtype.is_floating
        ]
        for kind in ("GatherV2", "Softmax", "Reshape")
    }
    values, answers = session.run(
        (
            {
                kind: [(op.inputs[kind == "GatherV2"], op.outputs[0]) for op in operations]
                for kind, operations in found.items()
            },
            logits,
        ),
        feed,
    )
    lookups = [
        (operation.outputs[0].name, ids, looked_up)
        for operation, (ids, looked_up) in zip(found["GatherV2"], values["GatherV2"], strict=True)
        if ids.ndim == 2 and looked_up.ndim == 3
    ]
    if not lookups:  # as where ids become vectors of zeros and ones: there is nothing to put noise into
        return dict.fromkeys(("attention", "changed", "flattened", "softmaxes", "lookups", "reshapes"), 0)
    real = lookups[0][1] != subject.pad_id
    changed = np.zeros(len(real), bool)
    for name, _, looked_up in lookups:
        before = session.run(logits, {**feed, name: looked_up})
        for noise in subject.noise:
            noisy = np.where(real[..., None], looked_up, looked_up.dtype.type(noise))
            differs = session.run(logits, {**feed, name: noisy}) != before
            changed |= np.any(differs.reshape(len(real), -1), axis=-1)
    attention = [
        _on_padding(weights, real)
        for scores, weights in values["Softmax"]
        if weights.ndim >= 3
        and weights.shape[-1] == real.shape[1]
        and not np.array_equal(scores, answers)  # whole answers may have as many ids as rows have positions
    ]
    flattened = [
        float(np.max(np.abs(inside[~real]), initial=0))
        for inside, outside in values["Reshape"]
        if inside.ndim == 3
        and inside.shape[:2] == real.shape
        and outside.shape == (len(real), inside[0].size)
    ]
    return {
        "attention": max(attention, default=0.0),
        "changed": float(np.mean(changed)),
        "flattened": max(flattened, default=0.0),
        "softmaxes": len(attention),
        "lookups": len(lookups),
        "reshapes": len(flattened),
    }


def _on_padding(weights: Any, real: Any) -> float:
    """The largest share of attention [b, …, q, s] on padding, of real queries where q are positions."""
    share = np.sum(np.where(real.reshape(len(real), *[1] * (weights.ndim - 2), -1), 0, weights), axis=-1)
    if share.shape[-1] == real.shape[1]:
        share = np.where(real.reshape(len(real), *[1] * (share.ndim - 2), -1), share, 0)
    return float(np.max(share))


def malformed(subject: Subject) -> dict[str, Any]:
    """Which requests that are wrong got an answer, each beside a good row; and how many were refused."""
    first, label, size = subject.spec["features"][0], subject.spec["label"], len(subject.spec["vocabulary"])
    segments = [[subject.spec["vocabulary"][i] for i in ids] for ids in subject.ids(subject.row(1))]
    wrong: dict[str, list[tuple[str, Any]]] = {
        "serving_default": [
            ("no tf.Example", b"no example"),
            ("an empty tf.Example", subject.example()),
            ("an empty feature", subject.row(1, **{first: []})),
            ("an id outside the vocabulary", subject.row(1, **{first: [subject.value(size)]})),
            ("a negative id", subject.row(1, **{first: [subject.value(-1)]})),
            ("the id of padding", subject.row(1, **{first: [subject.value(subject.pad_id)]})),
            ("numbers that are no ids", subject.row(1, **{first: [0.5]})),
            ("a row that is too long", subject.row(subject.longest + 1)),
            *[(f"no {name}", subject.row(1, **{name: []})) for name in subject.numeric],
            *[(f"an infinite {name}", subject.row(1, **{name: [np.inf]})) for name in subject.numeric],
        ],
        "serving_text": [
            ("an unknown symbol", subject.join([["☃"], *segments[1:]])),
            ("a segment too many", subject.join([*segments, segments[0]])),
            ("a row that is too long", subject.text(subject.row(subject.longest + 1))),
            ("nothing", ""),
            *[("no numbers", subject.text(subject.row(1)).split("\t")[0]) for _ in subject.numeric],
        ],
        "transform_features": [
            ("no label", subject.row(1)),
            ("an empty label", subject.row(1, **{label: []})),
        ],
    }
    meant = {
        "an id outside the vocabulary": subject.spec.get("unknown"),
        "a negative id": subject.spec.get("unknown"),
        "an unknown symbol": subject.spec.get("unknown"),
        "a row that is too long": subject.spec.get("too_long", "refuse") != "refuse",
    }
    answered, refused = [], 0
    for signature, requests in wrong.items():
        good = subject.examples[0] if signature != "serving_text" else subject.text(subject.examples[0])
        for name, request in requests:
            if meant.get(name):
                continue
            try:
                subject.ask(signature, [good, request])
                answered.append(f"{name} ({signature})")
            except tf.errors.OpError:
                refused += 1
    return {"answered": answered, "refused": refused}


def latency(subject: Subject) -> dict[str, float]:
    """Milliseconds for one row, when the model is warm: the median and the 95th percentile."""
    served, rows = subject.signatures["serving_default"], subject.examples
    taken = []
    for index in range(TIMED + TIMED // 10):
        asked = tf.constant([rows[index % len(rows)]])
        began = time.perf_counter()
        served(asked)["logits"].numpy()
        taken.append((time.perf_counter() - began) * 1e3)
    p50, p95 = np.percentile(taken[TIMED // 10 :], [50, 95])
    return {"p50_ms": float(p50), "p95_ms": float(p95)}


def memory(subject: Subject) -> float:
    """The most memory that this process, TensorFlow and all, ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _distance(a: Any, b: Any) -> float:
    """The largest difference, relative to one plus the number itself, as in numpy's `allclose`."""
    return float(np.max(np.abs(a - b) / (1 + np.abs(b))))


QUESTIONS = (finite, golden, batch, padding, mask, malformed, latency, memory)


def main(request: Mapping[str, Any]) -> dict[str, Any]:
    """Asks all questions; one that fails does not keep the others from being asked."""
    sys.meta_path.insert(0, Hidden(request["hidden"]))
    try:
        subject = Subject(request["model"], request["golden"], nan=request["nan"])
        answers: dict[str, Any] = {"packages": packages(subject, request["hidden"])}
    except Exception as error:
        return {"error": _in_short(error)}
    for question in QUESTIONS:
        try:
            answers[question.__name__] = question(subject)
        except Exception as error:
            answers[question.__name__] = {"error": _in_short(error)}
    return answers | {"rows": len(subject.examples)}


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"[:300]


if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    if not (asked := sys.stdin.readline()):
        sys.exit()  # whoever waited for a model has got none
    told = main(json.loads(asked))
    with open(sys.argv[1], "w") as file:
        json.dump(told, file)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # tearing TensorFlow down takes a second, and the answers are there
