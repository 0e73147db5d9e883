"""From settings to what a cluster takes: the IR for the image, and the document for the backend."""

import json
from dataclasses import dataclass
from pathlib import Path

from maskline.pipeline.cluster.grouping import groups
from maskline.pipeline.cluster.rules import document_problems
from maskline.pipeline.cluster.spec import make_document
from maskline.pipeline.errors import RunError
from maskline.pipeline.local.streams import quiet_tensorflow
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError


@dataclass(frozen=True)
class Compiled:
    """A compiled pipeline.

    `tasks` are the cluster's tasks with the nodes of each; `digest` is the SHA-256 of the IR, which the image
    must hold.
    """

    settings: Settings
    name: str
    ir: str
    files: dict[str, str]
    digest: str
    tasks: dict[str, list[str]]

    @property
    def description(self) -> str:
        """Says of a version what it was made from."""
        return f"compiled pipeline {self.digest[:12]}, image {self.settings.cluster.image}"

    def write_bundle(self, folder: Path) -> None:
        """Writes what the image holds beside the node entry point."""
        from maskline.pipeline.cluster.ir import write_bundle

        write_bundle(folder, self.ir, self.files)

    def document(self) -> str:
        """The document to upload.

        Raises:
          InputError: no image is named.
          RunError: the document breaks a rule of the backend.
        """
        cluster = self.settings.cluster
        if not cluster.image:
            raise InputError(
                "cluster.image is not set; build the image, push it, and name it by digest "
                "(kubeflow/README.md says how)"
            )
        text = make_document(json.loads(self.ir), cluster, name=self.name, ir_digest=self.digest)
        if broken := document_problems(text):
            raise RunError(f"Kubeflow Pipelines would refuse the document: {broken[0]}")
        return text


def compile_pipeline(settings: Settings) -> Compiled:
    """Compiles the pipeline for the cluster; takes the seconds that importing TFX takes.

    Raises:
      InputError: a setting is wrong.
    """
    with quiet_tensorflow():
        from google.protobuf import json_format
        from tfx.proto.orchestration import pipeline_pb2

        from maskline.pipeline.cluster.ir import compile_ir, ir_digest, nodes_of

        text, files = compile_ir(settings)
    ir = json_format.Parse(text, pipeline_pb2.Pipeline())
    return Compiled(
        settings=settings,
        name=ir.pipeline_info.id,
        ir=text,
        files=files,
        digest=ir_digest(text),
        tasks=groups(list(nodes_of(ir)), settings.cluster.grouping),
    )
