"""A message, and its text by the template of the settings."""

import socket
import uuid
from datetime import datetime
from pathlib import Path
from string import Template

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from maskline.pipeline.settings.notify import MessageKind


class Message(BaseModel):
    """One message: `text` is one line; `id` stays the same however often it is tried to be sent."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    time: AwareDatetime
    kind: MessageKind
    text: str
    span: str = ""
    root: str = ""
    host: str = Field(default_factory=socket.gethostname)

    @classmethod
    def of(cls, root: Path, kind: MessageKind, text: str, time: datetime, span: str = "") -> "Message":
        """A message of today about a root; line ends in its text become spaces."""
        return cls(time=time, kind=kind, text=" ".join(text.split()), span=span, root=str(root))

    def written(self, template: str) -> str:
        """The text for people; see `notify.template`."""
        fields = self.model_dump(mode="json") | {"kind": self.kind.replace("_", " ")}
        return Template(template).safe_substitute(fields)
