"""The runner that forks a process a node, on small nodes; in a process of its own, as forking asks for."""

import json
from pathlib import Path

import pytest

from tests.faults.forks import Forks
from tests.support import REPOSITORY


@pytest.fixture(scope="module")
def forks():
    forks = Forks("maskline.pipeline.local.runner", "tests.small_nodes")
    yield forks
    forks.close()


@pytest.fixture
def call(forks, tmp_path):
    """Runs a script in a fork that has imported TFX and done nothing else."""

    def call(script, *arguments):
        (tmp_path / "script.py").write_text(script)
        return forks.run([str(tmp_path / "script.py"), *map(str, arguments)], cwd=REPOSITORY)

    return call


SCRIPT = """
import sys
from pathlib import Path

from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from maskline.pipeline.settings.load import load
from maskline.pipeline.console import Console
from maskline.pipeline.local.runner import ForkingRunner
from tests import small_nodes

root = Path(sys.argv[1])
gate = small_nodes.Gate(passed=1)
resolver = Resolver(
    strategy_class=small_nodes.UnreadableStrategy, verdict=gate.outputs["verdict"]
).with_id("Chosen")
reader = small_nodes.Reader(verdict=resolver.outputs["verdict"])
store = metadata.sqlite_metadata_connection_config(str(root / "metadata.sqlite"))
pipeline = Pipeline("small", str(root), components=[gate, resolver, reader], metadata_connection_config=store)
try:
    ForkingRunner("a run", Console(load(root=root))).run(pipeline)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


def test_resolver_that_raises_fails_the_run_by_name_and_nothing_behind_it_begins(call, tmp_path: Path):
    """TFX only logs what a resolver raises, and goes on."""
    done = call(SCRIPT, tmp_path)
    lines = done.stdout.splitlines()
    assert "✓ Gate" in done.stdout, done.stderr
    assert "✗ Chosen" in done.stdout
    assert "Reader" not in done.stdout
    assert lines[-1] == "RunError: Chosen failed: its inputs could not be resolved; the log says why"
    assert "the disk is gone" in done.stderr


ENDINGS = """
import sys
from pathlib import Path

from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from maskline.pipeline.settings.load import load
from maskline.pipeline.console import Console
from maskline.pipeline.local.runner import ForkingRunner
from maskline.pipeline.local.space import Need
from tests import small_nodes

full, root = map(Path, sys.argv[1:3])
for how in sys.argv[3:]:
    place = full if how == "full" else root
    store = metadata.sqlite_metadata_connection_config(str(root / f"{how}.sqlite"))
    node = small_nodes.Ending(how=how)
    pipeline = Pipeline("small", str(place), components=[node], metadata_connection_config=store)
    try:
        need = Need(place, (5 if how == "full" else 1 << 30) << 20)
        ForkingRunner("a run", Console(load(root=root)), need=need).run(pipeline)
    except Exception as error:
        print(f"{how}: {type(error).__name__}: {error}")
"""


def test_what_ended_a_node_is_told_in_words(call, tmp_path: Path, small_disk: Path):
    done = call(ENDINGS, small_disk, tmp_path, "status", "signal", "memory", "full")
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines() if "Error: " in line)
    assert told["status"] == (
        "RunError: Ending's process ended with exit status 7 and without a report; the log has the details"
    )
    killed = (
        "RunError: Ending's process was ended by signal 9 (SIGKILL); the system kills what takes too much"
    )
    assert told["signal"] == f"{killed} memory"
    assert told["memory"].startswith("MachineError: Ending failed: out of memory; ")
    full = (
        f"MachineError: Ending failed: no space left on {small_disk}: 5 MB needed; make room, then run again"
    )
    assert told["full"] == full, done.stderr


EARLY = """
import json, logging, os, sys
from pathlib import Path

import psutil
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from maskline.pipeline.console import Console
from maskline.pipeline.local import early, runner
from maskline.pipeline.settings.load import load
from tests import small_nodes

def prepare(alone, store):
    inputs, parameters = early.known_early(alone, store)
    values = {name: [artifact.read() for artifact in found] for name, found in inputs.items()}
    Path("known").write_text(json.dumps([values, parameters]))
    Path("part").write_text(str(os.getpid()))
    Path("part").rename("prepared")
    if Path.cwd().name == "dies":
        os._exit(7)
    if Path.cwd().name == "raises":
        raise ValueError("not now")

