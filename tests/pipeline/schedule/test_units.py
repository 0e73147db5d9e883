"""What systemd and cron are given: read by their own programs where they are installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from maskline.pipeline.schedule.units import crontab, service

HOSTILE = Path("/data/it's 50% $HOME")


def test_percent_and_dollar_signs_reach_the_command():
    text = service(
        Path("/bin/maskline"),
        ["schedule", "--root", str(HOSTILE)],
        root=HOSTILE,
        folder=Path("/tmp"),
        user="me",
        grace=60,
    )
    assert 'ExecStart=/bin/maskline schedule --root "/data/it\'s 50%% $$HOME"\n' in text
    assert "TimeoutStopSec=90\n" in text
    line = crontab("0 3 * * *", Path("/bin/maskline"), ["tick"], folder=HOSTILE)
    assert line == "0 3 * * * cd '/data/it'\"'\"'s 50\\% $HOME' && /bin/maskline tick\n"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_service(tmp_path):
    unit = tmp_path / "maskline.service"
    text = service(Path("/bin/true"), ["schedule", "--root", str(HOSTILE)], root=HOSTILE, folder=Path("/tmp"),
                   user="root", grace=60)  # fmt: skip
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
