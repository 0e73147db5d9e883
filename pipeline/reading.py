"""How the reading of rows goes, by counts that come in from time to time. Pure."""


class Reading:
    """The rows that a component has read, and how fast."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self._last = (0, 0.0)

    def hear(self, rows: int, now: float) -> None:
        """Takes a count.

        Args:
          rows: all that are read.
          now: seconds on a clock that only goes forward.
        """
        self._last = (rows, now)
        self._first = self._first or self._last

    def words(self) -> str:
        """As `24,000 rows, 9,500 rows/s`; the speed is that since the first count, so it needs two."""
        rows, now = self._last
        read, since = self._first or self._last
        speed = f", {(rows - read) / (now - since):,.0f} rows/s" if now > since else ""
        return f"{rows:,} rows{speed}"
