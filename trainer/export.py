"""Writes the trained model as a SavedModel that contains its identity and its Keras original."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

import keras
import tensorflow as tf
import tensorflow_transform as tft

from maskline.trainer.archive import OrderedArchive, write_keras_file
from maskline.trainer.signatures import ServedModel
from maskline.transform.features import SequenceSpec
from maskline.transform.names import IDENTITY_FILE, KERAS_FILE
from maskline.transform.versioned import FORMAT


def model_identity_of(saved_model: str) -> str:
    """Reads the identity of an exported model."""
    with tf.io.gfile.GFile(f"{saved_model}/{IDENTITY_FILE}") as file:
        return json.loads(file.read())["identity"]


class EarlyExport:
    """Writes a SavedModel, but for the weights, in a thread while the model is trained.

    Laying its graphs is work of Python, which a training leaves idle. Use it as a context: at its end
    nothing is being written.

    Args:
      transform: the output of the component Transform.
      spec: names, symbols and length.
      folder: the SavedModel's directory.
    """

    def __init__(self, transform: tft.TFTransformOutput, spec: SequenceSpec, folder: str) -> None:
        self._transform, self._spec, self._folder = transform, spec, folder
        self._thread = ThreadPoolExecutor(1)
        self._written: Future[tuple[ServedModel, OrderedArchive]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended_by: object) -> None:
        self._thread.shutdown()

    def begin(self, model: keras.Model) -> None:
        """Begins with a model whose graphs of training are laid: numbers in their names come first."""
        self._written = self._thread.submit(self._write, model)

    def _write(self, model: keras.Model) -> tuple[ServedModel, OrderedArchive]:
        served = ServedModel(model, self._transform, self._spec)
        archive = served.archive()
        archive.write_out(self._folder)
        return served, archive

    def taken(self, model: keras.Model) -> tuple[ServedModel, OrderedArchive | None]:
        """The trained model with its signatures; and what was written, if it was begun."""
        if self._written:
            return self._written.result()
        return ServedModel(model, self._transform, self._spec), None


def export(
    model: keras.Model,
    served: ServedModel,
    spec: SequenceSpec,
    folder: str,
    *,
    identity: str,
    written: OrderedArchive | None = None,
) -> None:
    """Saves a model with its signatures.

    Args:
      model: the trained model; it is also saved as a Keras file, for a warm start.
      served: the same model with its signatures.
      spec: names, symbols and length.
      folder: the SavedModel's directory.
      identity: see `TrainingRecipe.identity`; written into `assets.extra`, which is part of the model.
      written: the archive that was written there early, with other weights.
    """
    if written:
        written.write_weights(folder)
    else:
        served.archive().write_out(folder)
    extra = Path(folder) / Path(IDENTITY_FILE).parent
    tf.io.gfile.makedirs(str(extra))
    with tf.io.gfile.GFile(f"{folder}/{IDENTITY_FILE}", "w") as file:
        file.write(json.dumps({FORMAT: 1, "identity": identity, "sequence": spec.model_dump()}, indent=1))
    write_keras_file(model, f"{folder}/{KERAS_FILE}")
