"""The cells of the matrix: a thing, a state and a command; and what must hold in each."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from tests.faults.commands import COMMANDS, Done, call
from tests.faults.damage import FULL, OF_MOUNTS, READ_ONLY, STATES, flipped, mounted, size, truncated
from tests.faults.looks import Looks, looks

SETTINGS = "settings.yaml"
# Of an internal error, whatever its words.
_UNEXPECTED = ("Traceback (most recent call last)", "MASKLINE_TRACEBACK")

_FINISHED = (0, 3)  # released, or a gate's no
# What a person does where a run refuses, by the state that it met: docs/faults.md.
_WAY_ON = {READ_ONLY: "mount it for writing", FULL: "make room"}


def arguments(command: str) -> tuple[str, ...]:
    """What is typed behind `maskline`."""
    name, *rest = COMMANDS[command]
    group = rest[:1] if name == "schema" else []
    return (name, *group, "--config", SETTINGS, *rest[len(group) :])


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
        return call(self.folder, *arguments(command))


ARTIFACTS = (
    "ExampleGen/examples", "ExampleGen/quarantine", "ImportSchemaGen/schema", "StatisticsGen/statistics",
    "ExampleValidator/anomalies", "DataGate/verdict", "Transform/transform_graph",
    "Transform/transformed_examples", "Trainer/model", "Trainer/model_run", "Trainer/history",
    "Trainer/golden_rows", "ModelChecks/verdict", "ModelChecks/blessing", "Evaluator/evaluation",
    "ReleaseGate/verdict", "ReleaseGate/blessing", "Pusher/pushed_model",
)  # fmt: skip

WRITTEN = ("root", "serving", "artifacts", "checkpoints")  # folders that commands write to


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


def states(thing: str, path: Path) -> Iterable[str]:
    """The states that a thing can be in: what has bytes can lose them, and what is written to can be full."""
    of_bytes = (truncated.__name__, flipped.__name__)
    possible = [state for state in STATES if state not in of_bytes or size(path)]
    return [*possible, READ_ONLY, *([FULL] if thing in WRITTEN else [])]


class Cell(NamedTuple):
    """A thing, the state that it is in, and the command that is called."""

    thing: str
    state: str
    command: str

    @property
    def name(self) -> str:
        return ": ".join(self)


def cells(home: Home) -> Iterator[Cell]:
    """All cells. Those of one command follow each other, the quick commands first; `run` takes longest."""
    for command in COMMANDS:
        pairs = [(thing, state) for thing, path in things(home).items() for state in states(thing, path)]
        if command == "run":  # what is likely to tell most comes first, as whoever tries may stop
            pairs.sort(key=_weight)
        for thing, state in pairs:
            yield Cell(thing, state, command)


def _weight(pair: tuple[str, str]) -> int:
    thing, state = pair
    if "/" not in thing:
        return 0
    if state == "lost":
        return 1 if thing in ARTIFACTS else 2
    return 3 if state in ("flipped", "foreign", READ_ONLY) else 4


class Result(NamedTuple):
    """A cell that was tried: the exit status, what it said, what is wrong, and the way on.

    `step` is what a person did after a run that refused, and `then` the exit status of the run after it.
    What a command does not look at cannot change what it does, and was not `tried`.
    """

    cell: Cell
    status: int
    said: str
    problems: list[str]
    step: str = ""
    then: int | None = None
    tried: bool = True


def undamaged(master: Path, home: Home, command: str) -> Done:
    """What a command says where nothing is damaged."""
    _restore(master, home)
    return home.call(command)


def look(master: Path, home: Home, command: str) -> Looks | None:
    """What a command looks at where nothing is damaged."""
    _restore(master, home)
    return looks(home.folder, arguments(command))


def _restore(master: Path, home: Home) -> None:
    shutil.rmtree(home.folder, ignore_errors=True)
    subprocess.run(["cp", "-a", master, home.folder], check=True)


def try_cell(master: Path, home: Home, cell: Cell, usual: Done) -> Result:
    """Copies the finished root, damages it, and calls the command; after a run that refused, the way on.

    Args:
      master: the folder with the finished root, its data and its settings.
      home: where the copy goes: always to one place, so that one thing at a time is tried.
      cell: what is tried.
      usual: what the command says where nothing is damaged.
    """
    _restore(master, home)
    path = things(home)[cell.thing]
    good = _models(home) | {"candidate": _digest(home.artifact("Trainer/model") / "Format-Serving")}
    if cell.state in STATES:
        STATES[cell.state](path)
    before, known = _models(home), _knows_releases(home)
    with mounted(path, cell.state) if cell.state in OF_MOUNTS else nullcontext():
        done = home.call(cell.command)
        after = _models(home)
    problems = [*_words(done, path, usual), *_live(cell.command, good, before, after, known=known)]
    step, then = "", None
    if cell.command == "run" and done.status not in _FINISHED:
        step = _WAY_ON.get(cell.state, "put it back")
        if step != _WAY_ON[READ_ONLY]:
            _put_back(master, home, path)
        then = home.call("run").status
        if then not in _FINISHED:
            problems.append(f"the next run ends with {then}, though it was told to {step}")
        problems += _live("run", good, before, _models(home), known=known)
    return Result(cell, done.status, (done.out + done.err)[-2000:], problems, step, then)


def _put_back(master: Path, home: Home, path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", master / path.relative_to(home.folder), path], check=True)


def _words(done: Done, path: Path, usual: Done) -> Iterator[str]:
    """What the command said: no traceback, and where it was stopped one line that names the place."""
    said = done.out + done.err
    if done.status not in (0, 1, 2, 3, 4):
        yield f"status {done.status}"
    if any(word in said for word in _UNEXPECTED):
        yield "an internal error"
    if done.status == 0 or (done.status, done.err) == (usual.status, usual.err):
        return
    if sum(line.startswith("maskline: ") for line in done.err.splitlines()) > 1:
        yield "more than one line"
    # What lies beside the root is told as it was given. An empty file leaves all settings at their defaults,
    # so that commands speak of the default root and data.
    defaults = ("maskline-root", "data/reference")
    places = (path.name, *defaults) if path.name == SETTINGS else (str(path), str(path.parent))
    # A file of a version is told by its path within the version, which stands before it.
    version = next((p for p in path.parents if p.name.isdigit() and p.parent.name == "maskline"), None)
    within = version and f"{version}: " in said and str(path.relative_to(version)) in said
    if not within and not any(place in said for place in places):
        yield f"does not name {path.name}"


def _knows_releases(home: Home) -> bool:
    """Whether anything is left that says what was released."""
    return any(file.exists() for file in (home.root / "metadata.sqlite", home.serving))


def _live(
    command: str, good: dict[str, str], before: dict[str, str], after: dict[str, str], *, known: bool
) -> Iterator[str]:
    """What a server would serve: whole models only, and none that no comparison let through.

    Where nothing of the root is left, its first run has nothing to compare with.
    """
    for version in after.keys() - before.keys():
        if known and after[version] not in good.values():
            yield f"version {version} is no whole model"
        if command == "run" and known:  # the last run was blocked, and nothing changed but the damage
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
