"""The public face: what `import maskline` gives, and that it costs nothing and still registers the layers."""

import doctest
import subprocess
import sys

import keras
import numpy as np
import pytest

import maskline
from maskline.trainer.model import build_model
from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import SequenceSpec
from tests.support import environment


def alone(code):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A version's folder, as a release has it, and what its model answers."""
    version = tmp_path_factory.mktemp("serving") / "1"
    (version / "assets.extra").mkdir(parents=True)
    model = build_model(SequenceSpec(), TrainerSettings().model)
    model.save(version / "assets.extra/model.keras")
    return version, np.asarray(model(np.ones((1, 20), "int32")))


def test_the_import_and_the_help_load_neither_keras_nor_tensorflow():
    heavy = "[name for name in ('keras', 'tensorflow', 'tfx', 'numpy') if name in sys.modules]"
    assert alone(f"import sys, maskline; print({heavy})") == "[]"
    lines = [
        "import sys",
        "from click.testing import CliRunner",
        "from maskline.pipeline.cli import cli",
        f"print(CliRunner().invoke(cli, ['--help']).exit_code, {heavy})",
    ]
    assert alone("\n".join(lines)) == "0 []"


@pytest.mark.parametrize("imports", ["import maskline, keras", "import keras, maskline"])
def test_keras_reads_a_released_model_after_the_import(saved, imports):
    version, _ = saved
    file = f"{version}/assets.extra/model.keras"
    assert alone(f"{imports}; print(keras.saving.load_model({file!r}).name)") == "maskline"


def test_layers_are_registered_once_where_they_are_the_first_import():
    found = "keras.saving.get_registered_object('maskline>MaskedPooling') is maskline.layers.MaskedPooling"
    assert alone(f"import maskline.trainer.layers, keras; print({found})") == "True"


def test_load_model_takes_a_version_or_a_file(saved):
    version, answer = saved
    for path in (version, str(version), version / "assets.extra/model.keras"):
        np.testing.assert_array_equal(maskline.load_model(path)(np.ones((1, 20), "int32")), answer)
    with pytest.raises(
        FileNotFoundError, match=r"2/assets.extra/model.keras: no such file; give the folder of"
    ):
        maskline.load_model(version.parent / "2")


def test_the_face_is_what_it_says():
    assert maskline.__all__ == ["label_findings", "layers", "load_model", "mask_findings"]
    assert set(maskline.__all__) <= set(dir(maskline))
    assert maskline.layers.PaddingMask().compute_mask(keras.ops.array([[3, 0]])).numpy().tolist() == [
        [True, False]
    ]
    with pytest.raises(AttributeError, match="module 'maskline' has no attribute 'nothing'"):
        maskline.nothing  # noqa: B018


@pytest.mark.parametrize("module", ["maskline", "maskline.trainer.loading"])
def test_examples_in_the_documentation_run(module):
    __import__(module)
    failed, tried = doctest.testmod(sys.modules[module])
    assert failed == 0
    assert tried
