"""A live model that cannot be compared with: it blocks a release, unless a person accepts that. No TFX."""

from pydantic import BaseModel, ConfigDict

from maskline.components.verdict import Check, Outcome, Verdict

NAME = "live model"  # of the check


class UnknownLive(BaseModel):
    """What is wrong with the live model and what to do, each in one line; whether a person accepted it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str
    way_on: str
    accepted: bool = False

    def added_to(self, verdict: Verdict) -> Verdict:
        """The release gate's verdict, with a check that blocks unless the unknown live model was accepted."""
        check = Check(
            name=NAME,
            asked="accepted by --accept-unknown-live" if self.accepted else self.way_on,
            measured=self.problem,
            outcome=Outcome.IGNORED if self.accepted else Outcome.BLOCKED,
        )
        return Verdict(checks=(*verdict.checks, check))


def accepted_problem(verdict: Verdict) -> str:
    """What a person accepted of the live model, from the release gate's verdict; empty for nothing."""
    found = [c.measured for c in verdict.checks if c.name == NAME and c.outcome is Outcome.IGNORED]
    return "".join(found)
