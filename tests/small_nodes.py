"""Quick nodes for tests of the entry point, which do what real ones do once in a while; and one attempt."""

import logging
import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.types.standard_artifacts import Model, String

from maskline.components.artifacts import VerdictArtifact
from maskline.components.verdict import Check, Outcome, Verdict
from maskline.pipeline.cluster import node as cluster_node


@component
def Gate(passed: Parameter[int], verdict: OutputArtifact[VerdictArtifact]) -> None:
    outcome = Outcome.PASSED if passed else Outcome.BLOCKED
    check = Check(name="rows", subject="eval", asked="at least 10", measured="3 rows", outcome=outcome)
    verdict.write(Verdict(checks=(check,)))


@component
def Writer(
    text: Parameter[str], number: Parameter[int], share: Parameter[float], out: OutputArtifact[String]
) -> None:
    out.value = f"{text} {number} {share}"


@component
def Reader(verdict: InputArtifact[VerdictArtifact], out: OutputArtifact[String]) -> None:
    out.value = verdict.uri


@component
def Sleeper(seconds: Parameter[float], out: OutputArtifact[String]) -> None:
    logging.getLogger("sleeper").info("asleep")
    time.sleep(seconds)
    out.value = "awake"


@component
def Learner(
    written: InputArtifact[String], fails: Parameter[int], says: Parameter[str], out: OutputArtifact[String]
) -> None:
    """Says something twice as a training does, if anything; then `prepared` is waited for."""
    if says:
        for _ in range(2):
            logging.getLogger("maskline.trainer.small").info(says)
        while not Path("prepared").exists():
            time.sleep(0.01)
    if fails:
        raise ValueError("the loss is not finite")
    out.value = "learned"


@component
def Checker(
    written: InputArtifact[String],
    learned: InputArtifact[String],
    most: Parameter[int],
    out: OutputArtifact[String],
) -> None:
    out.value = str(os.getpid())


class UnreadableStrategy(ResolverStrategy):
    def resolve_artifacts(self, store: Any, input_dict: Any) -> Any:
        raise OSError("the disk is gone")


@component
def Many(files: Parameter[int], out: OutputArtifact[Model]) -> None:
    """Files that no other attempt makes."""
    for _ in range(files):
        Path(out.uri, str(uuid.uuid4())).write_text("x")


@component
def Broken(out: OutputArtifact[String]) -> None:
    raise ValueError('no "luck" today\\')


@component
def Ending(how: Parameter[str], out: OutputArtifact[String]) -> None:
    """Ends as real nodes end where the machine is at fault."""
    if how == "status":
        os._exit(7)
    if how == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "memory":
        raise MemoryError
    if how == "full":
        Path(out.uri).with_suffix(".big").write_bytes(bytes(8 << 20))


def no_preprocessing(inputs: Any, custom_config: Any) -> Any:
    """In place of Transform's own."""
    raise ValueError("not for these rows")


@component
def Judge(read: InputArtifact[String], verdict: OutputArtifact[VerdictArtifact]) -> None:
    verdict.write(Verdict(checks=()))


@component
def Fails(verdict: InputArtifact[VerdictArtifact], out: OutputArtifact[String]) -> None:
    raise ValueError("not for these rows")


def launch(text: str, node: str, run: str, store: mlmd.ConnectionConfig, *given: str) -> cluster_node.NodeEnd:
    """One attempt at a node of a compiled pipeline, in this process."""
    attempt = cluster_node.Launch(*cluster_node.bind(text, node, run, list(given)), store)
    attempt.run()
    return attempt.outcome()
