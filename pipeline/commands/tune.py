"""`maskline tune`: tries settings, and says which are best."""

from pathlib import Path

import click

from maskline.pipeline.commands.options import (
    USER_PATH,
    config_option,
    read_settings,
    root_option,
    set_option,
)
from maskline.transform.names import Exit


@click.command()
@config_option
@click.option("--data", "data_dir", type=USER_PATH, help="Directory of TFRecord shards.")
@root_option
@set_option
@click.option("--trials", type=click.IntRange(min=1), default=20, show_default=True, help="How many to make.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Time after which it ends.",
)
def tune(
    config_file: Path | None,
    data_dir: Path | None,
    root: Path | None,
    overrides: tuple[str, ...],
    trials: int,
    budget: float | None,
) -> int:
    """Search for settings, those named under `tune`, by the loss on the eval split.

    It makes an ordinary run first, whose rows every trial trains on; the test split is never read. A sweep
    that was killed goes on where it was. In the end it prints a table and the settings to paste; the next
    `maskline run` trains with them, and the gates decide.
    """
    from maskline.pipeline.console import Console
    from maskline.pipeline.tune import space
    from maskline.pipeline.tune.sweep import sweep

    loaded = read_settings(config_file, overrides, data=data_dir, root=root)
    space.check(loaded)
    minutes = float("inf") if budget is None else budget
    return sweep(loaded, Console(loaded.settings), trials=trials, minutes=minutes) or Exit.OK
