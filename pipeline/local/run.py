"""Runs the pipeline on this machine. Imports TFX only when there is something to do."""

import logging
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

from maskline.components.ingest.spans import is_pattern
from maskline.components.model_checks.asking import started_early
from maskline.components.pusher import audit
from maskline.components.pusher.contents import look
from maskline.components.release_gate.unknown_live import UnknownLive
from maskline.pipeline import machine
from maskline.pipeline.console import Console
from maskline.pipeline.engines import check as engines
from maskline.pipeline.errors import RunError
from maskline.pipeline.imports import lean_imports
from maskline.pipeline.local import inputs, lock, memory, own_model, scratch
from maskline.pipeline.local.depends import depends_on, short_digest
from maskline.pipeline.local.inputs import Delivery
from maskline.pipeline.local.space import Need
from maskline.pipeline.local.streams import sent_to
from maskline.pipeline.registry import inventory, live, releases
from maskline.pipeline.registry.history import History
from maskline.pipeline.registry.record import OF_SPAN, Run
from maskline.pipeline.registry.store import connect, settle
from maskline.pipeline.settings.load import Loaded
from maskline.pipeline.settings.remembered import remember
from maskline.pipeline.settings.sections import Settings
from maskline.pipeline.signals import Interrupted
from maskline.pipeline.tracking import after as tracking
from maskline.trainer import size
from maskline.trainer.settings import TrainerSettings
from maskline.transform.errors import InputError, MachineError, cannot_write
from maskline.transform.names import VERSION, ArtifactType, Exit

logger = logging.getLogger(__name__)


def run_locally(
    loaded: Loaded, console: Console, *, accept_unknown_live: bool = False, only_ingest: bool = False
) -> Exit:
    """Runs what is not up to date and says how it went.

    Args:
      loaded: the run's settings; the root remembers them.
      console: where progress and summary go.
      accept_unknown_live: release also where the live model cannot be compared with; the audit log keeps it.
      only_ingest: end at the data gate; the span must be one of several.

    Returns:
      the exit status: 0 released or nothing new to do, 3 a gate stopped it, 1 it failed.

    Raises:
      InputError: the user's input is wrong.
      MachineError: the machine refused before anything ran.
      BusyError: another process works on the root.
      Interrupted: a signal came; what was at work is ended, and recorded as such.
    """
    spans, notes = inputs.find_data(loaded.settings.data)
    for note in notes:
        console.warn(note)
    settings = loaded.settings.model_copy(update={"data": spans[-1].data})
    training = TrainerSettings(model=settings.model, training=settings.training)
    memory.check(settings.sequence, training)
    engines.check_engine(settings.beam, {"root": settings.root, "data.path": Path(spans[-1].listing.folder)})
    tracking.check(settings)
    schema = inputs.read_schema(settings.data.schema_file, settings.sequence)
    if only_ingest and not is_pattern(settings.data.path):
        raise InputError(
            f"--only-ingest: {settings.data.path} has no spans; data.path needs {{SPAN}} or a date"
        )
    versions = [span.listing.digest for span in spans]
    inputs_digest = depends_on(settings, schema, versions)
    with lock.hold(settings.root):
        if not only_ingest:  # part of a backfill, whose options are not the user's
            remember(loaded)
        unknown = _prepare(settings, console, accepted=accept_unknown_live)
        if previous := None if unknown or only_ingest else _unchanged(settings, inputs_digest):
            console.unchanged(previous)
            if tracking.is_behind(settings):
                tracking.catch_up(settings, console.warn)
            return previous.exit
        shards = [shard for span in spans for shard in span.listing.paths]
        need = Need.of(settings.root, shards, parameters=size.parameters(settings.sequence, training))
        need.check()
        with lean_imports(clouds=settings.beam.is_elsewhere):
            from maskline.pipeline.local import fit  # decodes rows: not needed where nothing changed

        for span in spans:
            fit.check(loaded, span.listing.paths)
        name = datetime.now().strftime("%Y-%m-%dT%H-%M-%S.%f")
        log = settings.root / "logs" / f"{name}.log"
        try:
            with (
                scratch.folder(settings.root, name),
                _everything_logged_to(log, console),
                nullcontext() if only_ingest else started_early(),
            ):
                failure = _attempt(
                    settings, name, schema, spans, need, console, unknown, only_ingest=only_ingest
                )
        except Interrupted:
            History(settings.metadata_file, settings.serving_dir).close_abandoned(canceled=True)
            console.note(f"log: {log}")
            raise
        if failure and _read(settings, name).blocked:
            failure = None  # Transform may fail on rows that the data gate holds back; the log has it
        if isinstance(failure, InputError):
            console.note(f"log: {log}")
            _report(settings, name, log, console)
            raise failure
        store = connect(settings.metadata_file)
        inventory.note(store, settings.root)
        releases.reconcile(store, settings.serving_dir)
        del store  # before the report forks
        if only_ingest:
            ingested = _read(settings, f"{name}{OF_SPAN}{settings.data.span}")
            return Exit.ERROR if failure else Exit.BLOCKED if ingested.blocked else Exit.OK
        result = _read(settings, name)
        console.summary(result, log, failure)
        failed = bool(failure) or result.exit is Exit.ERROR
        if not failed:
            History(settings.metadata_file, settings.serving_dir).finish(name, inputs_digest)
        _report(settings, name, log, console)
        return Exit.ERROR if failed else result.exit


