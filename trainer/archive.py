"""Writes a model such that equal models make equal files, as far as TensorFlow and Keras allow."""

import json
import tempfile
import zipfile
from pathlib import Path

import keras
import tensorflow as tf

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say


class OrderedArchive(keras.export.ExportArchive):
    """Lists the model's variables by name.

    Keras lists them by their addresses in memory, which change from process to process, and with them the
    order of a SavedModel's checkpoint.
    """

    def _filter_and_track_resources(self) -> None:
        super()._filter_and_track_resources()
        tracked = self._tf_trackable
        tracked._all_variables = sorted(tracked._all_variables, key=lambda v: (v.name, *v.shape))


def write_keras_file(model: keras.Model, target: str) -> None:
    """Saves a model without its optimizer as a `.keras` file, without the time of day in it.

    Args:
      model: functional.
      target: the file, on any file system that TensorFlow writes to.
    """
    bare = keras.Model.from_config(model.get_config())  # the optimizer is twice as large as the model
    bare.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as local:  # Keras writes to this machine only
        saved, timeless = Path(local, "saved.keras"), Path(local, "model.keras")
        bare.save(saved)
        with zipfile.ZipFile(saved) as dated, zipfile.ZipFile(timeless, "w") as made:
            for name in sorted(dated.namelist()):
                data = dated.read(name)
                if name == "metadata.json":
                    metadata = json.loads(data)
                    metadata.pop("date_saved", None)
                    data = json.dumps(metadata).encode()
                made.writestr(zipfile.ZipInfo(name, _FIRST_DAY), data)
        tf.io.gfile.copy(str(timeless), target)
