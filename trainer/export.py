"""Writes the trained model as a SavedModel that contains its identity and its Keras original."""

import json
from pathlib import Path

import keras
import tensorflow as tf

from maskline.trainer.archive import write_keras_file
from maskline.trainer.signatures import ServedModel
from maskline.transform.features import SequenceSpec
from maskline.transform.names import IDENTITY_FILE, KERAS_FILE
from maskline.transform.versioned import FORMAT


def model_identity_of(saved_model: str) -> str:
    """Reads the identity of an exported model."""
    with tf.io.gfile.GFile(f"{saved_model}/{IDENTITY_FILE}") as file:
        return json.loads(file.read())["identity"]


def export(
    model: keras.Model, served: ServedModel, spec: SequenceSpec, folder: str, *, identity: str
) -> None:
    """Saves a model with its signatures.

    Args:
      model: the trained model; it is also saved as a Keras file, for a warm start.
      served: the same model with its signatures.
      spec: names, symbols and length.
      folder: the SavedModel's directory.
      identity: see `TrainingRecipe.identity`; written into `assets.extra`, which is part of the model.
    """
    served.archive().write_out(folder, verbose=False)
    extra = Path(folder) / Path(IDENTITY_FILE).parent
    tf.io.gfile.makedirs(str(extra))
    with tf.io.gfile.GFile(f"{folder}/{IDENTITY_FILE}", "w") as file:
        file.write(json.dumps({FORMAT: 1, "identity": identity, "sequence": spec.model_dump()}, indent=1))
    write_keras_file(model, f"{folder}/{KERAS_FILE}")
