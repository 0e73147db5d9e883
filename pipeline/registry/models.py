"""What was released: each version that a server can load, with what is known of it."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from maskline.components.pusher import audit, serving
from maskline.components.pusher.contents import look
from maskline.pipeline.registry import live


class Released(BaseModel):
    """One version in the serving directory. `metrics` and `data` are as they were when it was published."""

    version: int
    live: bool
    since: datetime
    who: str
    why: str
    identity: str
    metrics: dict[str, float] = {}
    data: dict[str, Any] = {}
    path: Path


def released(folder: Path) -> list[Released]:
    """The versions in a serving directory, oldest first."""
    logged = {change.to: change for change in audit.changes(folder)}
    # The next run logs a version that is not in the log yet; until then it is shown as it will be logged.
    logged |= {change.to: change for change in serving.unlogged(folder)}
    present = serving.versions(folder)
    return [_released(v, logged[v.number], is_live=v == present[-1]) for v in present]


def _released(version: serving.Version, change: audit.Change, *, is_live: bool) -> Released:
    try:
        facts = json.loads((version.path / serving.FACTS_PATH).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        facts = {}
    return Released(
        version=version.number,
        live=is_live,
        since=change.time,
        who=change.who,
        why=change.reason,
        identity=version.identity,
        metrics=facts.get("metrics", {}),
        data=facts.get("data", {}),
        path=version.path,
    )


def serving_problems(folder: Path) -> list[str]:
    """One line for each thing in a serving directory that is damaged, gone or foreign."""
    contents = look(folder)
    found = live.problem(folder, contents)
    more = [note for note in contents.notes if not found or not note.startswith(found.split(": ")[0])]
    return [*([f"{found}; {live.way_on(contents)}"] if found else []), *more, *audit.problems(folder)]


def model_lines(found: list[Released]) -> list[str]:
    """Lines for people, the live version first; times are local."""
    lines = []
    for model in reversed(found):
        since = f"{model.since.astimezone():%Y-%m-%d %H:%M:%S}"
        state = "live since" if model.live else "published"
        lines.append(f"version {model.version}, {state} {since} by {model.who}: {model.why}")
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in model.metrics.items())
        known = [metrics, *_data(model.data), f"model {model.identity[:8]}"]
        lines.append(f"  {'; '.join(filter(None, known))}")
    return lines or ["no model was released yet; `maskline run` makes one"]


def _data(data: dict[str, Any]) -> list[str]:
    rows = " + ".join(f"{count:,}" for count in data.get("rows", {}).values())
    return [data.get("span", ""), f"{rows} rows" if rows else ""]
