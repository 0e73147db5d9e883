"""Models that a person released against the release gate: who, when and why, as the audit log tells."""

from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict

from maskline.components.pusher import audit

_BLESSED = "blessed on purpose: "


class Override(BaseModel):
    """A model that was released on purpose, and the version that it became."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time: AwareDatetime
    who: str
    reason: str
    version: int


def why(reason: str) -> str:
    """What the audit log is to say of it, in one line."""
    return _BLESSED + " ".join(reason.split())


def of_model(folder: Path, model_id: int) -> Override | None:
    """The newest override of a model, or None.

    Args:
      folder: the serving directory.
      model_id: its Model artifact in the metadata store.

    Raises:
      InputError: the audit log was edited by hand.
    """
    own = [c for c in audit.changes(folder) if c.model_id == model_id and c.why.startswith(_BLESSED)]
    if not own:
        return None
    last = own[-1]
    return Override(time=last.time, who=last.who, reason=last.why.removeprefix(_BLESSED), version=last.to)
