"""Reads raw tf.Examples in batches: counts of ids, labels, and the slice of each row."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import tensorflow as tf
from numpy.typing import NDArray
from tfx import types
from tfx.types import artifact_utils

from maskline.components.evaluation.baselines import Batch
from maskline.components.evaluation.each import neighbours
from maskline.components.evaluation.slices import SliceSpec
from maskline.transform.features import SequenceSpec
from maskline.transform.names import EVAL, TEST

_BATCH = 8192  # rows at a time


class Lists(NamedTuple):
    """One feature of a batch: where each row's ids end [rows], and all ids behind one another."""

    ends: NDArray[np.int64]
    ids: NDArray[np.int64]


def parse(examples: Any, spec: SequenceSpec) -> dict[str, Lists]:
    """Parses serialized tf.Examples, [rows] bytes, into the features and the label of `spec`."""
    names = dict.fromkeys((*spec.features, spec.label))
    texts = set(spec.features if spec.text.reads_text else ())
    kinds = {name: tf.string if name in texts else tf.int64 for name in names}
    found = tf.io.parse_example(examples, {name: tf.io.RaggedFeature(kind) for name, kind in kinds.items()})
    return {
        name: Lists(
            ragged.row_splits.numpy()[1:].astype(np.int64),
            _ids_of(ragged.values.numpy(), spec) if name in texts else ragged.values.numpy(),
        )
        for name, ragged in found.items()
    }


def _ids_of(symbols: NDArray[np.object_], spec: SequenceSpec) -> NDArray[np.int64]:
    """Ids [n] of symbols [n] in UTF-8; the ingest let only those pass that have one, or the unknown one's."""
    known, unknown = spec.encoded_ids, -1 if spec.unknown_id is None else spec.unknown_id
    return np.fromiter((known.get(symbol, unknown) for symbol in symbols), np.int64, len(symbols))


def counted(rows: dict[str, Lists], spec: SequenceSpec) -> Batch:
    """Counts each feature's ids in each row; the label is its feature's first id, or all of them, padded.

    Where each id of a feature has a label, they are at the places of these ids in the joined row, and what is
    counted is around each of them.
    """
    starts = np.concatenate([[0], rows[spec.label].ends[:-1]])
    if spec.task.kind == "whole":
        ends, ids = rows[spec.label]
        row = np.repeat(np.arange(len(ends)), ends - starts)
        label = np.full((len(ends), spec.task.length), spec.pad_id, np.int64)
        label[row, np.arange(len(ids)) - starts[row]] = ids
    elif spec.no_label is not None:
        ends, ids = rows[spec.label]
        row = np.repeat(np.arange(len(ends)), ends - starts)
        earlier = spec.features[: spec.features.index(spec.tagged)]
        before = np.array([np.diff(rows[name].ends, prepend=0) + 1 for name in earlier]).sum(
            axis=0, dtype=int
        )
        label = np.full((len(ends), spec.length), spec.no_label, np.int64)
        label[row, np.arange(len(ids)) - starts[row] + (before[row] if earlier else 0)] = ids
        return Batch(neighbours(*rows[spec.tagged], spec.size), label)
    else:
        label = rows[spec.label].ids[starts]
    columns = []
    for name in spec.features:
        ends, ids = rows[name]
        row_splits = np.concatenate([[0], ends])
        shape = (len(ends), spec.size)
        counts = scipy.sparse.csr_matrix((np.ones(len(ids), np.float32), ids, row_splits), shape=shape)
        counts.sum_duplicates()
        columns.append(counts)
    return Batch(scipy.sparse.hstack(columns, format="csr"), label)


def read(folders: Sequence[str], spec: SequenceSpec) -> Iterator[Batch]:
    """Reads every row of folders of gzip TFRecord files as counts."""
    for folder in folders:
        files = sorted(tf.io.gfile.glob(f"{folder}/*"))
        for examples in tf.data.TFRecordDataset(files, compression_type="GZIP").batch(_BATCH):
            yield counted(parse(examples, spec), spec)


def deciding(examples: Sequence[types.Artifact]) -> list[tuple[str, str]]:
    """The folder of the rows of each that decide a release, and whether they are `test` or `eval`.

    Where an ingest found too few rows for both, or is of an earlier version, eval chooses the epoch and
    decides.
    """
    found = []
    for one in examples:
        split = EVAL
        if TEST in artifact_utils.decode_split_names(one.split_names):
            files = tf.io.gfile.glob(f"{artifact_utils.get_split_uri([one], TEST)}/*")
            rows = tf.data.TFRecordDataset(files, compression_type="GZIP").take(1)
            split = TEST if any(True for _ in rows) else EVAL
        found.append((artifact_utils.get_split_uri([one], split), split))
    return found


def slices_of(rows: dict[str, Lists], slices: Sequence[SliceSpec], spec: SequenceSpec) -> dict[str, Any]:
    """By the name of each way to divide the rows, the slice that each row belongs to, [rows] str.

    The same as `SliceSpec.value` of each row.
    """
    return {one.name: _slice_of(rows, one, spec) for one in slices}


def _slice_of(rows: dict[str, Lists], one: SliceSpec, spec: SequenceSpec) -> NDArray[np.str_]:
    values = np.array(one.values, np.str_)
    if one.lengths:
        sizes = {name: np.diff(lists.ends, prepend=0) for name, lists in rows.items()}
        joined = np.sum([sizes[name] for name in spec.features], axis=0) + len(spec.features) - 1
        return values[np.searchsorted(one.lengths, sizes[one.feature] if one.feature else joined)]
    wanted = one.begins or one.contains
    other = len(wanted)  # stands behind them in the values
    known = spec.ids_of(one.feature)
    place = np.full(len(known), other)
    for number, symbol in enumerate(wanted):
        if symbol in known:  # a computed vocabulary may lack it
            place[known[symbol]] = number
    ends, ids = rows[one.feature]
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    looked_at = starts[ends > starts] if one.begins else np.arange(len(ids))
    hits = looked_at[place[ids[looked_at]] < other]
    row, first = np.unique(np.searchsorted(ends, hits, "right"), return_index=True)
    found = np.full(len(ends), other)
    found[row] = place[ids[hits[first]]]
    return values[found]
