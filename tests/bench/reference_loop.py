"""The training loop that maskline is measured against: the reference script's, in Keras 3.

Ten epochs of 2,000 records at batch 2, one step a call, TensorBoard histograms every epoch; read from
shards, joined and padded in tf.data; its attention mask as published, on query rows.

Usage: python -m tests.bench.reference_loop SHARD… LOG_DIR
"""

import sys
import time

import keras
import tensorflow as tf
from keras import ops

from maskline.transform.features import SequenceSpec

SPEC = SequenceSpec()
EPOCHS, RECORDS, BATCH, WIDTH, HIDDEN = 10, 2_000, 2, 15, 150


class Reflect(keras.layers.Layer):
    """Self-attention with the reference's mask."""

    def build(self, input_shape):
        self.q, self.k, self.v = (
            self.add_weight(shape=(WIDTH, WIDTH), name=name) for name in ("q", "k", "v")
        )

    def call(self, y, ids):
        scores = ops.matmul(ops.matmul(y, self.q), ops.transpose(ops.matmul(y, self.k), (0, 2, 1)))
        scores = scores / WIDTH**0.5
        scores = scores - 1e9 * ops.cast(ops.equal(ids, SPEC.pad_id), "float32")[:, :, None]
        return ops.matmul(ops.softmax(scores), ops.matmul(y, self.v))


class Clock(keras.callbacks.Callback):
    """Prints each epoch's seconds."""

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        print(f"epoch {epoch + 1}: {time.perf_counter() - self.began:.3f} s, loss {logs['loss']:.4f}")


def dataset(files: list[str]) -> tf.data.Dataset:
    names = (*SPEC.features, SPEC.label)
    parse = {name: tf.io.RaggedFeature(tf.int64) for name in names}

    def adapt(serialized):
        row = tf.io.parse_example(serialized, parse)
        separator = tf.ones([tf.shape(serialized)[0], 1], tf.int64) * SPEC.separator_id
        joined = tf.concat([row["defs"], separator, row["op"]], axis=1)
        return joined.to_tensor(shape=[None, SPEC.length]), row["res"][:, :1].to_tensor(shape=[None, 1])

    return tf.data.TFRecordDataset(files).take(RECORDS).batch(BATCH).map(adapt)


def main(*arguments: str) -> None:
    *files, log_dir = arguments
    ids = keras.Input((SPEC.length,), dtype="int32")
    y = keras.layers.Embedding(SPEC.size, WIDTH)(ids)
    y = Reflect()(y, ids)
    y = keras.layers.Reshape((SPEC.length * WIDTH,))(y)
    y = keras.layers.Dense(HIDDEN, activation="relu")(y)
    model = keras.Model(ids, keras.layers.Dense(SPEC.size, name="dbd")(y))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    assert model.count_params() == 49_145
    callbacks = [keras.callbacks.TensorBoard(log_dir, histogram_freq=1), Clock()]
    model.fit(dataset(list(files)), epochs=EPOCHS, callbacks=callbacks, verbose=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
