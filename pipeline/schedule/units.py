"""What other programs need to drive the schedule: a systemd service, a line for cron."""

import shlex
from collections.abc import Sequence
from pathlib import Path

_SERVICE = """\
# maskline's scheduler. Save it as /etc/systemd/system/maskline.service, then:
#   systemctl daemon-reload && systemctl enable --now maskline
[Unit]
Description=maskline: scheduled retraining in {root}
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
User={user}
WorkingDirectory={folder}
ExecStart={command}
# The scheduler ends a run within schedule.grace ({grace:g} s), and the next start goes on with it.
TimeoutStopSec={stop:g}
KillMode=mixed
Restart=on-failure
RestartSec=30
NoNewPrivileges=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""

_TICK = """\
# One tick of maskline's. Save it as /etc/systemd/system/maskline-tick.service, beside its timer.
[Unit]
Description=maskline: a tick in {root}
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
User={user}
WorkingDirectory={folder}
ExecStart={command}
# Nothing was wrong where a gate said no, or where another run works.
SuccessExitStatus=3 4
TimeoutStopSec={stop:g}
KillMode=mixed
NoNewPrivileges=yes
PrivateTmp=yes
"""
_TIMER = """\
# Starts maskline-tick.service. Save it as /etc/systemd/system/maskline-tick.timer, then:
#   systemctl daemon-reload && systemctl enable --now maskline-tick.timer
[Unit]
Description=maskline: when a tick is due

[Timer]
{when}
RandomizedDelaySec={jitter:g}
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


def timer(*, on_calendar: str = "", every: float = 0, jitter: float) -> str:
    """A systemd timer that starts a tick.

    Args:
      on_calendar: when, as `calendar.on_calendar` gives it.
      every: seconds between two ticks, where there is no calendar.
      jitter: seconds, at most, that each tick waits.
    """
    # A tick that was missed while the machine was off is made up for at its next start, as a single one.
    when = f"OnCalendar={on_calendar}\nPersistent=true" if on_calendar else (
        f"OnActiveSec=0\nOnUnitActiveSec={every:g}"
    )  # fmt: skip
    return _TIMER.format(when=when, jitter=jitter)


def service(
    program: Path,
    arguments: Sequence[str],
    *,
    root: Path,
    folder: Path,
    user: str,
    grace: float,
    once: bool = False,
) -> str:
    """A systemd service that keeps the scheduler at work, or with `once` one that a timer starts for a tick.

    Args:
      program: `maskline`, its whole path.
      arguments: of the command line, `schedule` or `tick` the first of them.
      root: where the runs lie.
      folder: to work in.
      user: as whom.
      grace: seconds that a run has to end.
      once: for a timer.
    """
    command = " ".join(_quoted(part) for part in (str(program), *arguments))
    return (_TICK if once else _SERVICE).format(
        root=_escaped(str(root)), user=user, folder=_escaped(str(folder)), command=command, grace=grace,
        stop=grace + 30,
    )  # fmt: skip


def crontab(cron: str, program: Path, arguments: Sequence[str], *, folder: Path) -> str:
    """A line for crontab that starts a tick; cron mails what the tick says.

    Args:
      cron: five fields.
      program: `maskline`, its whole path.
      arguments: of the command line, `tick` the first of them.
      folder: to work in.
    """
    command = f"cd {shlex.quote(str(folder))} && {shlex.join([str(program), *arguments])}"
    return f"{cron} {command.replace('%', chr(92) + '%')}\n"  # cron reads a bare % as the end of a line


def _escaped(text: str) -> str:
    """Without what systemd would fill in or take apart."""
    return text.replace("\\", "\\\\").replace("%", "%%")


def _quoted(part: str) -> str:
    escaped = _escaped(part).replace("$", "$$")
    plain = escaped and not set(escaped) & set(" \t\"';")
    return escaped if plain else '"' + escaped.replace('"', '\\"') + '"'
