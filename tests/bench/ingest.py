"""Measures the ingest with quarantine against TFX's ImportExampleGen, and its memory; prints Markdown tables.

Usage: python -m tests.bench.ingest [PAIRS] [RECORDS]   (default 3 pairs of 200000 records)

Each figure is of a component's executor alone, in a process of its own, imports left out. Memory is what
the process holds for itself (RssAnon at its highest). Half a percent of the rows are bad; ImportExampleGen
does not look at them.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

CHILD = "import sys; from tests.bench import ingest; ingest.child(*sys.argv[1:])"
SIZES = (20_000, 500_000)
BAD = 0.005
ARGS = ("--runner=FnApiRunner", "--direct_running_mode=in_memory", "--sdk_container_image=none",
        "--no_pipeline_type_check")  # fmt: skip


def main(pairs: int, records: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = write(Path(folder, "data"), records)
        rows = []
        for pair in range(pairs):
            rows.append({name: measure(name, data) for name in ("stock", "ours")})
            print(f"pair {pair + 1} of {pairs} done", file=sys.stderr)
        print(f"| ingest of {records:,} records | s | of ImportExampleGen's | asked for |")
        print("| --- | --- | --- | --- |")
        for name, title, asked in (("stock", "ImportExampleGen", "–"), ("ours", "with quarantine", "≤ 1.15")):
            seconds = statistics.median(row[name][0] for row in rows)
            ratio = statistics.median(row[name][0] / row["stock"][0] for row in rows)
            print(f"| {title} | {seconds:.1f} | {ratio:.2f} | {asked} |")
    print("\n| records | anonymous memory at its highest |\n| --- | --- |")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            _, peak = measure("ours", write(Path(folder, "data"), size))
            print(f"| {size:,} | {peak / 2**20:.0f} MiB |", flush=True)


def measure(name: str, data: Path) -> tuple[float, int]:
    """Seconds, and bytes of memory at the highest."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", CHILD, name, str(data), out]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr[-3000:])
        seconds, peak = json.loads(done.stdout.splitlines()[-1])
        return seconds, peak


def write(folder: Path, records: int) -> Path:
    """Ten shards of records as long as the sample data's, some of them bad."""
    from tests.support import example, tfrecord

    folder.mkdir()
    rng = np.random.default_rng(0)
    for shard in range(10):
        rows = (
            example(
                defs=rng.integers(1, 20, 12).tolist(),
                op=[3, 99 if rng.random() < BAD else 7, 4],
                res=rng.integers(1, 20, 3).tolist(),
            )
            for _ in range(records // 10)
        )
        (folder / f"shard_{shard}.tfrecords").write_bytes(tfrecord(rows))
    return folder


def child(name: str, data: str, out: str) -> None:
    """Runs one executor; prints [seconds, bytes of memory]."""
    from tfx.components.example_gen.import_example_gen.component import ImportExampleGen
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.types import standard_artifacts
    from tfx.utils import proto_utils

    from maskline.components.artifacts import QuarantineArtifact
    from maskline.components.ingest.component import IngestSettings, ShardExampleGen, find_listing
    from maskline.transform.features import SequenceSpec

    if name == "ours":
        settings = IngestSettings(sequence=SequenceSpec(), pattern="*")
        component = ShardExampleGen(data, settings, listing=find_listing(data, "latest", settings))
    else:
        component = ImportExampleGen(data)
    properties = {
        key: value if isinstance(value, int | str) else proto_utils.proto_to_json(value)
        for key, value in component.exec_properties.items()
        if value is not None
    }
    outputs = {"examples": [standard_artifacts.Examples()], "quarantine": [QuarantineArtifact()]}
    for key, [artifact] in outputs.items():
        artifact.uri = f"{out}/{key}"
    peak = [0]
    threading.Thread(target=_sample, args=(peak,), daemon=True).start()
    context = BaseBeamExecutor.Context(beam_pipeline_args=list(ARGS), unique_id="0", tmp_dir=out)
    began = time.perf_counter()
    type(component).EXECUTOR_SPEC.executor_class(context).Do(
        {}, outputs, properties | {"span": 0, "version": None}
    )
    print(json.dumps([time.perf_counter() - began, peak[0]]))


def _sample(peak: list[int]) -> None:
    while True:
        status = Path("/proc/self/status").read_text().split()
        peak[0] = max(peak[0], int(status[status.index("RssAnon:") + 1]) * 1024)
        time.sleep(0.02)


if __name__ == "__main__":
    given = [int(size) for size in sys.argv[1:]]
    main(*(given or [3]), *[200_000][len(given) > 1 :])
