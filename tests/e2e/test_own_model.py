"""`model.build`: a model of one's own passes every gate and is served without its builder, or is refused."""

import shutil

import pytest

from maskline.pipeline.local.depends import depends_on
from maskline.pipeline.settings.load import load
from tests.alone import ask_alone
from tests.conftest import Finished
from tests.support import ANY_MODEL, REPOSITORY, maskline, show, states

pytestmark = pytest.mark.slow

EASIER = ("training.epochs=1", "release_gate.margin=1", "release_gate.slice_margin=1")
EASY = [part for bar in (*ANY_MODEL, *EASIER) for part in ("--set", bar)]


@pytest.fixture
def config(finished: Finished, tmp_path):
    """A settings file with the example's builders beside it, over a copy of a finished run."""
    shutil.copytree(finished.root, tmp_path / "root", symlinks=True)
    shutil.copy(REPOSITORY / "examples/models/builders.py", tmp_path / "own_builders.py")
    example = (REPOSITORY / "examples/models/maskline.yaml").read_text()
    for there, here in (
        ("root: ../../maskline-root/own-model", "root: root"),
        ("../../data/reference", str(finished.data)),
        ("build: builders:bidirectional_gru", "build: own_builders:convolution"),
    ):
        assert there in example
        example = example.replace(there, here)
    (tmp_path / "own.yaml").write_text(example)
    return tmp_path / "own.yaml"


def refused(data, tmp_path, build):
    """What the command line says of a builder in one line, and that it ends with 2."""
    command = ("--data", data, "--root", tmp_path / "root", "--set", f"model.build={build}")
    done = maskline("run", *command, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("root/artifacts/*"))
    return done.stderr


def test_own_model_is_released_and_answers_without_its_builder_and_an_edit_makes_it_another(config, tmp_path):
    done = maskline("run", "--config", config, *EASY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Released as version 2" in done.stdout
    of_nodes = states(show(tmp_path / "root"))
    assert {of_nodes[name] for name in ("Trainer", "ModelChecks", "ReleaseGate", "Pusher")} == {"COMPLETE"}
    assert of_nodes["Transform"] == "CACHED"
    builders = tmp_path / "own_builders.py"
    builders.rename(tmp_path / "gone.py")
    question = ("python", "serving_text", "x=-12,y=24:y+x")
    _, [answer] = ask_alone(tmp_path / "root/serving/maskline/2", [question], tmp_path)
    assert answer["symbol"]
    shutil.copy(tmp_path / "gone.py", builders)
    before = depends_on(load(config), "", [])
    builders.write_text(f"{builders.read_text()}\n# edited\n")
    assert depends_on(load(config), "", []) != before


def test_a_bad_builder_is_refused_in_one_line_before_anything_runs(finished: Finished, tmp_path):
    (tmp_path / "own_bad.py").write_text("def build(spec, task, settings): return spec.nothing")
    said = refused(finished.data, tmp_path, "own_bad:build")
    assert "own_bad:build raised AttributeError: 'InputSpec' object has no attribute 'nothing'" in said


def test_a_module_that_is_not_there_is_refused_before_the_root_is_made(finished: Finished, tmp_path):
    said = refused(finished.data, tmp_path, "no_such.models:build")
    assert "model.build: no_such.models:build: there is no module 'no_such'; put it beside" in said
    assert not (tmp_path / "root").exists()


def test_what_is_no_path_of_a_function_is_refused(tmp_path):
    assert "model.build: 'builders.convolution' is not" in refused(tmp_path, tmp_path, "builders.convolution")
