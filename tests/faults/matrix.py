"""The cells of the matrix: a thing, a state and a command; and what must hold in each."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from tests.faults.commands import COMMANDS, Done, call
from tests.faults.damage import FULL, READ_ONLY, STATES, mounted

SETTINGS = "settings.yaml"
# Of an internal error, whatever its words.
_UNEXPECTED = ("Traceback (most recent call last)", "MASKLINE_TRACEBACK")


class Home(NamedTuple):
    """A root, its data and its settings, side by side in one folder."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def serving(self) -> Path:
        return self.root / "serving" / "maskline"

    @property
    def live(self) -> Path:
        return self.serving / str(
            max(int(path.name) for path in self.serving.iterdir() if path.name.isdigit())
        )

    def artifact(self, name: str) -> Path:
        """The newest artifact of an output, as `Trainer/model`."""
        made = [path for path in (self.root / "artifacts" / name).iterdir() if path.name.isdigit()]
        return max(made, key=lambda path: int(path.name))

    def call(self, command: str) -> Done:
        name, *rest = COMMANDS[command]
        if name == "schema":
            return call(self.folder, name, rest[0], "--config", SETTINGS)
        return call(self.folder, name, "--config", SETTINGS, *rest)


ARTIFACTS = (
    "ExampleGen/examples", "ExampleGen/quarantine", "ImportSchemaGen/schema", "StatisticsGen/statistics",
    "ExampleValidator/anomalies", "DataGate/verdict", "Transform/transform_graph",
    "Transform/transformed_examples", "Trainer/model", "Trainer/model_run", "Trainer/history",
    "Trainer/golden_rows", "ModelChecks/verdict", "ModelChecks/blessing", "Evaluator/evaluation",
    "ReleaseGate/verdict", "ReleaseGate/blessing", "Pusher/pushed_model",
)  # fmt: skip


def things(home: Home) -> dict[str, Path]:
    """All that can be damaged, by the names that the table shows."""
    artifacts = {name: home.artifact(name) for name in ARTIFACTS}
    released = {
        f"live/{file.relative_to(home.live)}": file for file in sorted(home.live.rglob("*")) if file.is_file()
    }
    return {
        "root": home.root,
        "store": home.root / "metadata.sqlite",
        "audit log": home.serving / "audit.jsonl",
        "serving": home.serving,
        "live": home.live,
        **released,
        "artifacts": home.root / "artifacts",
        **artifacts,
        "checkpoints": home.root / "checkpoints",
        "data": home.folder / "data",
        "a shard": sorted((home.folder / "data").iterdir())[0],
        "settings": home.folder / SETTINGS,
    }  # fmt: skip


def states(thing: str) -> Iterable[str]:
    """The states that a thing can be in: only a file system of its own can be full."""
    return [*STATES, READ_ONLY, *([FULL] if thing in ("root", "serving") else [])]


def cells(home: Home) -> Iterator[tuple[str, str, str]]:
    """All cells: a thing, a state and a command."""
    for thing in things(home):
        for state in states(thing):
            for command in COMMANDS:
                yield thing, state, command


class Result(NamedTuple):
    """A cell that was tried."""

    thing: str
    state: str
    command: str
    done: Done
    problems: list[str]


def undamaged(master: Path, home: Home, command: str) -> Done:
    """What a command says where nothing is damaged."""
    _restore(master, home)
    return home.call(command)


def _restore(master: Path, home: Home) -> None:
    shutil.rmtree(home.folder, ignore_errors=True)
    subprocess.run(["cp", "-a", master, home.folder], check=True)


def try_cell(master: Path, home: Home, thing: str, state: str, command: str, usual: Done) -> Result:
    """Copies the finished root to where it was made, damages it, and calls the command.

    It goes to the same place, because what is tried is one damage at a time; a root that moved is a state.
    `usual` is what the command says where nothing is damaged.
    """
    _restore(master, home)
    path = things(home)[thing]
    good = _models(home) | {"candidate": _digest(home.artifact("Trainer/model") / "Format-Serving")}
    if state in STATES:
        STATES[state](path)
    before = _models(home)
    with mounted(path, state) if state in (READ_ONLY, FULL) else nullcontext():
        done = home.call(command)
        after = _models(home)
    problems = [*_words(done, path, usual), *_live(command, good, before, after)]
    return Result(thing, state, command, done, problems)


def _words(done: Done, path: Path, usual: Done) -> Iterator[str]:
    """What the command said: no traceback, and where it was stopped one line that names the place."""
    said = done.out + done.err
    if done.status not in (0, 1, 2, 3):
        yield f"status {done.status}"
    if any(word in said for word in _UNEXPECTED):
        yield "an internal error"
    if done.status == 0 or (done.status, done.err) == (usual.status, usual.err):
        return
    if sum(line.startswith("maskline: ") for line in done.err.splitlines()) > 1:
        yield "more than one line"
    # What lies beside the root is told as it was given.
    places = (path.name,) if path.name == SETTINGS else (str(path), str(path.parent))
    if not any(place in said for place in places):
        yield f"does not name {path.name}"


def _live(command: str, good: dict[str, str], before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """What a server would serve: whole models only, and none that no comparison let through."""
    for version in after.keys() - before.keys():
        if after[version] not in good.values():
            yield f"version {version} is no whole model"
        if command == "run":  # the last run was blocked, and nothing changed but the damage
            yield f"version {version} was released without a comparison"
    for version in before.keys() - after.keys():
        if command != "gc" or version == max(before, key=int):
            yield f"version {version} is gone"
    for version in before.keys() & after.keys():
        if before[version] != after[version]:
            yield f"version {version} was changed"


def _models(home: Home) -> dict[str, str]:
    """Digests of what the versions hold, without what tells of their release."""
    if not home.serving.is_dir():
        return {}
    versions = [path for path in home.serving.iterdir() if path.name.isdigit() and path.is_dir()]
    return {path.name: _digest(path) for path in versions if not path.is_symlink()}


def _digest(model: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(model.rglob("*")):
        if file.is_file() and file.parent.name != "assets.extra" and file.suffix not in (".json", ".md"):
            digest.update(str(file.relative_to(model)).encode() + file.read_bytes())
    return digest.hexdigest()
