"""Settings of a run on Kubeflow Pipelines. What they mean there is written in kubeflow/README.md."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from maskline.components.ingest import spans

_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"  # of a Kubernetes object
KubernetesName = Annotated[str, Field(pattern=_NAME, max_length=253)]
Label = Annotated[str, Field(min_length=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Toleration(_Settings):
    """Lets a node's pod run on machines that carry a taint."""

    key: str = ""
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""


class NodeSettings(_Settings):
    """What a pipeline node's pod asks of the cluster; requests and limits are the same."""

    cpu: str = Field("1", pattern=r"^(\d+(\.\d+)?|\d+m)$")
    memory: str = Field("4Gi", pattern=r"^\d+(\.\d+)?([kMGT]i?)?$")
    accelerator: str = ""
    accelerators: int = Field(1, ge=1)
    retries: int = Field(2, ge=0, le=100)
    retry_seconds: int = Field(30, ge=0)
    retry_factor: float = Field(2.0, ge=1)
    # Argo ends retries, and the retried pod itself, this long after the first attempt began.
    retry_deadline_hours: int = Field(168, ge=1)
    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()


class SecretValue(_Settings):
    """One key of a Kubernetes Secret that pods get as an environment variable."""

    secret: KubernetesName
    key: Label
    env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")


class MetadataSettings(_Settings):
    """The database of ml-metadata. User and password come from keys of a Secret, never from here."""

    kind: Literal["postgresql", "mysql"] = "postgresql"
    host: str = Field("maskline-metadata", min_length=1)
    port: int = Field(5432, ge=1, le=65535)
    database: str = Field("maskline", pattern=r"^\w+$")
    secret: KubernetesName = "maskline-metadata"

    @property
    def address(self) -> str:
        """As a URL, without credentials."""
        return f"{self.kind}://{self.host}:{self.port}/{self.database}"


class ScheduleSettings(_Settings):
    """When the pipeline runs by itself."""

    name: KubernetesName = "maskline"
    cron: str = "0 0 3 * * *"

    @field_validator("cron")
    @classmethod
    def _six_fields(cls, cron: str) -> str:
        if len(cron.split()) != 6 or not re.fullmatch(r"[-0-9A-Za-z*/,? ]+", cron):
            raise ValueError(
                f"'{cron}': write six fields, second minute hour day month weekday, as '0 0 3 * * *'"
            )
        return cron


class ClusterSettings(_Settings):
    """Where and how the pipeline runs on Kubeflow Pipelines."""

    host: str = Field("http://localhost:8080", pattern=r"^https?://\S+$")
    namespace: KubernetesName = "kubeflow"
    experiment: str = Field("maskline", min_length=1)
    service_account: KubernetesName = "maskline-runner"
    image: str = ""
    home: str = Field("/opt/maskline", pattern="^/")  # where the image holds node.py and bundle/
    data: str = Field("/mnt/maskline/data", min_length=1)
    root: str = Field("/mnt/maskline/root", min_length=1)
    pipeline_root: str = Field("", pattern=r"^(|/.*|(gs|s3)://[^/\s]+.*)$")
    volumes: dict[KubernetesName, Annotated[str, Field(pattern="^/")]] = {"maskline": "/mnt/maskline"}
    metadata: MetadataSettings = MetadataSettings()
    secrets: tuple[SecretValue, ...] = ()
    node: NodeSettings = NodeSettings()
    nodes: dict[str, NodeSettings] = {"Trainer": NodeSettings(cpu="2", memory="8Gi")}
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z][-a-z0-9]*$")], str] = {
        "data": "ExampleGen.input_base",
        "span": "ExampleGen.wanted_span",
    }
    schedule: ScheduleSettings = ScheduleSettings()

    @field_validator("data")
    @classmethod
    def _placeholders_agree(cls, data: str) -> str:
        if problem := spans.pattern_problem(data):
            raise ValueError(f"{data}: {problem}")
        return data

    @field_validator("image")
    @classmethod
    def _by_digest(cls, image: str) -> str:
        # A tag can be moved: what was tested and what runs would then be two things.
        if image and not re.fullmatch(r"[^@\s]+@sha256:[0-9a-f]{64}", image):
            raise ValueError(f"'{image}': name the image by digest, as registry/maskline@sha256:…")
        return image

    @field_validator("data", "root")
    @classmethod
    def _in_a_volume(cls, path: str, info: ValidationInfo) -> str:
        if path.startswith("/"):
            return path
        why = {
            "data": "shards are read from a volume; mount the bucket as one, or copy the shards into one",
            "root": "released models and checkpoints need a volume; cluster.pipeline_root may be a bucket",
        }[str(info.field_name)]
        raise ValueError(f"'{path}': {why}" if "://" in path else f"'{path}': write an absolute path")

    @property
    def artifacts(self) -> str:
        """What TFX calls the pipeline root: where what each node made lies, in a volume or a bucket."""
        return self.pipeline_root.rstrip("/") or f"{self.root.rstrip('/')}/artifacts"

    @property
    def bundle(self) -> str:
        """Where the image holds the compiled pipeline."""
        return f"{self.home}/bundle"

    def of_node(self, name: str) -> NodeSettings:
        """The settings of one node: its own where it has some, else those of all."""
        own = self.nodes.get(name)
        given = {key: getattr(own, key) for key in own.model_fields_set} if own else {}
        return self.node.model_copy(update=given)
