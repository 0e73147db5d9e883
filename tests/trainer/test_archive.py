"""Two processes that export the same model write the same files."""

import hashlib
import subprocess
import sys

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
archive.write_out(sys.argv[1])
write_keras_file(model, sys.argv[1] + "/model.keras")
"""


def test_equal_models_make_equal_files(tmp_path):
    digests = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", EXPORT, str(tmp_path / seed)],
            cwd=REPOSITORY,
            env=environment() | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        files = [path for path in (tmp_path / seed).rglob("*") if path.is_file()]
        digests.append(
            {
                str(file.relative_to(tmp_path / seed)): hashlib.sha256(file.read_bytes()).digest()
                for file in files
            }
        )
    assert digests[0] == digests[1]
    names = ["fingerprint.pb", "model.keras", "saved_model.pb"]
    names += ["variables/variables.data-00000-of-00001", "variables/variables.index"]
    assert sorted(digests[0]) == names
