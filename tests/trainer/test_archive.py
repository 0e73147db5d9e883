"""Processes that export the same model write the same files, also where all but the weights came early."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import REPOSITORY, environment

pytestmark = pytest.mark.slow

EXPORT = """
import sys
import keras, tensorflow as tf
from maskline.trainer.archive import OrderedArchive, write_keras_file
from maskline.trainer.model import build_model
from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import SequenceSpec

keras.utils.set_random_seed(0)
model = build_model(SequenceSpec(), TrainerSettings().model)
words = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.range(2, dtype=tf.int64))
table = tf.lookup.StaticHashTable(words, default_value=-1)
archive = OrderedArchive()
archive.track(model)
archive.track(table)
archive.add_endpoint(
    "serve",
    lambda words: model(tf.tile(tf.cast(table.lookup(words), tf.int32)[:, None], [1, 20])),
    input_signature=[tf.TensorSpec([None], tf.string)],
)
weights = model.get_weights()
zeros = [0 * one for one in weights]
for some in [weights, zeros] if "early" in sys.argv else [zeros, weights]:
    model.set_weights(some)
archive.write_out(sys.argv[1])
if "early" in sys.argv:
    model.set_weights(weights)
    archive.write_weights(sys.argv[1])
write_keras_file(model, sys.argv[1] + "/model.keras")
"""


@pytest.mark.parametrize("when", ["late", "early"])
def test_equal_models_make_equal_files(tmp_path, when):
    digests = []
    for seed in ("1", "2"):
        made = exported(tmp_path / seed, when, seed)
        files = [path for path in made.rglob("*") if path.is_file()]
        digests.append(
            {str(file.relative_to(made)): hashlib.sha256(file.read_bytes()).digest() for file in files}
        )
    assert digests[0] == digests[1]
    names = ["fingerprint.pb", "model.keras", "saved_model.pb"]
    names += ["variables/variables.data-00000-of-00001", "variables/variables.index"]
    assert sorted(digests[0]) == names


def test_weights_may_come_after_the_graphs(tmp_path):
    import tensorflow as tf
    from tensorflow.core.protobuf import fingerprint_pb2

    late, early = (exported(tmp_path / when, when, "1") for when in ("late", "early"))
    assert (late / "saved_model.pb").read_bytes() == (early / "saved_model.pb").read_bytes()
    first, second = (tf.train.load_checkpoint(str(made / "variables/variables")) for made in (late, early))
    shapes = first.get_variable_to_shape_map()
    assert shapes == second.get_variable_to_shape_map()
    for name in shapes:
        np.testing.assert_array_equal(first.get_tensor(name), second.get_tensor(name), name)
    assert any(first.get_tensor(name).any() for name in shapes if name.startswith("variables/"))
    prints = [
        fingerprint_pb2.FingerprintDef.FromString((made / "fingerprint.pb").read_bytes())
        for made in (late, early)
    ]
    assert prints[0].signature_def_hash == prints[1].signature_def_hash
    assert prints[0].uuid != prints[1].uuid  # the same values lie in another order


def exported(folder: Path, when: str, seed: str) -> Path:
    """What a process exports there, late or early."""
    done = subprocess.run(
        [sys.executable, "-c", EXPORT, str(folder), when],
        cwd=REPOSITORY,
        env=environment() | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder
