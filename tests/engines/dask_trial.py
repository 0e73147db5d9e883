"""A bounded trial of Beam's Dask runner: rows that go in, and what comes out of five shapes of jobs.

Usage: python tests/engines/dask_trial.py [ROWS]

The environment has apache-beam and dask[distributed] of its own. Two worker processes and a scheduler run on
this machine. It prints a line for each shape; `beam.engine: dask` is refused because of them (docs/scale.md).
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners import PipelineRunner
from apache_beam.runners.dask.dask_runner import DaskRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from dask.distributed import Client, LocalCluster  # type: ignore[import-not-found]

Shape = Callable[[beam.Pipeline, int], beam.PCollection]


def _rows(pipeline: beam.Pipeline, count: int) -> beam.PCollection:
    return pipeline | beam.Create(range(count))


def mapped(pipeline: beam.Pipeline, count: int) -> beam.PCollection:
    return _rows(pipeline, count) | beam.Map(str)


def flattened(pipeline: beam.Pipeline, count: int) -> beam.PCollection:
    rows = _rows(pipeline, count)
    return [rows | "one" >> beam.Map(str), rows | "two" >> beam.Map(str)] | beam.Flatten()


def grouped(pipeline: beam.Pipeline, count: int) -> beam.PCollection:
    keyed = _rows(pipeline, count) | beam.Map(lambda n: (n % 97, n))
    return keyed | beam.GroupByKey() | beam.Map(lambda pair: (pair[0], sorted(pair[1])))


def combined(pipeline: beam.Pipeline, count: int) -> beam.PCollection:
    return _rows(pipeline, count) | beam.Map(lambda n: (n % 97, n)) | beam.CombinePerKey(sum)


def divided(pipeline: beam.Pipeline, count: int) -> beam.PCollection:
    """Two outputs of one step, as the ingest has splits; the second one is asked for."""

    def deal(number):
        yield beam.pvalue.TaggedOutput("odd", number) if number % 2 else number

    dealt = _rows(pipeline, count) | beam.ParDo(deal).with_outputs("odd", main="even")
    return dealt["odd"]


SHAPES: tuple[Shape, ...] = (mapped, flattened, grouped, combined, divided)


def lines_of(
    runner: PipelineRunner, shape: Shape, count: int, options: PipelineOptions | None = None
) -> list[str]:
    """What a shape writes, sorted; a line that says why where the runner refuses."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with beam.Pipeline(runner=runner, options=options) as pipeline:
                _ = shape(pipeline, count) | "text" >> beam.Map(repr) | beam.io.WriteToText(f"{folder}/out")
        except Exception as error:
            return [f"{type(error).__name__}: {str(error).splitlines()[0][:90]}"]
        found = [line for path in Path(folder).glob("out*") for line in path.read_text().splitlines()]
        return sorted(found)


if __name__ == "__main__":
    count = int(sys.argv[1]) if sys.argv[1:] else 10_000
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, Client(cluster) as client:
        options = PipelineOptions([f"--dask_client_address={client.scheduler.address}"])
        for shape in SHAPES:
            here = lines_of(FnApiRunner(), shape, count)
            there = lines_of(DaskRunner(), shape, count, options)
            verdict = "the same" if here == there else "DIFFERENT"
            told = there[0] if len(there) == 1 else f"{len(there):,} rows"
            print(f"{shape.__name__:10} {len(here):>6,} rows here; Dask: {told}; {verdict}", flush=True)
