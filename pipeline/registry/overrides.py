"""Models that a person released against the release gate: who, when and why, from the audit log."""

from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict

from maskline.components.pusher import audit


class Override(BaseModel):
    """A model that a person released on purpose, and the version that it became."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time: AwareDatetime
    who: str
    reason: str
    version: int


def of_model(folder: Path, model_id: int) -> Override | None:
    """The newest override of a model, or None.

    Args:
      folder: the serving directory.
      model_id: its Model artifact in the metadata store.
    """
    own = [c for c in audit.changes(folder) if c.model_id == model_id and c.override]
    if not own:
        return None
    last = own[-1]
    return Override(time=last.time, who=last.who, reason=last.why, version=last.to)
