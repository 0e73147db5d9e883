"""Loads a released version and asks it its golden rows; see `proof`, which runs this as a script.

    python -m maskline.components.pusher.ask FOLDER

ends with status 0, or prints in one line why the model cannot be served.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # at once, as the imports take seconds: a killed command leaves nothing at work
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

import numpy as np
import tensorflow as tf

from maskline.transform.names import EXTRA_FOLDER, GOLDEN_ROWS_FILE, IDENTITY_FILE

GOLDEN_PATH = f"{EXTRA_FOLDER}/{GOLDEN_ROWS_FILE}"  # in each version
_TOLERANCE = 1e-4  # of logits, relative to one plus the number itself; processors differ by less


def ask(folder: Path) -> str:
    """Why a version cannot be served, or an empty string; see `proof.problem`."""
    try:
        spec = json.loads((folder / IDENTITY_FILE).read_bytes())["sequence"]
        served = tf.saved_model.load(str(folder)).signatures["serving_default"]
        rows, expected = _golden(folder) if (folder / GOLDEN_PATH).exists() else ([_row(spec)], None)
        logits = served(tf.constant(rows, tf.string))["logits"].numpy().reshape(len(rows), -1)
    except Exception as error:  # TensorFlow raises whatever it meets in a damaged model
        return " ".join(f"it cannot be loaded and asked: {type(error).__name__}: {error}".split())[:300]
    if not np.all(np.isfinite(logits)):
        return "its answers are not finite"
    if expected is not None:
        far = float(np.max(np.abs(logits - expected) / (1 + np.abs(expected))))
        if not far <= _TOLERANCE:
            return f"its answers to its golden rows are {far:.2g} away from those before its export"
    return ""


def _golden(folder: Path) -> tuple[list[bytes], Any]:
    """The golden rows: serialized tf.Examples, and their logits, float32 [rows, classes]."""
    records = tf.data.TFRecordDataset(str(folder / GOLDEN_PATH), "GZIP").as_numpy_iterator()
    rows = [tf.train.Example.FromString(record).features.feature for record in records]
    logits = np.array([row["logits"].float_list.value for row in rows], np.float32)
    return [row["example"].bytes_list.value[0] for row in rows], logits


def _row(spec: dict[str, Any]) -> bytes:
    """A serialized tf.Example with one allowed id in each feature."""
    special = (spec["padding"], spec["separator"])
    allowed = next(i for i, symbol in enumerate(spec["vocabulary"]) if symbol not in special)
    made = tf.train.Example()
    for name in spec["features"]:
        made.features.feature[name].int64_list.value.append(allowed)
    return made.SerializeToString()


if __name__ == "__main__":
    found = ask(Path(sys.argv[1]))
    print(found)  # noqa: T201
    sys.stdout.flush()
    os._exit(1 if found else 0)
