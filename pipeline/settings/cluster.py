"""Settings of a run on Kubeflow Pipelines. What they mean there is written in kubeflow/README.md."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from maskline.components.ingest import spans
from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import shown

_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"  # of a Kubernetes object
KubernetesName = Annotated[str, Field(pattern=_NAME, max_length=253)]
Label = Annotated[str, Field(min_length=1)]


class Toleration(Section):
    """Lets a node's pod run on machines that carry a taint."""

    key: str = setting("", "key of the taint; empty tolerates every key")
    operator: Literal["Exists", "Equal"] = setting("Exists", "whether the value counts")
    value: str = setting("", "value of the taint, for `Equal`")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = setting(
        "", "effect of the taint; empty tolerates every effect"
    )

    @model_validator(mode="after")
    def _kubernetes_takes_it(self) -> Self:
        if self.operator == "Exists" and self.value:
            raise refusal("value", f"{shown(self.value)} counts only with operator Equal; set that, too")
        if self.operator == "Equal" and not self.key:
            raise refusal("key", "operator Equal needs the key of the taint")
        return self


class NodeSettings(Section):
    """What a pipeline node's pod asks of the cluster; requests and limits are the same."""

    cpu: str = setting("1", "CPU request and limit, as Kubernetes writes it", pattern=r"^(\d+(\.\d+)?|\d+m)$")
    memory: str = setting(
        "4Gi", "memory request and limit, as Kubernetes writes it", pattern=r"^\d+(\.\d+)?([kMGT]i?)?$"
    )
    accelerator: str = setting("", "resource name of the accelerator, such as `nvidia.com/gpu`; empty: none")
    accelerators: int = setting(1, "accelerators of that kind", unit="accelerators", ge=1, le=1024)
    retries: int = setting(2, "attempts after the first one failed", unit="attempts", ge=0, le=100)
    retry_seconds: int = setting(30, "wait before the first retry", unit="seconds", ge=0, le=10**6)
    retry_factor: float = setting(
        2.0, "factor by which each later retry waits longer", unit="times", ge=1, le=1000
    )
    retry_deadline_hours: int = setting(
        168,
        "Argo ends retries, and the retried pod itself, so long after the first attempt began",
        unit="hours",
        ge=1,
        le=10**6,
    )
    node_selector: dict[str, str] = setting({}, "labels of the machines that may run the pod")
    tolerations: tuple[Toleration, ...] = setting((), "taints of machines that may run the pod all the same")


