"""A node's last words: how it ended and why, in the message of its pod. No TFX, no TensorFlow.

Kubernetes keeps what a container writes to /dev/termination-log with the container's end. Argo repeats it in
the message of its node (`inferFailedReason` in workflow/controller/operator.go), which Kubeflow Pipelines
stores with the run. So it outlives the pod, its log and the archive of logs (ADR 16).
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

TERMINATION_LOG = "/dev/termination-log"
# Kubernetes divides 12 KiB among the containers of a pod, of which Argo and Kubeflow Pipelines make four.
_LONGEST = 2048  # bytes
_CUT = " …"


class LastWords(NamedTuple):
    """How a node ended: its id, the state, the reason, and when, as ISO 8601 in UTC."""

    node: str
    state: str
    reason: str
    time: str

    @property
    def as_json(self) -> str:
        """One line."""
        return json.dumps({"event": "ended", **self._asdict()})


def leave(words: LastWords, place: str, strike: Callable[[str], str]) -> None:
    """Writes a node's last words where Kubernetes looks for them; does nothing outside a pod.

    Args:
      words: of which a reason that is too long is cut.
      place: the file, which Kubernetes has made.
      strike: removes secrets from a text.
    """
    text = strike(words.as_json)
    reason = words.reason
    while len(text.encode()) > _LONGEST:
        reason = reason[: len(reason) * 3 // 4]
        text = strike(words._replace(reason=reason + _CUT).as_json)
    if os.access(place, os.W_OK):
        Path(place).write_text(text, encoding="utf-8")


def find_words(text: str) -> LastWords | None:
    """The last words in a line of a log, or in a message of Argo's, which begins in words of its own."""
    start = text.find("{")
    while start >= 0:
        try:
            found, _ = json.JSONDecoder().raw_decode(text, start)
            return _read(found)
        except ValueError:
            start = text.find("{", start + 1)
    return None


def _read(found: Any) -> LastWords | None:
    if not isinstance(found, dict) or found.get("event") != "ended":
        return None
    values = [found.get(key) for key in LastWords._fields]
    return LastWords(*map(str, values)) if all(isinstance(value, str) for value in values) else None
