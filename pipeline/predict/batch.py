"""`maskline predict --data`: answers whole files. Output appears whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from maskline.pipeline.engines.check import check_engine, check_shared, engine_error
from maskline.pipeline.local import lock
from maskline.pipeline.local.streams import quiet_tensorflow
from maskline.pipeline.predict import files
from maskline.pipeline.predict.files import FileKind
from maskline.pipeline.predict.part import PROGRESS, QUARANTINE, Request, signature_for
from maskline.pipeline.predict.progress import AnswerProgress
from maskline.pipeline.predict.report import REPORT_FILE, PredictReport
from maskline.pipeline.predict.rows import Fields
from maskline.pipeline.predict.served import choose_version, language_of
from maskline.pipeline.predict.writers import Format
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError, cannot_write


class PredictOptions(BaseModel):
    """What is answered, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path
    out: Path
    version: int | None = None
    format: Format = Format.JSON_LINES
    logits: bool = False
    text: str = "text"
    key: str = ""


def predict(settings: Settings, options: PredictOptions, progress: AnswerProgress) -> PredictReport:
    """Asks a released model about all rows of some files.

    Args:
      settings: where the released versions lie, how Beam runs, and whether a damaged file ends it.
      options: what is asked.
      progress: shows how far it is.

    Returns:
      what became of the rows; `options.out` holds the answers, the report, and `quarantine/` if there are
      bad rows.

    Raises:
      InputError: the output exists; there is no such file, version or signature; or a file cannot be used.
      BusyError: another process writes the same output.
    """
    out = options.out.absolute()
    if out.exists() or out.is_symlink():
        raise InputError(f"{options.out}: exists; give a new folder for the answers, or remove it")
    version = choose_version(settings.serving_dir.absolute(), options.version)
    check_shared(settings.beam, {"--data": options.data, "--out": out, "root": settings.root})
    listing = files.find(options.data)
    sources = files.sources(listing)
    _check_key(options, {source.kind for source in sources})
    # Under another name first, so that a killed run leaves no folder with half the answers.
    partial = out.with_name(f".{out.name}.partial")
    request = Request(
        folder=Path(listing.folder),
        out=partial,
        parts=len(sources),
        model=version.path,
        version=version.number,
        identity=version.identity,
        spec=language_of(version),
        format=options.format,
        logits=options.logits,
        fields=Fields(options.text, options.key),
        keep_readable=settings.data.on_corrupt == "quarantine",
    )
    with _alone(partial):
        with quiet_tensorflow():
            for kind in sorted({source.kind for source in sources}):
                signature_for(kind, request)  # so that a model that cannot be asked is found before the job
        check_engine(settings.beam, {})
        with progress.watching(partial / PROGRESS, len(sources)), quiet_tensorflow(), _unwrapped():
            from maskline.pipeline.predict.beam import answer_all  # Beam takes seconds to import

            answer_all(sources, request, settings.beam.options)
        return _publish(partial, out)


def _check_key(options: PredictOptions, kinds: set[FileKind]) -> None:
    if options.key and FileKind.TEXT in kinds:
        raise InputError(
            f"--key {options.key}: lines of text have no fields; give JSON Lines, whose names end in .jsonl"
        )


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """An empty folder for what is not whole yet; what a killed run left in it is removed, and so is it."""
    with lock.hold(partial, advice="give write access, or another --out"):
        try:
            for left in partial.iterdir():
                if left.name != lock.FILE:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            (partial / PROGRESS).mkdir()
            (partial / QUARANTINE).mkdir()
            yield
        except OSError as error:
            raise cannot_write(partial, error) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _publish(partial: Path, out: Path) -> PredictReport:
    """Gives the folder its name. Only what belongs to the answers is in it."""
    report = PredictReport.model_validate_json((partial / REPORT_FILE).read_text(encoding="utf-8"))
    shutil.rmtree(partial / PROGRESS)
    for hidden in partial.rglob(".*"):  # of attempts that an engine gave up
        hidden.unlink()
    with suppress(OSError):
        (partial / QUARANTINE).rmdir()  # where it is empty
    (partial / lock.FILE).unlink()
    try:
        partial.rename(out)
    except OSError as error:
        raise cannot_write(out, error) from None
    return report


@contextmanager
def _unwrapped() -> Iterator[None]:
    """Beam raises a copy of an error, with the name of its step behind the text; an engine has its text."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).partition(" [while running")[0]) from None
    except RuntimeError as error:
        raise engine_error(error) or error from error