def _read(settings: Settings, name: str) -> Run:
    return History(settings.metadata_file, settings.serving_dir, read_only=True).run(name)


def _report(settings: Settings, name: str, log: Path, console: Console) -> None:
    """Reports what became of the run, which that cannot change. No store is open: this forks."""
    from maskline.pipeline.report.at_end import make_report

    console.reported(make_report(settings, name, log), log)
    tracking.catch_up(settings, console.warn)


def _prepare(settings: Settings, console: Console, *, accepted: bool) -> UnknownLive | None:
    """Brings the store in line with the files, and looks whether the live model can be compared with.

    The store is closed on return: SQLite must not cross a fork.
    """
    store = connect(settings.metadata_file)
    for artifact in settle(store, settings.root):
        then = "it is made again where it is needed"
        if artifact.type == ArtifactType.STATISTICS:
            then += ", and until then no span is compared with it"
        console.note(f"{settings.root / artifact.uri}: is gone or damaged; {then}")
    releases.reconcile(store, settings.serving_dir)
    recorded = max((r.properties[VERSION].int_value for r in releases.releases(store)), default=0)
    problem = live.comparable(settings.serving_dir, recorded=recorded)
    contents = look(settings.serving_dir)
    for note in [*contents.notes, *audit.problems(settings.serving_dir)]:
        console.warn(note)
    if not problem:
        return None
    return UnknownLive(problem=problem, way_on=live.way_on(contents), accepted=accepted)


def _unchanged(settings: Settings, depends_on: str) -> Run | None:
    """The last run, if it still holds. The store is closed on return."""
    history = History(settings.metadata_file, settings.serving_dir)
    history.close_abandoned()
    return history.unchanged(depends_on)


def _attempt(
    settings: Settings,
    name: str,
    schema: str,
    spans: Sequence[Delivery],
    need: Need,
    console: Console,
    unknown: UnknownLive | None,
    *,
    only_ingest: bool,
) -> Exception | None:
    """Builds the pipeline and runs it, older spans of the window before; gives what stopped it."""
    # Nodes work in the root and know it as `.`, so that the store and the cache hold no path to it.
    inside = settings.model_copy(update={"root": Path()})
    schema_file = f"schemas/{short_digest(schema)}.pbtxt"
    try:
        (settings.root / schema_file).parent.mkdir(parents=True, exist_ok=True)
        (settings.root / schema_file).write_text(schema, encoding="utf-8")
        with console.working("loading TFX"), lean_imports(clouds=settings.beam.is_elsewhere):
            from maskline.pipeline.dag import create_pipeline
            from maskline.pipeline.local import window
            from maskline.pipeline.local.beam_options import check_beam_options
            from maskline.pipeline.local.runner import ForkingRunner
        own_model.check(settings)
        check_beam_options(settings.beam.args)
        if only_ingest:
            window.ingest_older(settings, spans[-1:], name, schema_file, console)
            return None
        *older, newest = spans
        if older:
            window.ingest_older(settings, older, name, schema_file, console)
            console.note(f"span {newest.name}:")
        pipeline = create_pipeline(
            inside,
            schema_file=schema_file,
            listing=newest.listing,
            ahead=True,
            unknown_live=unknown,
            window=[int(span.data.span) for span in spans] if settings.data.window > 1 else (),
        )
        from maskline.pipeline.report import at_end

        runner = ForkingRunner(name, console, need=need, root=settings.root, meanwhile=at_end.prepare)
        runner.run(pipeline)
    except (InputError, MachineError, RunError) as error:
        logger.error("%s", error)  # `maskline show` finds the cause there
        return error
    except Exception as error:  # whatever TFX raises while it builds the pipeline
        traceback.print_exc()
        words = machine.in_words(error, **need.in_words)
        failure = (
            MachineError(words) if words else RunError(f"{type(error).__name__}: {error}".splitlines()[0])
        )
        logger.error("%s", failure)
        return failure
    return None


@contextmanager
def _everything_logged_to(log: Path, console: Console) -> Iterator[None]:
    """Sends what Python, C++ and child processes write to the log; only the console is shown."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = open(log, "ab", buffering=0)  # noqa: SIM115, closed below
    except OSError as error:
        raise cannot_write(log.parent, error) from None
    with file, console.on_its_own_screen(), sent_to(file, 1, 2):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger()
        before, root.handlers, level = root.handlers, [handler], root.level
        root.setLevel(logging.INFO)
        try:
            yield
        finally:
            if console.lost:
                logger.warning("standard output did not take all that was shown: %s", console.lost.strerror)
            root.handlers = before
            root.setLevel(level)
