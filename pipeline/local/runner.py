"""Runs the nodes of a pipeline, each in a process forked from this one. Uses TFX's own local runner.

Forking shares the imports, which cost more than most nodes; lets nodes that do not need each other work
at the same time; and gives each node's memory back when it ends. It is safe as long as this process
itself runs no TensorFlow op and opens no metadata store of TFX's: see docs/adr/0002.
"""

import ctypes
import gc
import importlib
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import IO, Any, NamedTuple, cast

from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.orchestration.local import runner_utils
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.portable.launcher import Launcher
from tfx.orchestration.portable.runtime_parameter_utils import substitute_runtime_parameter
from tfx.proto.orchestration import pipeline_pb2

from maskline.components.evaluation import component as evaluation
from maskline.pipeline import machine, quick_beam, signals
from maskline.pipeline.console import Console
from maskline.pipeline.engines import executors
from maskline.pipeline.errors import RunError
from maskline.pipeline.local.beam_rows import BeamRows
from maskline.pipeline.local.early import known_early
from maskline.pipeline.local.space import Need
from maskline.pipeline.local.turns import MetadataInTurn
from maskline.transform.errors import InputError, MachineError
from maskline.transform.names import RUN_ID_PARAMETER, Node

importlib.import_module("grpc._server")  # TFX asks for it in each node: once here
with suppress(ModuleNotFoundError):  # and for this with each artifact
    importlib.import_module("setuptools")

logger = logging.getLogger(__name__)
_GRACE = 10.0  # seconds that a node has to end after SIGTERM
_TICK = 0.25  # seconds between two looks of a person at the clock
# The last word of a node, and the error that it becomes.
_FAILURES: dict[str, type[Exception]] = {"input": InputError, "machine": MachineError, "failed": RunError}
_fork = multiprocessing.get_context("fork")


# What a node does before all its inputs are there: on the second word of the training, which takes much
# longer and leaves a core idle once its step is compiled. A training that is taken from the cache says
# nothing. Each is given a pipeline of its node alone, and the store.
_Prepare = Callable[[pipeline_pb2.Pipeline, MetadataInTurn], None]
_EARLY: dict[str, _Prepare] = {
    Node.EVALUATOR: lambda alone, store: evaluation.prepare(*known_early(alone, store)),
}

# What the training and DataGate import: here while the first nodes work, which leave a core idle.
_LATER = ("maskline.trainer.task", "tensorboard.summary.v2", "scipy.spatial.distance")


class _Working(NamedTuple):
    node: str
    process: Any
    began: float


class _Forked(NamedTuple):
    """A node's process: `here` hears from it, and `turn` tells one that was started early to go on."""

    process: Any
    here: Connection
    turn: Connection


