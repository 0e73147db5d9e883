"""`maskline tensorboard`: all trainings of a root side by side."""

import threading
from pathlib import Path

import click

from maskline.pipeline.commands.options import root_options, settings_of_root


@click.command()
@root_options
@click.option("--host", default="localhost", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=6006, show_default=True, help="0: any free port."
)
def tensorboard(config_file: Path | None, root: Path | None, host: str, port: int) -> None:
    """Open TensorBoard on all trainings of a root, until Ctrl-C.

    Each training is named after its run, span and decision.
    """
    from maskline.pipeline.local.streams import quiet_tensorflow
    from maskline.pipeline.report.boards import side_by_side, training_logs
    from maskline.transform.errors import InputError

    logs = training_logs(settings_of_root(config_file, root))
    with side_by_side(logs) as folder:
        with quiet_tensorflow():
            from tensorboard import program

            board = program.TensorBoard()
            board.configure(logdir=str(folder), host=host, port=port, load_fast="false")
            try:
                address = board.launch()
            except program.TensorBoardServerException as error:
                raise InputError(f"--port: {' '.join(str(error).split())}") from None
        click.echo(f"{len(logs)} trainings at {address}")
        threading.Event().wait()
