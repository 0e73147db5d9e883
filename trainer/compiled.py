"""Keeps the code that XLA compiled for the trainings to come. Files of it are checked before XLA reads them.

TensorFlow itself can keep compiled code in a folder. But it fails on a file that is damaged, writes files in
place, does not ask which processor the code was made for, and removes nothing. So each training gives it a
folder of its own, with copies of the files that hold, and what is new in there is taken over afterwards.
"""

import hashlib
import logging
import os
import platform
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

logger = logging.getLogger("maskline.compiled")  # what loggers of the trainer say is shown as its progress

_FLAGS = "TF_XLA_FLAGS"
_FOLDER_FLAG = "--tf_xla_persistent_cache_directory"
_NAME = re.compile(r"xla_compile_cache__\d+__\d+__XLA_CPU_JIT\.pb")
_PARTIAL = re.compile(r"[0-9a-f]{32}\.partial")
_MOST = 32 << 20  # bytes of all files; a training at the default settings makes 1.5 MB
_CPUINFO = Path("/proc/cpuinfo")
_SUM = hashlib.sha256().digest_size
# What LLVM chooses instructions by, of the first processor.
_PROCESSOR = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")


@contextmanager
def compiled_code(folder: Path, *, threads: int) -> Iterator[None]:
    """Within it, XLA takes from a folder what an earlier process compiled there, and adds what it compiles.

    The name of a program covers all of it and the shapes of what goes in: the results are those of a new
    compilation, to the last bit. Whatever is wrong with the folder costs a compilation and no more. Enter it
    before TensorFlow runs the process's first op: TensorFlow reads its flags once.

    Args:
      folder: for all trainings; several may use it at the same time.
      threads: of one TensorFlow operation, as `training.threads`.
    """
    given = os.environ.get(_FLAGS, "")
    if _FOLDER_FLAG in given:  # the user keeps compiled code elsewhere, or nowhere
        yield
        return
    shelf = _Shelf(folder / _machine(threads))
    with tempfile.TemporaryDirectory(prefix="maskline-compiled-", ignore_cleanup_errors=True) as own:
        here = Path(own).absolute()
        known = shelf.lay_out(here)
        quoted = str(here).replace("\\", r"\\").replace('"', r"\"")
        ours = f'{_FOLDER_FLAG}="{quoted}" --tf_xla_persistent_cache_device_types=CPU'
        os.environ[_FLAGS] = f"{given} {ours}".strip()
        try:
            yield
        finally:  # TensorFlow has read them, and other processes are not to write there
            os.environ.pop(_FLAGS)
            if given:
                os.environ[_FLAGS] = given
        shelf.take_over(here, known)


class _Shelf:
    """The files of one kind of machine: each is the checksum of name and content, and the content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lay_out(self, there: Path) -> set[str]:
        """Copies the files that hold; removes damaged ones. Returns the names of the copies."""
        laid: set[str] = set()
        try:
            for file in self._folder.iterdir() if self._folder.is_dir() else ():
                if not _NAME.fullmatch(file.name) or not file.is_file():
                    continue
                held = file.read_bytes()
                if held[:_SUM] != _sum_of(file.name, held[_SUM:]):
                    logger.warning("%s is damaged: dropped, and compiled again", file)
                    file.unlink()
                    continue
                os.utime(file)  # used last: it goes last
                (there / file.name).write_bytes(held[_SUM:])
                laid.add(file.name)
        except OSError as error:
            logger.warning("compiled code cannot be read: %s", error)
        return laid

    def take_over(self, there: Path, known: set[str]) -> None:
        """Adds the files that are new, and removes those used longest ago where there are too many."""
        new = [file for file in there.iterdir() if _NAME.fullmatch(file.name) and file.name not in known]
        if known or new:
            logger.info("XLA: %d programs of earlier trainings at hand, %d compiled", len(known), len(new))
        try:
            for file in new:
                self._folder.mkdir(parents=True, exist_ok=True)
                content = file.read_bytes()
                partial = self._folder / f"{uuid.uuid4().hex}.partial"
                partial.write_bytes(_sum_of(file.name, content) + content)
                partial.rename(self._folder / file.name)
            if new:
                _prune(self._folder.parent)
        except OSError as error:
            logger.warning("compiled code cannot be kept: %s", error)


def _prune(folder: Path) -> None:
    """Removes the files used longest ago, of any machine, until the others fit."""
    ours = [p for p in folder.glob("*/*") if _NAME.fullmatch(p.name) or _PARTIAL.fullmatch(p.name)]
    ages = sorted(((stat := p.stat()).st_mtime, stat.st_size, p) for p in ours if p.is_file())
    size = sum(size for _, size, _ in ages)
    for _, its, path in ages:
        if size <= _MOST:
            return
        path.unlink(missing_ok=True)
        size -= its


def _sum_of(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + content).digest()


def _machine(threads: int) -> str:
    """A name for all that compiled code depends on and its own name does not say."""
    first, _, _ = _CPUINFO.read_text().partition("\n\n")
    parts = [line for line in first.splitlines() if line.partition(":")[0].strip() in _PROCESSOR]
    parts += [platform.machine(), f"{len(os.sched_getaffinity(0))} cores, {threads} threads"]
    parts += [tf.version.VERSION, str(tf.version.GIT_VERSION)]
    parts += [os.environ.get("XLA_FLAGS", ""), os.environ.get(_FLAGS, "")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
