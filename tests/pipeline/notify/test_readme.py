"""README's way from nothing to a timer, an alert and a way back: its settings and commands, as they stand."""

import json
import re
import shlex
import shutil
import subprocess

import pytest

from maskline.pipeline.settings.load import load
from tests.support import REPOSITORY, maskline

SECTION = (REPOSITORY / "README.md").read_text().partition("## Retrain by schedule")[2].partition("\n## ")[0]


@pytest.fixture
def place(tmp_path, web):
    """The section with folders of the test's own: its settings written, and its commands."""
    text = SECTION.replace("/srv/", f"{tmp_path}/srv/").replace("/etc/", f"{tmp_path}/etc/")
    (tmp_path / "retraining.yaml").write_text(re.search(r"```yaml\n(.*?)```", text, re.S)[1])
    for folder in ("etc/maskline", "etc/systemd/system", "srv/maskline/root"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/maskline/webhook").write_text(web.url)
    return tmp_path, re.findall(r"^    (.+)$", text, re.M)


def run(tmp_path, command):
    """Runs one line as a shell would; gives what it printed, or wrote into its file."""
    arguments, _, file = command.removeprefix("maskline ").partition(" > ")
    done = maskline(*shlex.split(arguments), cwd=tmp_path)
    if file:
        (tmp_path / file).write_text(done.stdout)
    return done


def test_an_alert_arrives_and_the_timer_is_one_for_systemd(place, web):
    tmp_path, commands = place
    settings = load(tmp_path / "retraining.yaml")
    assert (settings.schedule.cron, settings.schedule.timezone) == ("0 3 * * *", "Europe/Berlin")
    [sends] = [c for c in commands if c.startswith("maskline notify")]
    assert run(tmp_path, sends).stdout == "webhook: sent\n"
    assert "text" in json.loads(web.got[0][1])
    [ticks] = [c for c in commands if c.startswith("maskline tick")]
    assert run(tmp_path, ticks).returncode == 2  # no span is there yet, and it says so
    units = [c for c in commands if "--systemd" in c]
    assert [run(tmp_path, command).returncode for command in units] == [0, 0]
    files = sorted((tmp_path / "etc/systemd/system").iterdir())
    assert [file.name for file in files] == ["maskline-tick.service", "maskline-tick.timer"]
    assert "OnCalendar=*-*-* 3:0:0 Europe/Berlin" in files[1].read_text()
    service = files[0].read_text()
    assert re.search(rf"^ExecStart=\S+ tick --config {tmp_path}/retraining.yaml$", service, re.M)
    if shutil.which("systemd-analyze"):
        # The test runs a module, which is no program that systemd could start.
        files[0].write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", service, flags=re.M))
        verify = ["systemd-analyze", "verify", "--man=no", *files]
        done = subprocess.run(verify, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_way_back_pauses_before_it_goes_back(place):
    tmp_path, commands = place
    start = next(i for i, command in enumerate(commands) if command.startswith("maskline history"))
    history, pause, back, resume = commands[start : start + 4]
    assert "no run yet" in run(tmp_path, history).stderr
    assert run(tmp_path, pause).returncode == 0
    [ticks] = [c for c in commands if c.startswith("maskline tick")]
    assert "paused" in run(tmp_path, ticks).stdout
    refused = run(tmp_path, back)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)  # nothing was released here
    assert run(tmp_path, resume).returncode == 0
    assert "paused" not in run(tmp_path, ticks).stdout
