"""Which of the two locked stacks a machine gets, and what the locks hold."""

import os
import platform
import re
import shutil
import subprocess
import tomllib

import pytest

from maskline.pipeline.fingerprint import chosen_stack
from tests.stack.locked import locked
from tests.support import PATIENCE, REPOSITORY

LOCKS = REPOSITORY / "locks"


def choose(folder, *, glibc="2.41", system="Linux", machine="x86_64", pythons=(), wanted=None):
    """Runs choose.sh on a machine that is made of small programs which answer for it."""
    programs = {
        "uname": f"[ $1 = -s ] && echo {system} || echo {machine}",
        "getconf": f"[ -n '{glibc}' ] && echo glibc {glibc}",
        **{f"python{version}": "" for version in pythons},
    }
    for name, body in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    for name in ("bash", "cut", "paste", "sed"):
        (folder / name).symlink_to(str(shutil.which(name)))
    environment = {"PATH": str(folder)} | ({"MASKLINE_PYTHON": wanted} if wanted else {})
    return subprocess.run(
        [folder / "bash", LOCKS / "choose.sh"],
        env=environment, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "chosen"),
    [
        ({"glibc": "2.41"}, "current 3.13"),
        ({"glibc": "2.39", "pythons": ("3.12", "3.11")}, "current 3.12"),
        ({"glibc": "2.39", "pythons": ("3.12", "3.13")}, "current 3.13"),
        ({"glibc": "2.41", "wanted": "3.11"}, "current 3.11"),
        ({"glibc": "2.38", "pythons": ("3.13",)}, "older 3.11"),
        ({"glibc": "2.28"}, "older 3.11"),
    ],
)
def test_the_c_library_chooses_the_stack(tmp_path, machine, chosen):
    done = choose(tmp_path, **machine)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{chosen}\n", "")


@pytest.mark.parametrize(
    ("machine", "needed", "there"),
    [
        ({"glibc": "2.27"}, "glibc 2.28 or later (Debian 10, Ubuntu 20.04, RHEL 8)", "this is glibc 2.27"),
        ({"glibc": ""}, "TFX's packages are built for", "this system has another"),
        ({"system": "Darwin"}, "Linux on x86-64, where TFX's packages are", "this is Darwin x86_64"),
        ({"machine": "aarch64"}, "Linux on x86-64, where TFX's packages are", "this is Linux aarch64"),
        ({"glibc": "2.36", "wanted": "3.13"}, "Python 3.11 where glibc is 2.36", "asks for 3.13"),
        ({"wanted": "3.10"}, "Python 3.13 or 3.12 or 3.11 where glibc is 2.41", "asks for 3.10"),
        ({"wanted": "3.1"}, "Python 3.13 or 3.12 or 3.11 where glibc is 2.41", "asks for 3.1"),
    ],
)
def test_a_machine_that_no_lock_serves_is_told_what_is_needed(tmp_path, machine, needed, there):
    done = choose(tmp_path, **machine)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("maskline needs ")
    assert needed in line
    assert line.endswith(f"{there}.")


def set_up(folder, *, glibc):
    """Calls `make setup` in a copy, with a uv that notes its environment and its calls, and does nothing."""
    programs = folder / "programs"
    programs.mkdir()
    noted = folder / "noted"
    uv = f'#!/bin/sh\necho "$UV_SYSTEM_CERTS $HTTPS_PROXY $SSL_CERT_FILE: $*" >> {noted}\n'
    for name, text in (
        ("uv", uv),
        ("getconf", f"#!/bin/sh\necho glibc {glibc}\n"),
        ("python3.13", "#!/bin/sh\n"),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    shutil.copytree(LOCKS, folder / "locks")
    for name in ("Makefile", "pyproject.toml", "setup.py"):
        shutil.copy(REPOSITORY / name, folder)
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("UV_", "MAKE", "MASKLINE_"))
    }
    given = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HTTPS_PROXY": "http://proxy:3128",
        "SSL_CERT_FILE": "",
    }
    done = subprocess.run(
        ["make", "setup"], cwd=folder, env=kept | given, capture_output=True, text=True, timeout=PATIENCE
    )
    return done, noted.read_text().splitlines() if noted.exists() else []


def test_the_set_up_trusts_the_system_and_heeds_the_proxy(tmp_path):
    _, calls = set_up(tmp_path, glibc="2.41")
    assert calls
    assert all(call.startswith("1 http://proxy:3128 : ") for call in calls)
    assert "venv --quiet --clear --python 3.13 .venv" in calls[0]
    assert "--require-hashes locks/current.txt locks/current-dev.txt" in calls[1]


def test_nothing_is_downloaded_for_a_machine_that_no_lock_serves(tmp_path):
    done, calls = set_up(tmp_path, glibc="2.27")
    assert (done.returncode, calls) == (2, [])
    assert done.stderr.splitlines()[0].startswith("maskline needs glibc 2.28 or later")


def test_the_fingerprint_reads_the_lock_of_this_machine():
    done = subprocess.run([LOCKS / "choose.sh"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.split()[0] == chosen_stack()
    assert platform.python_version().startswith(done.stdout.split()[1]) or "MASKLINE_PYTHON" in os.environ


@pytest.mark.parametrize("name", ["current", "current-dev", "older", "older-dev", "jax"])
def test_locks_hold_hashes_and_no_addresses(name):
    text = (LOCKS / f"{name}.txt").read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=[a-z0-9])", text)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_current_stack_needs_at_most_two_overrides():
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert len(settings["tool"]["uv"]["override-dependencies"]) <= 2


@pytest.mark.parametrize("name", ["current", "older"])
def test_what_is_left_out_is_in_no_stack(name):
    """That TFX works without it: tests/pipeline/test_imports.py."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    left_out = set(settings["tool"]["uv"]["exclude-dependencies"])
    assert left_out
    assert left_out.isdisjoint(package.name for package in locked(name))
