"""Beam's options are refused when the settings are read, where Beam would ignore them or stop half-way."""

import pytest

from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError


def refused(tmp_path, args):
    file = tmp_path / "own.yaml"
    file.write_text(f"beam:\n  args: [{', '.join(repr(a) for a in args)}]\n")
    with pytest.raises(InputError) as error:
        load(file)
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--runner=FnApiRuner"], "'FnApiRuner' is no runner of Beam; did you mean FnApiRunner?"),
        (["--runner="], "'' is no runner of Beam"),
        (
            ["--runner=apache_beam.runners.dask.dask_runner.DaskRunner"],
            "loses rows with this version of Beam",
        ),
        (["--runner=FnApiRunner", "--runner=FlinkRunner"], "names a runner, as args.0 does; remove one"),
        (["runner=FnApiRunner"], "'runner=FnApiRunner' is not an option; write --name=value"),
        (["--runner", "FnApiRunner"], "'' is no runner of Beam"),
        (["--direct_running_mode=threads"], "'threads' is no running mode; allowed are in_memory, "),
        (["--direct_num_workers=two"], "'two' is not a number of workers"),
        (["--"], "'--' is not an option"),
        (["--no_pipeline_type_check --streaming"], "is not an option"),
    ],
)
def test_wrong_options_of_beam_are_named(tmp_path, args, text):
    assert text in refused(tmp_path, args)
    assert "beam.args." in refused(tmp_path, args)


def test_options_of_any_runner_are_taken(tmp_path):
    args = ("--runner=FlinkRunner", "--flink_master=host:8081", "--environment_type=DOCKER", "--own=x y")
    file = tmp_path / "own.yaml"
    file.write_text("beam: {args: [" + ", ".join(f"'{a}'" for a in args) + "]}\n")
    assert load(file).beam.args == args
    file.write_text("beam: {args: [--runner=package.module.Runner]}\n")
    assert load(file).beam.args == ("--runner=package.module.Runner",)