runner._EARLY = {"Checker": prepare}
logging.getLogger().setLevel(logging.INFO)  # as for a run
for case in ("works", "raises", "silent", "fails", "dies"):
    root = Path(sys.argv[1], case)
    root.mkdir()
    print("case", case)
    writer = small_nodes.Writer(text="rows", number=1, share=0.5)
    says = "" if case == "silent" else "epoch 1/2"
    learner = small_nodes.Learner(written=writer.outputs["out"], says=says, fails=int(case == "fails"))
    learner = learner.with_id("Trainer")
    checker = small_nodes.Checker(written=writer.outputs["out"], learned=learner.outputs["out"], most=3)
    store = metadata.sqlite_metadata_connection_config(str(root / "metadata.sqlite"))
    nodes = [writer, learner, checker]
    pipeline = Pipeline("small", str(root), components=nodes, metadata_connection_config=store)
    def meanwhile():
        print("meanwhile")
    try:
        runner.ForkingRunner("a run", Console(load(root=root)), root=root, meanwhile=meanwhile).run(pipeline)
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
    if (root / "prepared").exists():
        print("alive:", psutil.pid_exists(int((root / "prepared").read_text())))
"""


def test_node_that_prepares_itself_is_started_while_the_training_works(call, tmp_path: Path):
    done = call(EARLY, tmp_path)
    told = {}
    for part in done.stdout.split("case ")[1:]:
        case, *lines = part.splitlines()
        began = [line.strip() for line in lines if line.endswith(" …")]
        assert began == ["Writer …", "Trainer …", "Checker …"][: 2 if case == "fails" else 3], done.stderr
        told[case] = [line for line in lines if not line.startswith(("  ", "✓", "✗"))]
    killed = "Checker's process ended with exit status 7 and without a report; the log has the details"
    assert told == {
        "works": ["meanwhile", "alive: False"],
        "raises": ["meanwhile", "alive: False"],  # the same may not fail in its turn
        "silent": [],  # taken from the cache, so there may be nothing to prepare for
        "fails": [
            "meanwhile",
            "RunError: Trainer failed: ValueError: the loss is not finite",
            "alive: False",
        ],
        "dies": ["meanwhile", f"RunError: {killed}", "alive: False"],
    }
    known = json.loads((tmp_path / "works/known").read_text())
    assert known == [{"written": ["rows 1 0.5"], "learned": []}, {"most": 3}]
    [value] = tmp_path.glob("works/Checker/out/*/value")
    assert value.read_text() == (tmp_path / "works/prepared").read_text()  # by the process that prepared


AHEAD = """
import sys
from pathlib import Path

from tfx.dsl.experimental.conditionals.conditional import Cond
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from maskline.pipeline.console import Console
from maskline.pipeline.local.runner import ForkingRunner
from maskline.pipeline.settings.load import load
from tests import small_nodes

root = Path(sys.argv[1])
rows = small_nodes.Gate(passed=1).with_id("Rows")
ahead = small_nodes.Fails(verdict=rows.outputs["verdict"])
looked = small_nodes.Reader(verdict=rows.outputs["verdict"]).with_id("Looked")
gate = small_nodes.Judge(read=looked.outputs["out"]).with_id("DataGate")
behind = small_nodes.Reader(verdict=gate.outputs["verdict"]).with_id("Behind")
store = metadata.sqlite_metadata_connection_config(str(root / "metadata.sqlite"))
nodes = [rows, ahead, looked, gate, behind]
pipeline = Pipeline("small", str(root), components=nodes, metadata_connection_config=store)
try:
    ForkingRunner("a run", Console(load(root=root)), processes=1).run(pipeline)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


def test_after_a_failure_the_data_gate_still_decides_and_nothing_else_begins(call, tmp_path: Path):
    done = call(AHEAD, tmp_path)
    began = [line.split()[0] for line in done.stdout.splitlines() if line.endswith(" …")]
    assert began == ["Rows", "Fails", "Looked", "DataGate"], done.stderr
    assert done.stdout.splitlines()[-1] == "RunError: Fails failed: ValueError: not for these rows"
