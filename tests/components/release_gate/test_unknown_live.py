"""A live model that cannot be compared with blocks a release, and a person may accept that."""

from maskline.components.release_gate.unknown_live import UnknownLive, accepted_problem
from maskline.components.verdict import Check, Outcome, Verdict

GOOD = Verdict(checks=(Check(name="accuracy", asked="0.5", measured="0.6", outcome=Outcome.PASSED),))
UNKNOWN = UnknownLive(problem="version 2 is damaged", way_on="put it back")


def test_it_blocks_and_says_how_to_go_on():
    verdict = UNKNOWN.added_to(GOOD)
    assert not verdict.passed
    assert [str(check) for check in verdict.blocking] == ["live model: version 2 is damaged; put it back"]
    assert accepted_problem(verdict) == ""


def test_accepted_it_passes_and_the_problem_is_kept_for_the_audit_log():
    verdict = UNKNOWN.model_copy(update={"accepted": True}).added_to(GOOD)
    assert verdict.passed
    assert accepted_problem(verdict) == "version 2 is damaged"
    assert accepted_problem(GOOD) == ""
