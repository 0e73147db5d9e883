"""The states in which people, disks and other programs leave a file or a folder."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FOREIGN = b"another program's bytes\n" * 8


def lost(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def emptied(path: Path) -> None:
    if path.is_dir():
        lost(path)
        path.mkdir()
    else:
        os.truncate(path, 0)


def truncated(path: Path) -> None:
    file = largest(path)
    os.truncate(file, file.stat().st_size // 2)


def flipped(path: Path) -> None:
    """One bit, as a disk loses it; size and time stay."""
    file = largest(path)
    stat = file.stat()
    with open(file, "r+b") as opened:
        opened.seek(stat.st_size // 2)
        byte = opened.read(1)[0]
        opened.seek(-1, os.SEEK_CUR)
        opened.write(bytes([byte ^ 4]))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def foreign(path: Path) -> None:
    """A file's content is another program's; a folder holds things that are not ours."""
    if path.is_dir():
        (path / "99").mkdir()
        (path / "notes.txt").write_bytes(FOREIGN)
        (path / "007").symlink_to("nowhere")
    else:
        path.write_bytes(FOREIGN)


def moved(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.moved"))


STATES: dict[str, Callable[[Path], None]] = {
    state.__name__: state for state in (lost, emptied, truncated, flipped, foreign, moved)
}
OF_MOUNTS = READ_ONLY, FULL = "read-only", "full"  # these are of a file system: `mounted`


def largest(path: Path) -> Path:
    """The file itself, or the largest one in a folder."""
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return max(files, key=lambda file: file.stat().st_size)


def size(path: Path) -> int:
    """Bytes of the file itself, or of the largest one in a folder; 0 where there is none."""
    return largest(path).stat().st_size if path.is_file() or any(map(Path.is_file, path.rglob("*"))) else 0


def may_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"]).returncode == 0


@contextmanager
def mounted(path: Path, state: str) -> Iterator[None]:
    """A read-only file system where a file or folder was, or a full one where a folder was; needs root."""
    if state == READ_ONLY:
        _mount("--bind", path, path)
        _mount("-o", "remount,bind,ro", path)
    else:
        kept = path.with_name(f"{path.name}.kept")
        path.rename(kept)
        path.mkdir()
        size = sum(file.stat().st_blocks * 512 for file in kept.rglob("*")) + (1 << 20)
        _mount("-t", "tmpfs", "-o", f"size={size}", "none", path)
        subprocess.run(["cp", "-a", f"{kept}/.", path], check=True)
        shutil.rmtree(kept)
        with open(path / "filler", "wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@contextmanager
def bound(path: Path, elsewhere: Path) -> Iterator[None]:
    """Moves a folder elsewhere and mounts it where it was, as one of another disk; needs root."""
    path.rename(elsewhere)
    path.mkdir()
    _mount("--bind", elsewhere, path)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)
