"""The settings in force: read again before every tick, and the earlier ones where the file is wrong now."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from maskline.pipeline.schedule import incidents
from maskline.pipeline.schedule.ledger import FOLDER
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError

_FILE = "in-force.yaml"


class InForce:
    """Settings, and the options that lead another `maskline` to the same ones.

    Args:
      read: reads the file and the options.
      arguments: the options, such as `--config FILE`.
      say: takes one line.

    Raises:
      InputError: they are wrong at the start.
    """

    def __init__(
        self, read: Callable[[], Settings], arguments: Sequence[str], say: Callable[[str], Any]
    ) -> None:
        self._read, self._given, self._say = read, list(arguments), say
        self.settings = read()
        self.arguments = self._given

    def again(self, now: datetime) -> None:
        """Reads them again; where they are wrong, says so, tells people once, and changes nothing."""
        try:
            found = self._read()
        except InputError as error:
            self._keep(f"the settings cannot be used, and the earlier settings stay in force: {error}", now)
            return
        if found.root != self.settings.root:
            self._say(f"root: {found.root} takes effect when the scheduler is started again")
            return
        self.settings, self.arguments = found, self._given
        incidents.guarded(lambda: incidents.report(found, "settings", None, now), self._say)

    def _keep(self, problem: str, now: datetime) -> None:
        self._say(problem)
        # A tick reads its settings itself: from this copy, as JSON is YAML too.
        file = self.settings.root / FOLDER / _FILE
        text = self.settings.model_dump_json(by_alias=True, exclude_none=True, indent=1)

        def work() -> None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            self.arguments = ["--config", str(file)]
            incidents.report(self.settings, "settings", problem, now)

        incidents.guarded(work, self._say)
