"""Runs executors on a pod's own disk where artifacts lie in a bucket: fetches before, uploads after.

TensorFlow, Beam and what executors call write to paths. None of them need know of a bucket.
"""

import copy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attr
from tfx import types
from tfx.orchestration.portable import outputs_utils
from tfx.orchestration.portable.beam_executor_operator import BeamExecutorOperator
from tfx.orchestration.portable.data_types import ExecutionInfo
from tfx.orchestration.portable.python_executor_operator import PythonExecutorOperator
from tfx.proto.orchestration import executable_spec_pb2
from tfx.proto.orchestration.execution_result_pb2 import ExecutorOutput

from maskline.components.reads import reads_of
from maskline.pipeline.cluster import buckets
from maskline.pipeline.cluster.store import change_strings
from maskline.pipeline.errors import RunError

Artifacts = Mapping[str, list[types.Artifact]]


class Scratch:
    """A folder that stands for all buckets: what lies at s3://a/b lies at <folder>/s3/a/b.

    Args:
      folder: on this machine.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def path(self, url: str) -> str:
        """Where a URL's content lies here; a path stays as it is."""
        scheme, _, rest = url.partition("://")
        return f"{self._folder}/{scheme}/{rest}" if buckets.is_bucket(url) else url

    def url(self, text: str) -> str:
        """The text, with URLs in place of paths here."""
        for scheme in buckets.PACKAGES:
            text = text.replace(f"{self._folder}/{scheme}/", f"{scheme}://")
        return text

    def place(self, info: ExecutionInfo) -> ExecutionInfo:
        """The same execution, with everything in its place here. Fetches nothing."""
        return attr.evolve(
            info,
            input_dict=self._placed(info.input_dict),
            output_dict=self._placed(info.output_dict),
            **{name: self.path(getattr(info, name))
               for name in ("execution_output_uri", "stateful_working_dir", "tmp_dir")},
        )  # fmt: skip

    def fetch(self, inputs: Artifacts, reads: Mapping[str, tuple[str, ...]]) -> None:
        """Downloads inputs.

        Args:
          inputs: by name.
          reads: what the executor reads of an input, as folders below it; all of those not named.

        Raises:
          RunError: nothing lies there.
        """
        for name, artifacts in inputs.items():
            if name.startswith("_"):  # TFX's own, of a condition: no executor reads it
                continue
            for artifact in (artifact for artifact in artifacts if buckets.is_bucket(artifact.uri)):
                for below in reads.get(name, ("",)):
                    url = f"{artifact.uri}/{below}".rstrip("/")
                    if not buckets.download(url, Path(self.path(url))):
                        raise RunError(
                            f"{url}: nothing is there, but input '{name}' was written there; "
                            "was it removed? A run with other data or settings makes it again"
                        )

    def upload(self, outputs: Artifacts) -> None:
        """Uploads what lies in the outputs' places here; what an executor removed there is passed over."""
        for artifact in (artifact for artifacts in outputs.values() for artifact in artifacts):
            source = Path(self.path(artifact.uri))
            if buckets.is_bucket(artifact.uri) and source.exists():
                buckets.upload(source, artifact.uri)

    def _placed(self, artifacts: Artifacts) -> dict[str, list[types.Artifact]]:
        placed = copy.deepcopy(dict(artifacts))
        for artifact in (artifact for several in placed.values() for artifact in several):
            artifact.uri = self.path(artifact.uri)
        return placed


class _OnScratch:
    """What both kinds of operators do around a stock executor, which may be a `ReadsPart`."""

    _executor_cls: Any

    def run_executor(self, execution_info: ExecutionInfo, *more: Any) -> ExecutorOutput:
        """Runs the executor; the outputs are in the bucket when it returns.

        Raises:
          RunError: the bucket refuses or does not answer, or an input is gone.
        """
        with tempfile.TemporaryDirectory(prefix="maskline-pod-") as folder:
            scratch = Scratch(folder)
            here = scratch.place(execution_info)
            scratch.fetch(execution_info.input_dict, reads_of(self._executor_cls))
            outputs_utils.make_output_dirs(here.output_dict)
            for path in (here.stateful_working_dir, here.tmp_dir, Path(here.execution_output_uri).parent):
                Path(path).mkdir(parents=True, exist_ok=True)
            output: ExecutorOutput = super().run_executor(here, *more)  # type: ignore[misc]
            if not output.execution_result.code:
                scratch.upload(execution_info.output_dict)
            change_strings(output, scratch.url)
        return output


class PythonOnScratch(_OnScratch, PythonExecutorOperator):
    """TFX's operator for executors in Python, on scratch."""


class BeamOnScratch(_OnScratch, BeamExecutorOperator):
    """TFX's operator for executors on Beam, on scratch."""


OPERATORS = {
    executable_spec_pb2.PythonClassExecutableSpec: PythonOnScratch,
    executable_spec_pb2.BeamExecutableSpec: BeamOnScratch,
}
