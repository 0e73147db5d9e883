"""One schedule for one machine and for a cluster, where the cluster can keep it."""

import pytest

from maskline.pipeline.cluster.recurring import cluster_settings
from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError
from tests.support import maskline


def cron(tmp_path, *options):
    return cluster_settings(load(None, options, root=tmp_path)).schedule.cron


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "0 0 3 * * *"),
        (("schedule.cron=30 4 * * *",), "0 30 4 * * *"),
        (("schedule.cron=15 30 4 * * *",), "15 30 4 * * *"),
        (("schedule.cron=30 4 * * *", "schedule.timezone=Etc/UTC"), "0 30 4 * * *"),
        (("cluster.schedule.cron=0 0 5 * * *",), "0 0 5 * * *"),
    ],
)
def test_cron_line_of_one_machine_is_that_of_the_cluster(tmp_path, options, expected):
    assert cron(tmp_path, *options) == expected


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Europe/London", "Asia/Tokyo", "Africa/Casablanca"])
def test_zone_that_kubeflow_cannot_keep_is_refused(tmp_path, zone):
    with pytest.raises(InputError, match=rf"^schedule\.timezone: '{zone}' cannot be kept: .* UTC"):
        cron(tmp_path, f"schedule.timezone={zone}")


def test_command_refuses_it_before_it_asks_the_cluster(tmp_path):
    done = maskline("kubeflow", "schedule", "--set", "schedule.timezone=Europe/Berlin",
                    "--set", "cluster.host=http://127.0.0.1:9")  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("maskline: schedule.timezone: 'Europe/Berlin' cannot be kept")
