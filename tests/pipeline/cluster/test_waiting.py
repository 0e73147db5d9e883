"""What pods wait for, and for how long that may be."""

import pytest

from maskline.pipeline.cluster.waiting import WaitingPods
from maskline.pipeline.cluster.workflow import Pod


def pod(message, phase="Pending", task="trainer"):
    return Pod(task, f"r-{task}", f"r-impl-{task}", phase, message, "")


PULLS = ["ErrImagePull: not found", "ImagePullBackOff: Back-off pulling image"]
QUOTA = "pods is forbidden: exceeded quota: small"


def test_image_that_cannot_be_pulled_is_given_up_within_a_minute_though_the_reason_changes():
    waiting = WaitingPods()
    said = []
    for second in range(0, 60, 10):
        new, hopeless = waiting.look([pod(PULLS[second // 10 % 2])], second)
        said += new
        if hopeless:
            break
    assert second == 30
    assert said == ["trainer: waits: ErrImagePull: not found"]
    assert hopeless == "trainer: pod r-impl-trainer: ImagePullBackOff: Back-off pulling image"


def test_wait_that_ended_in_between_counts_anew():
    waiting = WaitingPods()
    waiting.look([pod(PULLS[0])], 0)
    waiting.look([pod("", phase="Running")], 20)
    assert waiting.look([pod(PULLS[0])], 40) == (["trainer: waits: ErrImagePull: not found"], "")


def test_quota_that_a_pod_of_the_run_takes_up_is_waited_for():
    waiting = WaitingPods()
    works = pod("", phase="Running", task="transform")
    for second in (0, 1000):
        assert not waiting.look([works, pod(QUOTA)], second)[1]
    assert waiting.look([pod(QUOTA)], 1010)[1].endswith(QUOTA)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.", True),
        ("PodInitializing", False),
        ("", False),
    ],
)
def test_what_may_mend_itself_is_said_once_and_never_given_up(message, told):
    waiting = WaitingPods()
    new, hopeless = waiting.look([pod(message)], 0)
    assert (bool(new), hopeless) == (told, "")
    assert waiting.look([pod(message)], 10**6) == ([], "")
