"""Settings of the engine that runs Beam: this machine, or one that is there already. See docs/scale.md."""

import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from maskline.pipeline.settings.beam_args import args_problem
from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import shown

# Of Beam 2.77; a test compares them with those of the package that is installed.
FLINK_VERSIONS = ("1.19", "1.20", "2.0", "2.1", "2.2")
# `DirectRunner` would first try to download another runner; this one never does. Naming a container
# image keeps TFX from packing itself into an archive for remote workers before every Beam job,
# two seconds each; in memory there are no remote workers. TFX's pipelines are typed as they are.
LOCAL_ARGS = (
    "--runner=FnApiRunner",
    "--direct_running_mode=in_memory",
    "--sdk_container_image=none",
    "--no_pipeline_type_check",
)
# What was tried and gave other answers than this machine, or cannot be installed beside this Beam.
_REFUSED = {
    "dask": "Beam's Dask runner drops rows without a word with these versions",
    "pyspark": "the runner on PySpark asks for Beam 2.53 or 2.48; `spark` is Beam's own, with a job server",
    "ray": "Beam's Ray runner drops rows without a word with these versions",
}
_PORTABLE = ("job_endpoint", "environment", "shared_storage")
# What each engine needs, and what else it takes.
NEEDED = {
    "local": (),
    "portable": _PORTABLE,
    "flink": (*_PORTABLE, "flink_version"),
    "spark": _PORTABLE,
    "dataflow": ("environment", "shared_storage", "project", "region", "temp_location"),
}
_PARALLEL = ("flink", "dataflow")
_ENVIRONMENT = re.compile(r"external:[^\s:/]+:\d{1,5}|docker:\S+")


class BeamSettings(Section):
    """Where and how Beam runs."""

    engine: Literal["local", "portable", "flink", "spark", "dataflow"] = setting(
        "local", "what runs Beam's jobs: this process, or an engine that is there already"
    )
    job_endpoint: str = setting(
        "", "address of the engine's Beam job server, as `host:port`", pattern=r"^([^\s:/]+:\d{1,5})?$"
    )
    environment: str = setting(
        "",
        "where workers have our package: `external:HOST:PORT`, a Beam worker pool beside each of the "
        "engine's workers, or `docker:IMAGE`, an image with the package",
    )
    parallelism: int = setting(
        0, "how many workers a job asks Flink or Dataflow for; 0: as the engine is set up", unit="workers",
        ge=0, le=100_000,
    )  # fmt: skip
    shared_storage: tuple[Path, ...] = setting(
        (), "folders that workers see under the same path as this machine; root and shards must lie in one"
    )
    flink_version: str = setting("", "version of the Flink cluster, such as `1.20`")
    project: str = setting("", "Google Cloud project of Dataflow's jobs")
    region: str = setting("", "region of Dataflow's jobs, such as `europe-west4`")
    temp_location: str = setting(
        "", "bucket for Dataflow's own files, as `gs://bucket/path`", pattern=r"^(gs://[^/\s]+.*)?$"
    )
    args: tuple[str, ...] = setting(
        LOCAL_ARGS,
        "further options of Beam's; on an engine they come behind those that it needs",
        max_length=1000,
    )

    @field_validator("engine", mode="before")
    @classmethod
    def _is_offered(cls, engine: Any) -> Any:
        if why := _REFUSED.get(str(engine).lower()):
            raise ValueError(f"{shown(str(engine))} is not offered: {why}")
        return engine

    @field_validator("environment")
    @classmethod
    def _names_a_place(cls, environment: str) -> str:
        if environment and not _ENVIRONMENT.fullmatch(environment):
            raise ValueError(f"{shown(environment)}: write external:HOST:PORT or docker:IMAGE")
        return environment

    @model_validator(mode="after")
    def _args_are_options(self) -> Self:
        if found := args_problem(self.args):
            raise refusal(f"args.{found[0]}", found[1])
        return self

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        for name in NEEDED[self.engine]:
            if not getattr(self, name):
                raise refusal(name, f"is needed by beam.engine={self.engine}")
        if self.flink_version and self.flink_version not in FLINK_VERSIONS:
            there = ", ".join(FLINK_VERSIONS)
            raise refusal("flink_version", f"{shown(self.flink_version)}: this Beam runs on Flink {there}")
        if self.engine == "dataflow" and not self.environment.startswith("docker:"):
            raise refusal("environment", "Dataflow's workers start an image; write docker:IMAGE")
        if self.parallelism and self.engine not in _PARALLEL:
            raise refusal(
                "parallelism", f"beam.engine={self.engine} takes none; set it where the engine runs"
            )
        if self.engine != "local" and (named := [a for a in self.args if _names_runner(a)]):
            raise refusal(
                "args", f"{named[0]} names another runner than beam.engine={self.engine}; remove it"
            )
        if relative := [path for path in self.shared_storage if not path.is_absolute()]:
            raise refusal("shared_storage", f"{shown(str(relative[0]))}: write an absolute path")
        return self

    @property
    def is_elsewhere(self) -> bool:
        """Whether Beam may need more than this machine: `args` of the user's own may name anything."""
        return self.options != list(LOCAL_ARGS)

    @property
    def options(self) -> list[str]:
        """All of Beam's options."""
        if self.engine == "local":
            return list(self.args)
        kind, _, place = self.environment.partition(":")
        # Without the experiment every job asks pip, which an environment of uv's does not have, and warns.
        options = ["--no_pipeline_type_check", "--experiments=disable_logging_submission_environment"]
        if self.engine == "dataflow":
            options += [
                "--runner=DataflowRunner", f"--project={self.project}", f"--region={self.region}",
                f"--temp_location={self.temp_location}", f"--sdk_container_image={place}",
            ]  # fmt: skip
            options += [f"--num_workers={self.parallelism}"] if self.parallelism else []
        else:
            options += [
                "--runner=PortableRunner", f"--job_endpoint={self.job_endpoint}",
                f"--environment_type={kind.upper()}", f"--environment_config={place}",
                # Without an image's name TFX would send its source to the workers, which have it.
                f"--sdk_container_image={place if kind == 'docker' else 'none'}",
            ]  # fmt: skip
            options += [f"--flink_version={self.flink_version}"] if self.engine == "flink" else []
            options += [f"--parallelism={self.parallelism}"] if self.parallelism else []
        return options + [argument for argument in self.args if argument not in LOCAL_ARGS]


def _names_runner(argument: str) -> bool:
    return argument.startswith("--runner") and argument not in LOCAL_ARGS
