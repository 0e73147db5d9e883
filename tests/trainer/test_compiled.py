"""Compiled code is kept for later trainings, changes no result, and never stands in their way."""

import os
import re
from pathlib import Path

import pytest

from maskline.trainer import compiled
from maskline.trainer.compiled import compiled_code
from tests.faults.forks import Forks
from tests.support import REPOSITORY

NAME = "xla_compile_cache__{}__2__XLA_CPU_JIT.pb"
TRAINING = """
import hashlib, logging, sys, tempfile
from contextlib import nullcontext
from pathlib import Path
import tensorflow as tf
from tests.bench import data
from maskline.trainer.compiled import compiled_code
from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import SequenceSpec
kept, rows, epochs, held_out = Path(sys.argv[1]), *map(int, sys.argv[2:])
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
tf.config.threading.set_intra_op_parallelism_threads(1)
small = {"width": 8, "hidden": [16], "dropout": 0.1}
settings = TrainerSettings.model_validate({"model": small, "training": {"epochs": epochs, "xla": "on"}})
with (compiled_code(kept, threads=1) if kept.name != "nothing" else nullcontext()):
    train, held_out = (data.drawn(n, seed=s).rows for n, s in ((rows, 1), (held_out, 2)))
    with tempfile.TemporaryDirectory() as scratch:
        model, history = fit(train, held_out, SequenceSpec(), settings,
                             log_dir=Path(scratch, "logs"), checkpoints=Path(scratch, "checkpoints"))
figures = [sorted(entry.items()) for entry in history for _ in [entry.pop("seconds")]]
print("RESULT", hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest(), figures)
"""


@pytest.mark.slow
def test_a_later_training_compiles_nothing_and_ends_with_the_same_weights_to_the_last_bit(tmp_path):
    (tmp_path / "train.py").write_text(TRAINING)
    # Each training has a process of its own, in which TensorFlow is imported and has done nothing.
    forks = Forks("tests.bench.data", "maskline.trainer.fit", "maskline.trainer.compiled")

    def trained(kept, rows=700, epochs=2, held_out=300):
        """The result, and how many programs were at hand and compiled."""
        numbers = map(str, (rows, epochs, held_out))
        done = forks.run([str(tmp_path / "train.py"), str(kept), *numbers], cwd=REPOSITORY)
        assert done.returncode == 0, done.stderr
        found = re.search(r"XLA: (\d+) programs of earlier trainings at hand, (\d+) compiled", done.stdout)
        return re.search("RESULT.*", done.stdout)[0], found and tuple(map(int, found.groups()))

    kept = tmp_path / 'it\'s "kept"' / "compiled"
    alone, _ = trained(tmp_path / "nothing")
    assert trained(kept) == (alone, (0, 2))
    # The next night: other numbers of rows, so of steps too, and of batches that are measured.
    another, _ = trained(tmp_path / "nothing", 650, 3, 250)
    assert trained(kept, 650, 3, 250) == (another, (2, 0))
    for file in kept.glob("*/*"):
        file.write_bytes(file.read_bytes()[:-1])
    assert trained(kept) == (alone, (0, 2))
    forks.close()


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    return tmp_path / "compiled"


def names(folder):
    return sorted(path.name for path in folder.glob("*/*"))


def at_hand(kept, *, adds=(), threads=1):
    """What XLA would find; `adds` are numbers of programs that it compiles."""
    with compiled_code(kept, threads=threads):
        folder = Path(re.search('directory="(.*)" --', os.environ["TF_XLA_FLAGS"])[1])
        found = {file.name: file.read_bytes() for file in folder.iterdir()}
        for number in adds:
            (folder / NAME.format(number)).write_bytes(b"code %d" % number)
    assert not folder.exists()
    assert "TF_XLA_FLAGS" not in os.environ
    return found


def test_what_one_compiles_the_next_finds(kept):
    assert at_hand(kept, adds=[1, 2]) == {}
    assert at_hand(kept, adds=[3]) == {NAME.format(n): b"code %d" % n for n in (1, 2)}
    assert len(at_hand(kept)) == 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "renamed", "empty"])
def test_damaged_file_is_dropped_with_a_warning(kept, caplog, damage):
    at_hand(kept, adds=[1, 2])
    [file] = kept.glob(f"*/{NAME.format(1)}")
    content = file.read_bytes()
    if damage == "renamed":
        file = file.rename(file.with_name(NAME.format(7)))
    else:
        file.write_bytes({"cut": content[:-1], "flipped": content[:-1] + b"?", "empty": b""}[damage])
    assert list(at_hand(kept)) == [NAME.format(2)]
    assert f"{file} is damaged" in caplog.text
    assert names(kept) == [NAME.format(2)]


def test_what_is_not_ours_is_neither_read_nor_removed(kept, monkeypatch):
    monkeypatch.setattr(compiled, "_MOST", 0)
    at_hand(kept, adds=[1])
    [folder] = kept.iterdir()
    (folder / "notes.txt").write_text("mine")
    (folder / NAME.format(5)).mkdir()
    assert at_hand(kept, adds=[2]) == {}
    assert names(kept) == ["notes.txt", NAME.format(5)]


def test_those_used_longest_ago_make_room(kept, monkeypatch):
    at_hand(kept, adds=[1, 2])
    at_hand(kept, adds=[3], threads=2)
    for file in kept.glob("*/*"):
        os.utime(file, (100, 300 if "__3__" in file.name else 200))
    at_hand(kept)  # uses 1 and 2
    monkeypatch.setattr(compiled, "_MOST", 3 * (32 + len(b"code 1")))
    at_hand(kept, adds=[4], threads=3)
    assert names(kept) == [NAME.format(n) for n in (1, 2, 4)]


def test_code_for_another_machine_is_not_read(kept, tmp_path, monkeypatch):
    at_hand(kept, adds=[1])
    assert at_hand(kept, threads=2) == {}
    with monkeypatch.context() as other:
        other.setattr(os, "sched_getaffinity", lambda _: range(99))
        assert at_hand(kept) == {}
    with monkeypatch.context() as other:
        other.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
        assert at_hand(kept) == {}
    (tmp_path / "cpuinfo").write_text("flags\t\t: sse\ncpu MHz\t\t: 1\n\nflags\t\t: avx\n")
    monkeypatch.setattr(compiled, "_CPUINFO", tmp_path / "cpuinfo")
    assert at_hand(kept, adds=[2]) == {}
    (tmp_path / "cpuinfo").write_text("flags\t\t: sse\ncpu MHz\t\t: 2\n\nflags\t\t: avx\n")  # its clock alone
    assert list(at_hand(kept)) == [NAME.format(2)]


def test_folder_that_cannot_be_used_costs_nothing_but_a_warning(kept, caplog):
    kept.write_text("a file")
    assert at_hand(kept, adds=[1]) == {}
    assert "compiled code cannot be kept" in caplog.text


def test_flags_of_the_user_stay(kept, monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_persistent_cache_directory=")
    with compiled_code(kept, threads=1):
        assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_persistent_cache_directory="
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_min_cluster_size=2")
    with compiled_code(kept, threads=1):
        assert os.environ["TF_XLA_FLAGS"].startswith("--tf_xla_min_cluster_size=2 --tf_xla_persistent")
    assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_min_cluster_size=2"
