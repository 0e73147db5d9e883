"""A Debian machine of its own: a root made by mmdebstrap, in which a command runs on the last commit.

Usage: python3 -m tests.debian SUITE FOLDER COMMAND...

Needs root, git and mmdebstrap, and of Python only what comes with it: it runs before any set-up. A second
call goes on with the same root and its environment. What the command starts ends with it.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
# What README asks for: git, make, and Python with venv.
PACKAGES = "git,make,python3,python3-venv,ca-certificates"
CERTIFICATES = Path("/etc/ssl/certs")
# Where packages come from may be another place than the public one, and behind a proxy.
PASSED_ON = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip
# In namespaces of their own, mounts and processes are gone when the command ends.
ENTER = """
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
root=$1; shift
exec chroot "$root" sh -c 'cd /maskline && exec "$@"' sh "$@"
"""


def make_root(suite: str, root: Path) -> None:
    """Makes a root of Debian's packages that trusts whom this machine trusts; keeps one that is there."""
    if not (root / "etc/debian_version").exists():
        root.mkdir(parents=True, exist_ok=True)
        call = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={PACKAGES}"]
        subprocess.run([*call, suite, root], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(root / "etc/ssl/certs")
        shutil.copytree(CERTIFICATES, root / "etc/ssl/certs", ignore_dangling_symlinks=True)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    shutil.copy("/etc/hosts", root / "etc/hosts")


def check_out(root: Path) -> None:
    """Brings the last commit into the root."""
    checkout = root / "maskline"
    if not (checkout / ".git").exists():
        subprocess.run(["git", "clone", "--quiet", REPOSITORY, checkout], check=True)
    subprocess.run(["git", "-C", checkout, "fetch", "--quiet", REPOSITORY, "HEAD"], check=True)
    subprocess.run(["git", "-C", checkout, "reset", "--quiet", "--hard", "FETCH_HEAD"], check=True)


def run(root: Path, command: Sequence[str]) -> int:
    """Runs a command in the root's checkout; gives its status."""
    # No variable names the certificates: the set-up has to find the system's.
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    environment |= {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", ENTER, "sh", str(root)]
    return subprocess.run([*alone, *command], env=environment).returncode


if __name__ == "__main__":
    suite, folder, *command = sys.argv[1:]
    if os.geteuid() or not shutil.which("mmdebstrap"):
        sys.exit("a Debian root needs root and mmdebstrap; `make builder` installs it")
    # `subprocess.run` then kills what it started, and with it all that runs in the root.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    make_root(suite, Path(folder))
    check_out(Path(folder))
    sys.exit(run(Path(folder), command))
