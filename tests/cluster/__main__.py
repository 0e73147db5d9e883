"""Runs the table on the cluster of KUBECONFIG and prints it: `python -m tests.cluster [CASE…]`."""

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from tests.cluster.cases import ALONE, CASES, Case
from tests.cluster.kube import Absent, Kube, Missing
from tests.cluster.site import Site, image

SETTING_UP = "manifests, image, sample data"
# Rows that run beside each other.
JOBS = int(os.environ.get("JOBS", "3"))
Row = tuple[str, str, str, str]


def main(wanted: list[str]) -> int:
    """Runs the cases whose names hold one of the words, or all; gives the exit status."""
    cases = {name: case for name, case in CASES.items() if not wanted or any(w in name for w in wanted)}
    try:
        kube = Kube(os.environ.get("KFP_NAMESPACE", "kubeflow"))
        kube.need_pipelines()
        tested = image()
    except Missing as error:
        print(f"make cluster-test: {error}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    began = time.monotonic()
    with kube.forwarded() as host, tempfile.TemporaryDirectory(prefix="maskline-cluster-") as folder:
        site = Site(kube, Path(folder), tested, host)
        try:
            rows.append(_row(SETTING_UP, _set_up, site))
            if rows[0][1] == "✓":
                rows += _table(cases, site)
        finally:
            site.remove()
    print(f"{date.today()}, {kube.versions()}, {time.monotonic() - began:.0f} s\n")
    print("| case | | seen | s |\n| --- | --- | --- | --- |")
    print("\n".join(map(_line, rows)))
    return int(any(mark == "✗" for _, mark, *_ in rows))


def _table(cases: Mapping[str, Case], site: Site) -> list[Row]:
    """Rows in their order. Argo looks at a run every ten seconds, so most of a row is waiting."""
    with ThreadPoolExecutor(JOBS) as pool:
        beside = {
            name: pool.submit(_row, name, case, site) for name, case in cases.items() if case not in ALONE
        }
    alone = {name: _row(name, case, site) for name, case in cases.items() if case in ALONE}
    return [alone[name] if name in alone else beside[name].result() for name in cases]


def _row(name: str, case: Case, site: Site) -> Row:
    began = time.monotonic()
    mark, said = _try(case, site)
    row = (name, mark, said, f"{time.monotonic() - began:.0f}")
    print(_line(row), file=sys.stderr, flush=True)
    return row


def _line(row: Row) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


def _set_up(site: Site) -> str:
    site.set_up()
    return "the init job completes, the shell pod writes"


def _try(case: Case, site: Site) -> tuple[str, str]:
    try:
        return "✓", case(site)
    except Absent as error:
        return "–", str(error)
    except Exception as error:  # a row that breaks must not hide the others
        return "✗", f"{type(error).__name__}: {' '.join(str(error).split())[-400:]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
