"""A run's outcome follows from the recorded states."""

import pytest

from maskline.components.verdict import Check, Verdict
from maskline.pipeline.registry.record import Component, Run
from maskline.transform.names import Exit


def run(states, blessed=True, gate=None):
    components = [Component(name=name, state=state, seconds=0) for name, state in states.items()]
    verdicts = {"DataGate": verdict(gate)} if gate else {}
    return Run(run="r", components=components, blessed=blessed, verdicts=verdicts)


def verdict(outcome):
    return Verdict(checks=(Check(name="drift", asked="little", measured="much", outcome=outcome),))


@pytest.mark.parametrize(
    ("states", "blessed", "status"),
    [
        ({"Trainer": "COMPLETE", "Pusher": "COMPLETE"}, True, Exit.OK),
        ({"Trainer": "CACHED", "Pusher": "CACHED"}, True, Exit.OK),
        ({"Trainer": "COMPLETE", "Pusher": "COMPLETE"}, False, Exit.BLOCKED),
        ({"Trainer": "COMPLETE", "Pusher": "COMPLETE"}, None, Exit.BLOCKED),
        ({"Trainer": "FAILED", "Pusher": "COMPLETE"}, True, Exit.ERROR),
        ({"Trainer": "RUNNING"}, True, Exit.ERROR),
        ({"Trainer": "COMPLETE"}, True, Exit.ERROR),  # the runner returned, and nodes never ran
        ({}, True, Exit.ERROR),
    ],
)
def test_exit_status(states, blessed, status):
    assert run(states, blessed).exit is status


@pytest.mark.parametrize(
    ("states", "outcome", "status"),
    [
        ({"DataGate": "COMPLETE"}, "blocked", Exit.BLOCKED),
        ({"DataGate": "CACHED"}, "blocked", Exit.BLOCKED),
        ({"DataGate": "COMPLETE", "ExampleValidator": "RUNNING"}, "blocked", Exit.ERROR),
        ({"DataGate": "COMPLETE"}, "warned", Exit.ERROR),  # what follows the gate is still to run
        ({"DataGate": "COMPLETE"}, "ignored", Exit.ERROR),
    ],
)
def test_run_that_the_data_gate_stopped_is_at_its_end(states, outcome, status):
    assert run(states, None, outcome).exit is status
