"""The ids of symbols of text, by a vocabulary that is given or that Transform computes."""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_transform as tft

from maskline.transform.features import SequenceSpec

_FILE = "symbols"  # of the vocabulary, among the assets of Transform's graph


def ids_of(inputs: Mapping[str, tf.SparseTensor], spec: SequenceSpec) -> dict[str, tf.SparseTensor]:
    """Looks up the symbols of all features; called where Transform makes its graph.

    A computed vocabulary has the most frequent symbols of all features together, `text.size` of them at most
    and each `text.min_count` times at least, behind the special symbols. It is an asset of the graph.

    Args:
      inputs: feature name → sparse [batch, None] string.
      spec: with the vocabulary, or how it is computed.

    Returns:
      feature name → sparse [batch, None] int64; where a symbol is not in the vocabulary, the unknown one's
      id, or -1 where there is none.
    """
    with tf.init_scope():
        given = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(spec.vocabulary), tf.range(spec.size, dtype=tf.int64)
            ),
            default_value=-1,
        )
    ids = {name: given.lookup(inputs[name].values) for name in spec.features}
    if spec.is_computed:
        values = tf.concat([inputs[name].values for name in spec.features], axis=0)
        words = tf.boolean_mask(values, tf.concat(list(ids.values()), axis=0) < 0)
        file = tft.vocabulary(
            words, top_k=spec.text.size, frequency_threshold=spec.text.min_count, vocab_filename=_FILE
        )
        for name, found in ids.items():
            computed = tft.apply_vocabulary(inputs[name].values, file, default_value=-1)
            behind = tf.where(computed < 0, computed, computed + spec.size)
            ids[name] = tf.where(found < 0, behind, found)
    return {name: inputs[name].with_values(found) for name, found in ids.items()}


def resolved(spec: SequenceSpec, transform: tft.TFTransformOutput) -> SequenceSpec:
    """The spec with the vocabulary that Transform computed, if it did."""
    if not spec.is_computed:
        return spec
    return spec.resolved(symbol.decode() for symbol in transform.vocabulary_by_name(_FILE))
