"""Golden rows: raw examples, with the logits that the model gave for them before it was exported."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from maskline.trainer.signatures import ServedModel
from maskline.transform.versioned import FORMAT

COUNT = 256


def write_golden_rows(served: ServedModel, files: Sequence[str], target: str) -> None:
    """Writes examples with their logits, which the exported model must reproduce.

    Args:
      served: the trained model with Transform's graph, before the export.
      files: glob patterns of gzip TFRecord files of raw tf.Examples, with labels.
      target: the file to write: gzip TFRecord of tf.Examples with `format` (1), `example` (bytes) and
        `logits` (floats, those of one position behind those of another where the whole label is predicted).
    """
    found = sorted(file for pattern in files for file in tf.io.gfile.glob(pattern))
    examples = tf.data.TFRecordDataset(found, compression_type="GZIP").take(COUNT).batch(COUNT)
    with tf.io.TFRecordWriter(target, "GZIP") as writer:
        for raw in examples:
            logits = keras.ops.convert_to_numpy(served.logits(served.transform_features(raw)))
            for example, row in zip(raw.numpy(), logits, strict=True):
                golden = tf.train.Example()
                golden.features.feature[FORMAT].int64_list.value.append(1)
                golden.features.feature["example"].bytes_list.value.append(example)
                golden.features.feature["logits"].float_list.value.extend(row.ravel())
                writer.write(golden.SerializeToString())
