"""What the loop shows of itself while it works, for whoever asks through `--listen`."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from maskline.pipeline.settings.sections import Settings

_SLACK = timedelta(minutes=2)  # that a tick may be late before the scheduler counts as stuck


@dataclass
class Heart:
    """The state of the loop.

    Attributes:
      settings: in force.
      due: when the next tick, or look of a watch, is due.
      ticking: since when a tick works; None where none does.
      seconds: that the last tick took.
    """

    settings: Settings
    due: datetime
    ticking: datetime | None = None
    seconds: float = 0.0

    def problem(self, now: datetime) -> str:
        """Why ticks do not happen in time, or an empty string."""
        limits = self.settings.schedule
        if self.ticking:
            longest = timedelta(hours=limits.max_run_hours, seconds=limits.grace) * max(
                1, limits.max_catch_up
            )
            if now - self.ticking > longest + _SLACK:
                return f"a tick has worked since {self.ticking:%Y-%m-%d %H:%M:%S} UTC"
        elif now - self.due > _SLACK + timedelta(seconds=limits.jitter):
            return f"a tick was due at {self.due:%Y-%m-%d %H:%M:%S} UTC and has not begun"
        return ""
