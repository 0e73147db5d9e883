"""Writes the trained model as a SavedModel that carries its own identity."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from trainer.signatures import ServedModel
from transform.features import IDENTITY_FILE, SequenceSpec


def model_identity(parts: Mapping[str, Any]) -> str:
    """What a model was made from, as one name: SHA-256 of `parts` as JSON.

    Training is repeatable, so the same rows, settings, seed, source and packages give the same model.
    A second training on them, after a crash say, is therefore known to be the same model, although
    its files differ in their bytes.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def export(
    model: keras.Model,
    transform: tft.TFTransformOutput,
    spec: SequenceSpec,
    folder: str,
    *,
    identity: str,
) -> None:
    """Saves `model` behind its signatures.

    Args:
      model: the trained model.
      transform: Transform's output, put inside.
      spec: names, symbols and length.
      folder: the SavedModel's directory.
      identity: see `model_identity`; written into `assets.extra`, which travels with the model.
    """
    ServedModel(model, transform, spec).archive().write_out(folder, verbose=False)
    card = Path(folder) / IDENTITY_FILE
    tf.io.gfile.makedirs(str(card.parent))
    with tf.io.gfile.GFile(str(card), "w") as file:
        file.write(json.dumps({"identity": identity, "sequence": spec.model_dump()}, indent=1))
