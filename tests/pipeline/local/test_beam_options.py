"""Beam's options are held against Beam's own parser before a run begins."""

import pytest

from maskline.pipeline.local.beam_options import check_beam_options
from maskline.pipeline.settings.engine import BeamSettings
from maskline.transform.errors import InputError

LOCAL = "--runner=FnApiRunner"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (
            [LOCAL, "--direct_runing_mode=in_memory"],
            "no option '--direct_runing_mode'; did you mean --direct_run",
        ),
        ([LOCAL, "--zzz=1"], "no option '--zzz'; remove it"),
        (["--streamin"], "no option '--streamin'; did you mean --streaming?"),  # without a runner, Beam's own
        ([LOCAL, "--job_port=seven"], "beam.args: argument --job_port: invalid int value: 'seven'"),
    ],
)
def test_options_that_beam_would_ignore_or_stop_at_are_refused(args, text):
    with pytest.raises(InputError) as error:
        check_beam_options(args)
    assert text in str(error.value)


def test_options_that_beam_knows_and_those_of_a_job_server_are_taken():
    check_beam_options(BeamSettings().args)
    check_beam_options(["--runner=FlinkRunner", "--an_option_of_its_job_server=1"])
    check_beam_options([])