class ForkingRunner(LocalDagRunner):
    """TFX's LocalDagRunner, one forked process a node, nodes in parallel where the DAG allows it.

    Args:
      run_name: the run's id in the metadata store.
      console: told when nodes begin, progress and end.
      need: the disk space that the run takes; looked at before each node.
      root: the working folder of the nodes; paths in the pipeline are relative to it.
      processes: nodes at work at the same time, at most.
      meanwhile: called once while a training works, which leaves a core idle.
    """

    def __init__(
        self,
        run_name: str,
        console: Console,
        *,
        need: Need | None = None,
        root: Path = Path(),
        processes: int = 2,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        quick_beam.quicken()
        self._run_name = run_name
        self._console = console
        self._need = need
        self._root = root
        self._processes = processes
        self._meanwhile = meanwhile
        self._words = 0  # of the training, so far
        self._later = [*_LATER]
        self._working: dict[Connection, _Working] = {}
        self._early: dict[str, _Forked] = {}
        self._leaving: list[Any] = []  # processes that have done all they had to

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: Any = None) -> None:
        """Runs all nodes; after a failure those at work are waited for, and the data gate still decides.

        For what fails on rows that it holds back, as Transform may, failed because of them. No other node is
        begun then. A node whose condition does not hold is skipped, and so is all that needs it.

        Raises:
          InputError: a node refused the user's input.
          MachineError: the machine refused, as where no space is left.
          RunError: a node failed, or its process was killed.
          Interrupted: a signal came; the nodes at work are ended first, as after any other error.
        """
        del run_options  # partial runs are not offered
        substitute_runtime_parameter(pipeline, {RUN_ID_PARAMETER: self._run_name})
        with tempfile.TemporaryFile() as self._turns:  # has no name: its lock is all that the nodes share
            failures = self._run_nodes(pipeline)
        if failures:
            raise failures[0]

    def _run_nodes(self, pipeline: pipeline_pb2.Pipeline) -> list[Exception]:
        waiting = {node.pipeline_node.node_info.id: node.pipeline_node for node in pipeline.nodes}
        gate = _needed_by(Node.DATA_GATE, waiting)
        done: set[str] = set()
        skipped: set[str] = set()
        failures: list[Exception] = []
        try:
            while self._working or waiting:
                for name, node in list(waiting.items()):
                    if skipped.intersection(node.upstream_nodes):
                        skipped.add(name)
                        del waiting[name]
                    elif done.issuperset(node.upstream_nodes) and len(self._working) < self._processes:
                        if full := self._room():
                            failures.append(full)
                            waiting.clear()
                            break
                        self._begin(pipeline, waiting.pop(name))
                while self._later and self._working and not wait(list(self._working), timeout=0):
                    importlib.import_module(self._later.pop(0))
                for connection in cast(list[Connection], wait(list(self._working), timeout=_TICK)):
                    name = self._working[connection].node
                    if failure := self._hear(connection, done, skipped):
                        failures.append(failure)
                        kept = set() if name in gate else gate
                        waiting = {other: node for other, node in waiting.items() if other in kept}
                    if name == Node.TRAINER and self._words > 1 and connection in self._working:
                        self._use_idle_core(pipeline, waiting)
                self._console.tick()
                signals.check()
        finally:
            self._end_all()
        return failures

    def _room(self) -> Exception | None:
        """What the disk says against another node."""
        try:
            if self._need:
                self._need.check(halfway=True)
        except MachineError as error:
            return error
        return None

    def _end_all(self) -> None:
        """Ends the nodes at work, those that do not heed it by force."""
        for process in self._leaving:
            process.join()
        processes = [work.process for work in self._working.values()]
        processes += [early.process for early in self._early.values()]
        for process in processes:
            process.terminate()
        until = time.monotonic() + _GRACE
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
            process.kill()  # no effect on one that has ended
            process.join()

    def _begin(self, pipeline: pipeline_pb2.Pipeline, node: pipeline_pb2.PipelineNode) -> None:
        name = node.node_info.id
        early = self._early.pop(name, None)
        with signals.held_back():
            forked = early or self._fork(pipeline, node)
            self._working[forked.here] = _Working(name, forked.process, time.monotonic())
        if early:
            with suppress(OSError):  # it was killed, and is heard of like any other
                early.turn.send(None)
        self._console.began(name)

    def _use_idle_core(
        self, pipeline: pipeline_pb2.Pipeline, waiting: Mapping[str, pipeline_pb2.PipelineNode]
    ) -> None:
        """Starts the processes of nodes that can prepare themselves, and does what this one can do now."""
        for name in _EARLY.keys() & waiting.keys() - self._early.keys():
            with signals.held_back():
                self._early[name] = self._fork(pipeline, waiting[name], _EARLY[name])
        if self._meanwhile:
            self._meanwhile()
            self._meanwhile = None

    def _fork(
        self,
        pipeline: pipeline_pb2.Pipeline,
        node: pipeline_pb2.PipelineNode,
        prepare: _Prepare | None = None,
    ) -> _Forked:
        """Forks a node's process, which begins at once, or prepares itself and waits for its turn."""
        alone = pipeline_pb2.Pipeline()
        alone.CopyFrom(pipeline)
        del alone.nodes[:]
        alone.nodes.add().pipeline_node.CopyFrom(node)
        here, there = _fork.Pipe(duplex=False)
        waits, turn = _fork.Pipe(duplex=False)
        early = partial(prepare, alone, _store(alone, self._turns)) if prepare else None
        ready = partial(_wait_for_turn, waits, early) if early else None
        arguments = (alone, there, os.getpid(), self._root, self._turns, self._need, ready)
        process = _fork.Process(target=_run_node, args=arguments, name=node.node_info.id)
        gc.freeze()  # no node looks for garbage among what was there before, and copies the pages
        process.start()
        there.close()
        waits.close()
        return _Forked(process, here, turn)

    def _hear(self, connection: Connection, done: set[str], skipped: set[str]) -> Exception | None:
        """Takes one message of a node; returns its failure if that was its last."""
        work = self._working[connection]
        try:
            kind, text = connection.recv()
        except EOFError:
            work.process.join()
            kind, text = "failed", f"{work.node}'s process {_ending(work.process.exitcode)}"
        if kind == "progress":
            self._words += work.node == Node.TRAINER
            self._console.progressed(work.node, text)
            return None
        if kind == "rows":
            self._console.counted(work.node, text)
            return None
        if kind == "done":  # giving its memory back takes as long as a fork: other nodes begin meanwhile
            self._leaving.append(work.process)
        else:
            work.process.join()
        del self._working[connection]
        connection.close()
        if kind == "skipped":
            self._console.skipped(work.node)
            skipped.add(work.node)
            return None
        self._console.ended(work.node, time.monotonic() - work.began, ok=kind == "done")
        if kind == "done":
            done.add(work.node)
            return None
        return _FAILURES[kind](text)


