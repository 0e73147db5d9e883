"""Settings of engines: complete, with exactly the options that each needs. No Beam job is sent."""

from pathlib import Path

import pytest

from maskline.pipeline.engines.check import check_reachable, check_shared, engine_error
from maskline.pipeline.errors import RunError
from maskline.pipeline.settings.engine import FLINK_VERSIONS, NEEDED, BeamSettings
from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError
from tests.portable import free_port

PORTABLE = (
    "job_endpoint=jobs:8099",
    "environment=external:localhost:50000",
    "shared_storage=[/mnt/maskline]",
)
QUIET = "--experiments=disable_logging_submission_environment"
DATAFLOW = (
    "environment=docker:eu.gcr.io/p/maskline@sha256:ab", "shared_storage=[/mnt/maskline]", "project=p",
    "region=europe-west4", "temp_location=gs://b/tmp",
)  # fmt: skip
COMPLETE = {
    "local": (),
    "portable": PORTABLE,
    "spark": PORTABLE,
    "flink": (*PORTABLE, "flink_version='1.20'", "parallelism=4"),
    "dataflow": (*DATAFLOW, "parallelism=8"),
}


def settings(engine, *values):
    return load(None, [f"beam.{value}" for value in (f"engine={engine}", *values)]).beam


def test_this_machine_runs_as_ever():
    assert settings("local").options == [
        "--runner=FnApiRunner", "--direct_running_mode=in_memory", "--sdk_container_image=none",
        "--no_pipeline_type_check",
    ]  # fmt: skip


@pytest.mark.parametrize("engine", COMPLETE)
def test_only_this_machine_with_our_own_options_needs_no_cloud(engine):
    assert settings(engine, *COMPLETE[engine]).is_elsewhere is (engine != "local")
    assert settings(engine, *COMPLETE[engine], "args=['--temp_location=gs://bucket/']").is_elsewhere


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("portable", []), ("spark", []), ("flink", ["--flink_version=1.20", "--parallelism=4"]),
    ],
)  # fmt: skip
def test_portable_engines_get_what_they_need(engine, expected):
    values = (*COMPLETE[engine], "args=['--experiments=x']")
    assert settings(engine, *values).options == [
        "--no_pipeline_type_check", QUIET, "--runner=PortableRunner", "--job_endpoint=jobs:8099",
        "--environment_type=EXTERNAL", "--environment_config=localhost:50000", "--sdk_container_image=none",
        *expected, "--experiments=x",
    ]  # fmt: skip


def test_an_image_is_named_twice():
    """Once for the workers, once so that TFX does not send them its source."""
    options = settings("portable", *PORTABLE, "environment=docker:maskline:1").options
    assert "--environment_type=DOCKER" in options
    assert {"--environment_config=maskline:1", "--sdk_container_image=maskline:1"} < set(options)


def test_dataflow_gets_what_it_needs():
    assert settings("dataflow", *COMPLETE["dataflow"]).options == [
        "--no_pipeline_type_check", QUIET, "--runner=DataflowRunner", "--project=p", "--region=europe-west4",
        "--temp_location=gs://b/tmp", "--sdk_container_image=eu.gcr.io/p/maskline@sha256:ab",
        "--num_workers=8",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "name"), [(engine, name) for engine, names in NEEDED.items() for name in names]
)
def test_what_is_missing_is_named(engine, name):
    values = [value for value in COMPLETE[engine] if not value.startswith(f"{name}=")]
    with pytest.raises(InputError, match=rf"beam\.{name}: is needed by beam.engine={engine}$"):
        settings(engine, *values)


@pytest.mark.parametrize(
    ("engine", "value", "problem"),
    [
        ("portable", "environment=localhost:5", "'localhost:5': write external:HOST:PORT or docker:IMAGE"),
        ("portable", "job_endpoint=http://jobs:8099", "job_endpoint"),
        ("portable", "shared_storage=[data]", "'data': write an absolute path"),
        ("portable", "parallelism=4", "beam.engine=portable takes none; set it where the engine runs"),
        ("spark", "parallelism=4", "beam.engine=spark takes none"),
        ("flink", "flink_version='1.16'", "'1.16': this Beam runs on Flink 1.19, 1.20, 2.0, 2.1, 2.2"),
        ("flink", "args=['--runner=FlinkRunner']", "--runner=FlinkRunner names another runner than beam.en"),
        ("dataflow", "environment=external:h:1", "Dataflow's workers start an image; write docker:IMAGE"),
        ("dataflow", "temp_location=/tmp", "temp_location"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(engine, value, problem):
    with pytest.raises(InputError) as refused:
        settings(engine, *COMPLETE[engine], value)
    assert problem in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("engine", "why"),
    [("dask", "drops rows without a word"), ("ray", "drops rows without a word"),
     ("Dask", "drops rows without a word"), ("pyspark", "asks for Beam 2.53 or 2.48")],
)  # fmt: skip
def test_engines_that_do_not_hold_are_refused_by_name(engine, why):
    with pytest.raises(InputError, match=rf"'{engine}' is not offered: .* {why}"):
        settings(engine)


def test_flink_versions_are_those_of_this_beam():
    from apache_beam.options.pipeline_options import FlinkRunnerOptions

    assert list(FLINK_VERSIONS) == FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS


def test_every_option_is_one_of_beams():
    from apache_beam.options.pipeline_options import PipelineOptions

    for engine, values in COMPLETE.items():
        known = PipelineOptions(settings(engine, *values).options).get_all_options()
        for option in settings(engine, *values).options:
            name = option.removeprefix("--").partition("=")[0]
            assert name.removeprefix("no_") in known, option


def test_a_path_on_a_laptop_is_not_a_path_on_a_worker(tmp_path):
    shared = tmp_path / "shared"
    (shared / "root").mkdir(parents=True)
    (tmp_path / "link").symlink_to(shared / "root")
    beam = BeamSettings(
        engine="portable", job_endpoint="h:1", environment="external:h:2", shared_storage=(shared,)
    )
    for path in (shared / "root", shared, tmp_path / "link", shared / "root/new/one"):
        check_shared(beam, {"root": path})
    for path in (tmp_path, tmp_path / "shared2", Path("maskline-root")):
        with pytest.raises(
            InputError, match=r"^data.path: .* is not a path on a worker: beam.engine=portable "
        ):
            check_shared(beam, {"root": shared, "data.path": path})
    check_shared(BeamSettings(), {"root": tmp_path})


def test_a_job_server_that_is_not_there():
    port = free_port()
    with pytest.raises(
        InputError, match=rf"no job server of flink answers at localhost:{port} \(Connection "
    ):
        check_reachable(f"localhost:{port}", "flink")
    with pytest.raises(InputError, match=r"no job server of spark answers at nowhere.invalid:1 \("):
        check_reachable("nowhere.invalid:1", "spark")


JOB = "Pipeline BeamApp-1 failed in state FAILED: bundle inst002 failed:Traceback (most recent call last):"


def test_what_a_worker_raised_is_told_as_here():
    bad = f'{JOB}\n  File "x.py", line 3\nmaskline.transform.errors.InputError: a.tfrecord: is truncated'
    assert repr(engine_error(RuntimeError(f"{bad} [while running 'Read-ptransform-5']\n"))) == repr(
        InputError("a.tfrecord: is truncated")
    )
    other = engine_error(RuntimeError(f'{JOB}\n  File "x.py", line 3\nKeyError: 7\n'))
    assert repr(other) == repr(RunError("KeyError: 7"))
    for error in (RuntimeError("nothing of a job"), KeyError("InputError: x"), InputError("here")):
        assert engine_error(error) is None
