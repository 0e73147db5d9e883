"""A run's outcome follows from the recorded states."""

import pytest

from pipeline.history import Component, Exit, Run


def run(states, blessed=True):
    components = [Component(name=name, state=state, seconds=0) for name, state in states.items()]
    return Run(run="r", components=components, blessed=blessed)


@pytest.mark.parametrize(
    ("states", "blessed", "status"),
    [
        ({"Trainer": "COMPLETE", "Pusher": "COMPLETE"}, True, Exit.OK),
        ({"Trainer": "CACHED", "Pusher": "CACHED"}, True, Exit.OK),
        ({"Trainer": "COMPLETE", "Pusher": "COMPLETE"}, False, Exit.NOT_BLESSED),
        ({"Trainer": "COMPLETE", "Pusher": "COMPLETE"}, None, Exit.NOT_BLESSED),
        ({"Trainer": "FAILED", "Pusher": "COMPLETE"}, True, Exit.ERROR),
        ({"Trainer": "RUNNING"}, True, Exit.ERROR),
        ({"Trainer": "COMPLETE"}, True, Exit.ERROR),  # the runner returned, and nodes never ran
        ({}, True, Exit.ERROR),
    ],
)
def test_exit_status(states, blessed, status):
    assert run(states, blessed).exit is status
