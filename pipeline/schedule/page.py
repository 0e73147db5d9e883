"""The status page of a schedule: what is live, what is wrong, and the last decisions. Read-only HTML."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from maskline.pipeline.schedule import incidents, ledger, status
from maskline.pipeline.schedule.heart import Heart
from maskline.pipeline.schedule.ledger import Decision, Tick

_COLUMNS = ("time (UTC)", "span", "decision", "why", "live model", "run")
_LAST = 50  # ticks that are shown
_STYLE = (
    "body{font-size:15px;font-family:system-ui;margin:2em;max-width:75em}"
    "td,th{padding:.2em .8em;text-align:left;vertical-align:top}"
    "tr:nth-child(even){background:#f3f3f3}.bad{color:#a00}"
)
_BAD = (Decision.FAILED, Decision.REFUSED, Decision.BLOCKED, Decision.GAVE_UP)


def status_page(heart: Heart, past: Sequence[Tick], now: datetime) -> str:
    """The page; whatever came from data or people is escaped."""
    settings = heart.settings
    open_now = [
        f"{i.kind.replace('_', ' ')}: {i.text}" for i in incidents.read_state(settings).incidents.values()
    ]
    if pause := ledger.paused(settings.root):
        open_now.append(f"paused by {pause.who}: {pause.why}")
    if problem := heart.problem(now):
        open_now.append(problem)
    works = f" A tick works since {heart.ticking:%H:%M:%S} UTC." if heart.ticking else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>maskline</title>'
        f'<meta http-equiv="refresh" content="60"><style>{_STYLE}</style></head><body>'
        f"<h1>maskline: {escape(str(settings.root))}</h1>"
        f"<p>{escape(status.line(settings, heart.due, now))}.{works}</p>"
        f"{_list(open_now)}<table><tr>"
        + "".join(
            f"<th>{name}</th>" for name in ("time (UTC)", "span", "decision", "why", "live model", "run")
        )
        + f"</tr>{''.join(map(_row, reversed(past[-_LAST:])))}</table></body></html>\n"
    )


def _list(lines: Iterable[str]) -> str:
    items = "".join(f'<li class="bad">{escape(line)}</li>' for line in lines)
    return f"<ul>{items}</ul>" if items else "<p>No incident is open.</p>"


def _row(tick: Tick) -> str:
    accuracy = f"version {tick.scored}: {tick.accuracy:.1%}" if tick.accuracy is not None else ""
    took = f"{tick.seconds:.0f} s" if tick.seconds else ""
    cells = (f"{tick.time:%Y-%m-%d %H:%M:%S}", tick.span, tick.decision.value, tick.why, accuracy, took)
    kind = ' class="bad"' if tick.decision in _BAD else ""
    return f"<tr{kind}>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
