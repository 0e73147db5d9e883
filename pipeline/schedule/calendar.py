"""A cron line as systemd's calendar expression (systemd.time(7))."""

import re

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PART = re.compile(r"(\*|\w+(?:-\w+)?)(?:/(\d+))?")


def on_calendar(cron: str, timezone: str) -> str | None:
    """The times of a cron line, as systemd writes them; None where systemd cannot say the same.

    That is the case where both a day of the month and a weekday are given, of which cron takes either and
    systemd both, and for `L` and `#`.

    Args:
      cron: five fields, or six with seconds first.
      timezone: its zone.
    """
    fields = cron.lower().split()
    second, minute, hour, day, month, weekday = fields if len(fields) == 6 else ["0", *fields]
    if "*" not in (day, weekday):
        return None
    for number, name in enumerate(_MONTHS, start=1):
        month = month.replace(name, str(number))
    starts = ((month, 1), (day, 1), (hour, 0), (minute, 0), (second, 0))
    parts = [_field(text, first) for text, first in starts]
    days = _weekdays(weekday)
    if None in parts or days is None:
        return None
    return f"{days}*-{parts[0]}-{parts[1]} {parts[2]}:{parts[3]}:{parts[4]} {timezone}"


def _field(text: str, first: int) -> str | None:
    found = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None or not re.fullmatch(r"[\d*-]+", match[1]):
            return None
        span, step = match[1].replace("-", ".."), match[2]
        if span == "*":
            span = f"{first}" if step else "*"
        found.append(f"{span}/{step}" if step else span)
    return "*" if "*" in found else ",".join(found)


def _weekdays(text: str) -> str | None:
    if text == "*":
        return ""
    for number, name in enumerate(_DAYS[:7]):
        text = text.replace(name.lower(), str(number))
    found: list[str] = []
    for part in text.split(","):
        if not re.fullmatch(r"[0-7](-[0-7])?", part):
            return None
        begin, _, end = part.partition("-")
        found += [_DAYS[day] for day in range(int(begin), int(end or begin) + 1)]
    return ",".join(dict.fromkeys(found)) + " "