class SecretValue(Section):
    """One key of a Kubernetes Secret that pods get as an environment variable."""

    secret: KubernetesName = setting(..., "name of the Secret")
    key: Label = setting(..., "key in the Secret")
    env: str = setting(..., "the environment variable", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")


class MetadataSettings(Section):
    """The database of ml-metadata. User and password come from keys of a Secret, never from here."""

    kind: Literal["postgresql", "mysql"] = setting("postgresql", "kind of the database")
    host: str = setting("maskline-metadata", "host of the database", min_length=1)
    port: int = setting(5432, "port of the database", unit="port", ge=1, le=65535)
    database: str = setting("maskline", "name of the database", pattern=r"^\w+$")
    secret: KubernetesName = setting("maskline-metadata", "the Secret that holds user and password")

    @property
    def address(self) -> str:
        """As a URL, without credentials."""
        return f"{self.kind}://{self.host}:{self.port}/{self.database}"


class ScheduleSettings(Section):
    """When the pipeline runs by itself."""

    name: KubernetesName = setting("maskline", "name of the schedule")
    cron: str = setting(
        "0 0 3 * * *", "second, minute, hour, day, month and weekday, in UTC; `schedule.cron` wins over it"
    )

    @field_validator("cron")
    @classmethod
    def _six_fields(cls, cron: str) -> str:
        if len(cron.split()) != 6 or not re.fullmatch(r"[-0-9A-Za-z*/,? ]+", cron):
            raise ValueError(
                f"{shown(cron)}: write six fields, second minute hour day month weekday, as '0 0 3 * * *'"
            )
        return cron


class ClusterSettings(Section):
    """Where and how the pipeline runs on Kubeflow Pipelines."""

    host: str = setting(
        "http://localhost:8080", "address of the Kubeflow Pipelines API", pattern=r"^https?://\S+$"
    )
    namespace: KubernetesName = setting(
        "kubeflow", "namespace of the pods; sent only to backends that serve many users"
    )
    experiment: str = setting("maskline", "experiment that holds the runs", min_length=1)
    service_account: KubernetesName = setting("maskline-runner", "service account of the pods")
    user: int = setting(
        10001,
        "user that nodes run as; 0: the cluster's choice, as on OpenShift",
        unit="user id",
        ge=0,
    )
    group: int = setting(
        10001,
        "group that nodes run in, which must be able to write to the volume; 0: the cluster's or the image's",
        unit="group id",
        ge=0,
    )
    grouping: Literal["node", "stage"] = setting(
        "stage",
        "what a pod works on: one node, or the nodes of a stage (ingest, train, release) in turn",
    )
    image: str = setting("", "the image by digest, as `registry/maskline@sha256:…`")
    home: str = setting("/opt/maskline", "where the image holds `node.py` and `bundle/`", pattern="^/")
    data: str = setting(
        "/mnt/maskline/data", "shards, or spans as in `data.path`, as pods see them", min_length=1
    )
    root: str = setting(
        "/mnt/maskline/root", "directory of released models and checkpoints, in a volume", min_length=1
    )
    pipeline_root: str = setting(
        "",
        "where the artifacts of all nodes lie: a path, or a bucket as `s3://bucket/path` or "
        "`gs://bucket/path`; empty: `artifacts/` under `root`",
        pattern=r"^(|/.*|(gs|s3)://[^/\s]+.*)$",
    )
    volumes: dict[KubernetesName, Annotated[str, Field(pattern="^/")]] = setting(
        {"maskline": "/mnt/maskline"}, "persistent volume claims, and where pods mount them"
    )
    metadata: MetadataSettings = MetadataSettings()
    secrets: tuple[SecretValue, ...] = setting((), "keys of Secrets that pods get as environment variables")
    node: NodeSettings = NodeSettings()
    nodes: dict[str, NodeSettings] = setting(
        {"Trainer": NodeSettings(cpu="2", memory="8Gi")}, "what single nodes ask for instead, by node"
    )
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z][-a-z0-9]*$")], str] = setting(
        {"data": "ExampleGen.input_base", "span": "ExampleGen.wanted_span"},
        "what a run can be given: a name, and the parameter of a node that it sets",
    )
    schedule: ScheduleSettings = ScheduleSettings()

    @model_validator(mode="after")
    def _retries_can_begin(self) -> Self:
        for place, node in {"node": self.node, **{f"nodes.{n}": self.of_node(n) for n in self.nodes}}.items():
            if node.retries and node.retry_seconds >= 3600 * node.retry_deadline_hours:
                deadline = f"retry_deadline_hours, which is {node.retry_deadline_hours}"
                reason = f"{node.retry_seconds} s are not below {deadline}; no retry would begin"
                raise refusal(f"{place}.retry_seconds", reason)
        return self

    @field_validator("data")
    @classmethod
    def _placeholders_agree(cls, data: str) -> str:
        if problem := spans.pattern_problem(data):
            raise ValueError(f"{shown(data)}: {problem}")
        return data

    @field_validator("image")
    @classmethod
    def _by_digest(cls, image: str) -> str:
        # A tag can be moved: what was tested and what runs would then be two things.
        if image and not re.fullmatch(r"[^@\s]+@sha256:[0-9a-f]{64}", image):
            raise ValueError(f"{shown(image)}: name the image by digest, as registry/maskline@sha256:…")
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
        raise ValueError(
            f"{shown(path)}: {why}" if "://" in path else f"{shown(path)}: write an absolute path"
        )

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