def _needed_by(name: str, nodes: Mapping[str, pipeline_pb2.PipelineNode]) -> set[str]:
    """A node and all that it needs, if the pipeline has it."""
    if name not in nodes:
        return set()
    return {name}.union(*(_needed_by(above, nodes) for above in nodes[name].upstream_nodes))


def _ending(status: int) -> str:
    """How a process ended that did not report, from Python's exit code: a signal is a negative one."""
    if status >= 0:
        return f"ended with exit status {status} and without a report; the log has the details"
    name = signal.Signals(-status).name
    why = "; the system kills what takes too much memory" if status == -signal.SIGKILL else ""
    return f"was ended by signal {-status} ({name}){why}"


def _run_node(
    alone: pipeline_pb2.Pipeline,
    connection: Connection,
    parent: int,
    root: Path,
    turns: IO[bytes],
    need: Need | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """The child: runs one node, in the root, when it is ready, and reports how it went."""
    os.chdir(root)
    name, system = alone.nodes[0].pipeline_node.node_info.id, ctypes.CDLL(None)
    system.prctl(15, name.encode())  # PR_SET_NAME: `top` shows which process is which node's
    # A killed run takes its nodes with it, so that no orphan goes on to write or to publish.
    system.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
    signals.left_to_parent()
    if ready:
        ready()
    send = _Sender(connection)
    logging.getLogger("maskline.trainer").addHandler(_Reporter(send))
    BeamRows(lambda rows: send("rows", rows))
    try:
        report = ("done" if _launch(alone, turns) else "skipped", "")
    except InputError as error:
        # Beam puts the step's name behind the text.
        report = ("input", str(error).split(" [while running")[0])
    except BaseException as error:
        traceback.print_exc()
        report = _report(name, error, need)
    used = getrusage(RUSAGE_SELF)
    cpu, mib = used.ru_utime + used.ru_stime, used.ru_maxrss >> 10
    logger.info("%s: %.1f s of processor time, at most %d MiB of memory", name, cpu, mib)
    send(*report)
    sys.stdout.flush()
    sys.stderr.flush()
    # Tearing TensorFlow down costs seconds and frees what the kernel frees anyway.
    os._exit(0)


def _wait_for_turn(waits: Connection, prepare: Callable[[], None]) -> None:
    """In the child: prepares the node, and returns when the parent says so."""
    try:
        prepare()
    except Exception:  # in its turn the node does the same, and then it counts
        logger.warning("a node could not prepare itself", exc_info=True)
    waits.recv()


def _report(node: str, error: BaseException, need: Need | None) -> tuple[str, str]:
    if isinstance(error, MachineError):
        return "machine", f"{node} failed: {error}"
    if words := machine.in_words(error, **(need.in_words if need else {})):
        return "machine", f"{node} failed: {words}"
    first_line = (str(error).splitlines() or [""])[0]
    kind = "" if isinstance(error, RunError) else f"{type(error).__name__}: "
    return "failed", f"{node} failed: {kind}{first_line}"


def _launch(alone: pipeline_pb2.Pipeline, turns: IO[bytes]) -> bool:
    """Runs the one node with TFX's launcher, as LocalDagRunner does; False where its condition is false.

    Raises:
      RunError: inputs could not be resolved, which TFX records and logs and does not raise.
    """
    node, store = alone.nodes[0].pipeline_node, _store(alone, turns)
    deployment = runner_utils.extract_local_deployment_config(alone)
    execution = Launcher(
        pipeline_node=node,
        mlmd_connection=store,
        pipeline_info=alone.pipeline_info,
        pipeline_runtime_spec=alone.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node.node_info.id),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node.node_info.id),
        custom_executor_operators=executors.OPERATORS,
    ).launch()
    if execution.execution_id is None:
        return False
    with store:
        [recorded] = store.store.get_executions_by_id([execution.execution_id])
    if recorded.last_known_state == mlmd.Execution.FAILED:
        raise RunError("its inputs could not be resolved; the log says why")
    return True


def _store(pipeline: pipeline_pb2.Pipeline, turns: IO[bytes]) -> MetadataInTurn:
    deployment = runner_utils.extract_local_deployment_config(pipeline)
    connection = deployment.metadata_connection_config
    return MetadataInTurn(getattr(connection, connection.WhichOneof("connection_config")), turns)


class _Sender:
    """Sends messages of a node to the parent, one at a time: they come from more than one thread.

    Args:
      connection: to the parent.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def __call__(self, kind: str, content: str | int) -> None:
        """Sends one message."""
        with self._lock:
            self._connection.send((kind, content))


class _Reporter(logging.Handler):
    """Sends a node's log lines of progress to the parent."""

    def __init__(self, send: _Sender) -> None:
        super().__init__(logging.INFO)
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Sends one line."""
        self._send("progress", record.getMessage())
