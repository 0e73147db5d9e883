"""Makes the sample data: arithmetic exercises as TFRecord shards. Not used in training."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec

_OPERATIONS: Mapping[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}

_SYMBOLS = SequenceSpec().vocabulary
_EXERCISE = re.compile(r"[xy]=(-?\d+),[xy]=(-?\d+)")


def same_exercise(row: Mapping[str, Sequence[int]]) -> tuple[str, int, int]:
    """What exercises that ask the same in other words have in common: `data.split_by` of the sample data.

    Args:
      row: ids of `defs` and of `op`, by the vocabulary that settings have by default.

    Returns:
      the operation, and both values, the smaller one first: 24-12 and 12-24 belong together.

    Raises:
      ValueError: the row is no exercise.
      KeyError, IndexError: it lacks a feature, or holds an id that no symbol has.
    """
    definitions, operation = ("".join([_SYMBOLS[i] for i in row[name]]) for name in ("defs", "op"))
    return exercise_key(definitions, operation)


def exercise_key(definitions: str, operation: str) -> tuple[str, int, int]:
    """The same of an exercise as text, such as `x=-12,y=24` and `y+x`."""
    found = _EXERCISE.fullmatch(definitions)
    if not found or not operation[1:2] or operation[1] not in _OPERATIONS:
        raise ValueError(f"{definitions}:{operation} is no exercise")
    first, second = sorted((int(found[1]), int(found[2])))
    return operation[1], first, second


def exercises(count: int, *, max_value: int, rng: np.random.Generator) -> Iterator[tuple[str, ...]]:
    """Draws arithmetic exercises, `("x=-12,y=24", "y+x", "12")` each.

    Values are uniform in [1-max_value, max_value-1]; the order of x and y is a coin flip in the
    definitions and again in the operation; the operation is one of + - *, and subtraction follows
    the order in the operation.

    Args:
      count: how many.
      max_value: one more than the largest absolute value.
      rng: source of all randomness.

    Yields:
      definitions, operation, result.
    """
    for _ in range(count):
        x, y = (int(v) for v in rng.integers(1 - max_value, max_value, size=2))
        definitions = [f"x={x}", f"y={y}"]
        operands = [("x", x), ("y", y)]
        if rng.integers(2):
            definitions.reverse()
        if rng.integers(2):
            operands.reverse()
        sign = "+-*"[rng.integers(3)]
        (left, a), (right, b) = operands
        yield ",".join(definitions), f"{left}{sign}{right}", str(_OPERATIONS[sign](a, b))


def write_shards(folder: Path, *, shards: int, records: int, max_value: int, seed: int) -> list[Path]:
    """Writes `shard_0000.tfrecords` … with int64 lists `defs`, `op` and `res`.

    Args:
      folder: made; it may exist only if it is empty.
      shards: number of files.
      records: records in each file.
      max_value: see `exercises`.
      seed: same seed, same records, shard by shard.

    Returns:
      the files, in order.

    Raises:
      InputError: the folder holds something, or cannot be written.
    """
    # TensorFlow costs seconds to import, and only this function needs it.
    import tensorflow as tf

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there already and not empty; give another folder or remove it")
    spec = SequenceSpec()
    # Under another name first, so that a killed run leaves no folder with half the shards.
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    for index in range(shards):
        rng = np.random.default_rng([seed, index])
        with tf.io.TFRecordWriter(str(partial / f"shard_{index:04d}.tfrecords")) as writer:
            for texts in exercises(records, max_value=max_value, rng=rng):
                example = tf.train.Example()
                for name, text in zip((*spec.features, spec.label), texts, strict=True):
                    ids = [spec.ids[symbol] for symbol in text]
                    example.features.feature[name].int64_list.value.extend(ids)
                writer.write(example.SerializeToString(deterministic=True))
    partial.replace(folder)
    return sorted(folder.iterdir())
