"""Where reports lie under a root."""

from pathlib import Path

from maskline.pipeline.settings.sections import Settings

REPORTS_FOLDER = "reports"


def path_of(settings: Settings, run: str) -> Path:
    """Where a run's report lies."""
    return settings.root / REPORTS_FOLDER / f"{run}.html"
