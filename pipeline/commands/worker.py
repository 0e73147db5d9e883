"""`maskline worker`: what runs beside each worker of an engine."""

import click


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=50000, show_default=True, help="Where engines ask."
)
def worker(port: int) -> None:
    """Run a pool of Beam workers that have this package, for an engine on this machine.

    beam.environment=external:localhost:PORT names it; docs/scale.md says how engines use it.
    """
    from maskline.pipeline.engines.worker import serve

    serve(port)
