"""Runs the table on the cluster of KUBECONFIG and prints it: `python -m tests.cluster [CASE…]`."""

import os
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from tests.cluster.cases import CASES, Case
from tests.cluster.kube import Absent, Kube, Missing
from tests.cluster.site import Site, image

SETTING_UP = "manifests, image, sample data"


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
    rows, began = [], time.monotonic()
    with kube.forwarded() as host, tempfile.TemporaryDirectory(prefix="maskline-cluster-") as folder:
        site = Site(kube, Path(folder), tested, host)
        try:
            for name, case in {SETTING_UP: _set_up, **cases}.items():
                print(f"{name} …", file=sys.stderr, flush=True)
                before = time.monotonic()
                mark, said = _try(case, site)
                print(f"{mark} {said}", file=sys.stderr, flush=True)
                rows.append((name, mark, said, f"{time.monotonic() - before:.0f}"))
                if name == SETTING_UP and mark == "✗":
                    break
        finally:
            site.remove()
    print(f"{date.today()}, {kube.versions()}, {time.monotonic() - began:.0f} s\n")
    print("| case | | seen | s |\n| --- | --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |")
    return int(any(mark == "✗" for _, mark, *_ in rows))


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
