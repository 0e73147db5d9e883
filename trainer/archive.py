"""Writes models so that equal models give equal files, as far as TensorFlow and Keras allow."""

import json
import tempfile
import uuid
import zipfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

# Private, as `keras.export.ExportArchive` only chooses a class by the backend and cannot be extended.
from keras.src.backend.tensorflow.export import TFExportArchive
from tensorflow.core.protobuf import fingerprint_pb2
from tensorflow.python.saved_model.fingerprinting_utils import write_fingerprint

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can hold
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"  # how the name of a variable ends in a checkpoint


class OrderedArchive(TFExportArchive):
    """Writes a SavedModel whose files are the same for the same model.

    Keras orders variables by their addresses in memory, which change from process to process, and so does
    the order in its checkpoint. Here the order is by name. TensorFlow chooses the UUID in `fingerprint.pb`
    at random. Here it is computed from the other hashes in that file. The graph in `saved_model.pb` is the
    same if Transform's graph, which is copied into it, is the same.
    """

    def add_endpoint(self, name: str, fn: Any, input_signature: Any = None, **kwargs: Any) -> Any:
        """Adds a signature; see Keras' `ExportArchive.add_endpoint`.

        Keras and TensorFlow call its function three times to lay its graph; here they call what was laid.
        """
        laid = tf.function(fn, input_signature=input_signature, autograph=False).get_concrete_function()
        return super().add_endpoint(name, lambda value: laid(value), input_signature, **kwargs)

    def write_out(self, filepath: str, options: Any = None, verbose: bool = False) -> None:
        """Writes the SavedModel; see Keras' `ExportArchive.write_out`."""
        super().write_out(filepath, options=options, verbose=verbose)
        _name_by_content(filepath)

    def write_weights(self, filepath: str) -> None:
        """Writes what the variables hold now into a SavedModel that `write_out` wrote before.

        The graph does not depend on it. This takes a fraction of the time of `write_out`.

        Args:
          filepath: the folder that `write_out` was given.
        """
        prefix = f"{filepath}/variables/variables"
        written = tf.train.load_checkpoint(prefix)
        names = sorted(written.get_variable_to_shape_map())
        values = [self._value(name) if name.endswith(_VALUE) else written.get_tensor(name) for name in names]
        tf.raw_ops.SaveV2(
            prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=values
        )
        write_fingerprint(filepath)
        _name_by_content(filepath)

    def _value(self, name: str) -> tf.Tensor:
        """The value of a variable by its name in the checkpoint, which is a list and a place there."""
        kind, place = name.removesuffix(_VALUE).split("/")
        return tf.convert_to_tensor(getattr(self._tf_trackable, kind)[int(place)])

    def _filter_and_track_resources(self) -> None:
        super()._filter_and_track_resources()
        tracked = self._tf_trackable
        tracked._all_variables = sorted(tracked._all_variables, key=lambda v: (v.name, *v.shape))


def write_keras_file(model: keras.Model, target: str) -> None:
    """Saves a model as a `.keras` file that contains neither the optimizer nor the current time.

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


def _name_by_content(folder: str) -> None:
    """Puts a UUID into the fingerprint that is computed from the hashes there."""
    file = f"{folder}/fingerprint.pb"
    with tf.io.gfile.GFile(file, "rb") as opened:
        fingerprint = fingerprint_pb2.FingerprintDef.FromString(opened.read())
    fingerprint.uuid = ""
    hashes = fingerprint.SerializeToString(deterministic=True)
    fingerprint.uuid = str(uuid.uuid5(uuid.NAMESPACE_OID, hashes.hex()))
    with tf.io.gfile.GFile(file, "wb") as opened:
        opened.write(fingerprint.SerializeToString(deterministic=True))
