"""Reads the facts that a run or a released version keeps about its model."""

import json
from pathlib import Path
from typing import Any


def read_facts(file: Path) -> dict[str, Any]:
    """Reads `facts.json`, as `maskline.components.pusher.model_card.Facts` describes it.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not JSON.
      KeyError: it has no settings.
    """
    facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if "settings" not in facts:
        facts["settings"] = facts.pop("configuration")  # the name in earlier releases
    return facts
