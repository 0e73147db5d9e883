import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest

from maskline.pipeline.imports import Deferred, LeanFinder, read

MODULES = {
    "lean_a/__init__.py": "from lean_a.inner import ANSWER\nprint('lean_a is read.')\n",
    "lean_a/inner.py": "ANSWER = 42\n",
    "lean_b.py": "raise RuntimeError('broken')\n",
    "lean_c/__init__.py": "from lean_c.one import ONE\n",
    "lean_c/one.py": "ONE = 1\n",
    "lean_d.py": "import time\ntime.sleep(0.2)\nLATE = 1\n",
    "lean_c/three.py": "THREE = 3\n",
    "lean_c/two.py": "TWO = 2\n",
}


@pytest.fixture
def finder(tmp_path, monkeypatch):
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    finder = LeanFinder(["hidden_package", "lean_c.two"], ["lean_a", "lean_b", "lean_d"], ["lean_c"])
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    yield finder
    for name in [name for name in sys.modules if name.startswith("lean_")]:
        del sys.modules[name]


def test_a_deferred_module_is_read_with_the_first_of_its_names(finder, capsys):
    lean_a, again = import_module("lean_a"), __import__("lean_a")
    assert type(lean_a) is Deferred
    assert lean_a is again
    assert capsys.readouterr().out == ""
    assert lean_a.ANSWER == 42
    assert type(lean_a) is type(sys)
    assert capsys.readouterr().out == "lean_a is read.\n"
    with pytest.raises(AttributeError, match="lean_a"):
        _ = lean_a.nothing


def test_a_module_of_a_deferred_package_is_read_after_the_package(finder, capsys):
    assert import_module("lean_a.inner").ANSWER == 42
    assert capsys.readouterr().out == "lean_a is read.\n"


def test_a_module_that_cannot_be_read_says_so_each_time(finder):
    lean_b = import_module("lean_b")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            _ = lean_b.anything


def test_modules_of_a_gathering_package_are_imported_without_it(finder):
    assert import_module("lean_c.one").ONE == 1
    assert __import__("lean_c", fromlist=["three"]).three.THREE == 3
    assert type(sys.modules["lean_c"]) is Deferred
    assert __import__("lean_c", fromlist=["ONE"]).ONE == 1
    assert type(sys.modules["lean_c"]) is type(sys)


def test_hidden_packages_and_modules_are_found_again_afterwards(finder):
    for name in ("hidden_package", "lean_c.two"):
        with pytest.raises(ModuleNotFoundError, match=name):
            import_module(name)
    finder.hides = False
    assert import_module("lean_c.two").TWO == 2


def test_a_module_that_was_imported_before_is_left_alone(finder):
    read(sys)
    read(None)
    assert type(sys) is type(pytest)


def test_another_thread_waits_until_a_module_is_read(finder):
    lean_d = import_module("lean_d")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: lean_d.LATE, range(4))) == [1] * 4


@pytest.mark.slow
def test_a_run_imports_nothing_that_it_does_not_use():
    """And whoever needs it later finds it."""
    program = """
import sys
from maskline.pipeline.imports import CLOUDS, DEFERRED, GATHERING, HIDDEN, Deferred, lean_imports
with lean_imports():
    import maskline.pipeline.local.fit
with lean_imports():
    import maskline.pipeline.dag, maskline.pipeline.local.window, maskline.pipeline.local.runner
deferred = {*DEFERRED, *GATHERING}
assert not {*HIDDEN, *CLOUDS, "nltk", "kubernetes", "keras_tuner", "boto3"} & sys.modules.keys()
assert {name for name in deferred if type(sys.modules[name]) is Deferred} == deferred
from sklearn.linear_model import LogisticRegression
from scipy import stats
import apitools
from tfx import v1 as tfx
import tensorflow_model_analysis as tfma
assert stats.t.ppf(0.975, 10) > 2
assert tfx.components.Trainer and tfx.components.Tuner
assert sys.modules["tfx_bsl.arrow.sql_util"]
assert tfma.metrics.rouge.Rouge
assert tfma.view.render_slicing_metrics
import tensorflow as tf
assert tf.compat.v1.compat.v1.Session is tf.compat.v1.compat.v2.compat.v1.Session is tf.compat.v1.Session
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "IPython" not in done.stderr


@pytest.mark.slow
def test_a_node_imports_nothing_to_begin_a_job_of_beam(tmp_path):
    program = """
import sys
from pathlib import Path
from maskline.pipeline.imports import lean_imports
with lean_imports():
    import maskline.pipeline.dag, maskline.pipeline.local.window, maskline.pipeline.local.runner
from maskline.pipeline import quick_beam
quick_beam.quicken()
import apache_beam as beam
before = {*sys.modules}
with beam.Pipeline(argv=["--runner=FnApiRunner", "--direct_running_mode=in_memory"]) as pipeline:
    _ = pipeline | beam.Create(["a"]) | beam.io.WriteToText("row", shard_name_template="")
assert Path("row").read_text() == "a\\n"
assert not {name for name in {*sys.modules} - before if not name.startswith(("apache_beam", "concurrent"))}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_what_beam_needs_for_clouds_is_there_for_who_asks():
    program = """
import sys
from maskline.pipeline.imports import CLOUDS, lean_imports
with lean_imports(clouds=True):
    import maskline.pipeline.local.fit, apache_beam.io.gcp.pubsub
assert {*CLOUDS} <= sys.modules.keys()
from apache_beam.io.filesystems import FileSystems
assert FileSystems.get_filesystem("gs://a/b").scheme() == "gs"
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_evaluator_is_whole_by_itself():
    """As a node on a cluster imports it; TFMA says on standard error what it lacks, and goes on."""
    program = """
from maskline.pipeline.imports import lean_imports
with lean_imports():
    import maskline.components.evaluation.component
import tensorflow_model_analysis as tfma
assert tfma.default_eval_shared_model and tfma.ExtractEvaluateAndWriteResults
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Error importing" not in done.stderr
