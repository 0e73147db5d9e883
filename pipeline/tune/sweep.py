"""A sweep from the ordinary run before it to the settings to paste."""

import json
import tempfile
from pathlib import Path

from maskline.pipeline.console import Console
from maskline.pipeline.local.depends import depends_on, short_digest
from maskline.pipeline.local.inputs import find_data, read_schema
from maskline.pipeline.local.lock import hold
from maskline.pipeline.local.run import run_locally
from maskline.pipeline.local.streams import quiet_tensorflow
from maskline.pipeline.registry.history import History
from maskline.pipeline.settings.load import Loaded
from maskline.transform.errors import InputError
from maskline.transform.names import EVAL, Exit


def sweep(loaded: Loaded, console: Console, *, trials: int, minutes: float) -> Exit:
    """Makes the run, then the trials, and says what they found.

    Returns:
      0, or the exit status of a run that trained nothing.

    Raises:
      InputError: see `run_locally`; or no trial could be trained.
    """
    settings = loaded.settings
    status = run_locally(loaded, console)
    run = History(settings.metadata_file, settings.serving_dir, read_only=True).latest()
    if run is None or run.learned is None:
        return status or Exit.ERROR
    spans, _ = find_data(settings.data)
    at = settings.model_copy(update={"data": spans[-1].data})
    schema = read_schema(settings.data.schema_file, settings.sequence)
    depends = depends_on(at, schema, [span.listing.digest for span in spans])
    wanted = json.dumps(settings.model_dump(mode="json", include={"tune"}), sort_keys=True)
    folder = settings.root / "tune" / short_digest(depends, wanted)
    with (
        hold(settings.root),
        quiet_tensorflow(),
        tempfile.TemporaryDirectory(prefix="maskline-rows-") as rows,
    ):
        from maskline.pipeline.tune.rows import rows_of
        from maskline.pipeline.tune.search import search

        found = search(
            loaded, rows_of(settings, run.run, Path(rows)), folder,
            trials=trials, minutes=minutes, say=console.note,
        )  # fmt: skip
    from maskline.pipeline.tune import report

    known = [trial for trial in found.ended if trial.losses]
    if not known:
        whys = [trial.why for trial in found.ended if trial.why]
        raise InputError(f"tune: no trial could be trained: {whys[0] if whys else 'the time was over'}")
    console.table(report.trials_table(found.ended))
    report.write_page(folder / "sweep.html", found.ended, EVAL)
    console.note(f"picture: {folder / 'sweep.html'}")
    before = run.learned.chosen.loss
    if known[0].loss >= before:
        console.note(f"No trial has a lower loss than the settings as they are, {before:.4f}.")
        return Exit.OK
    console.note(f"The settings as they are have a loss of {before:.4f}; to paste:")
    for line in report.to_paste(known[0]):
        console.note(line)
    return Exit.OK
