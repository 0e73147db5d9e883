"""Tells how many rows Beam has read while it works, by Beam's own counters. Imports Beam.

Beam's runner of this process asks its worker for progress only after a bundle has ended, since the worker has
no thread of its own. Here another thread asks it meanwhile, by the same request that Beam sends to a worker
elsewhere.
"""

import re
import threading
from collections.abc import Callable, Iterable
from typing import Any

from apache_beam.metrics import monitoring_infos
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2, metrics_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    EmbeddedWorkerHandler,
    WorkerHandler,
)

_EACH = 0.5  # seconds between two looks
# Rows that our steps have read; see `rows_counter`.
_COUNTERS = re.compile(r"maskline/rows")


class BeamRows:
    """Counts the rows of all bundles of this process from now on.

    Args:
      tell: takes their number, in a thread of its own, each time that it has grown.
    """

    def __init__(self, tell: Callable[[int], Any]) -> None:
        self._tell = tell
        self._told = self._ended = 0
        self._active: dict[str, EmbeddedWorkerHandler] = {}
        self._lock = threading.Lock()

        @WorkerHandler.register_environment(python_urns.EMBEDDED_PYTHON, None)
        class _Counted(EmbeddedWorkerHandler):
            def push(worker, request: Any) -> Any:
                return self._run(worker, request, super().push)

        threading.Thread(target=self._look, daemon=True).start()

    def _run(self, worker: EmbeddedWorkerHandler, request: Any, push: Callable[[Any], Any]) -> Any:
        if request.WhichOneof("request") != "process_bundle":
            return push(request)
        name = request.instruction_id
        with self._lock:
            self._active[name] = worker
        try:
            answer = push(request)
        finally:
            with self._lock:
                del self._active[name]
        self._ended += _rows(answer.get().process_bundle.monitoring_infos)
        return answer

    def _look(self) -> None:
        pause = threading.Event()
        while not pause.wait(_EACH):
            with self._lock:
                active = dict(self._active)
            try:
                rows = self._ended + sum(_so_far(worker, name) for name, worker in active.items())
            except RuntimeError:
                continue  # a step began to count while its counters were read; the next look is soon
            if rows > self._told:
                self._told = rows
                self._tell(rows)


def _so_far(worker: EmbeddedWorkerHandler, bundle: str) -> int:
    asked = beam_fn_api_pb2.ProcessBundleProgressRequest(instruction_id=bundle)
    request = beam_fn_api_pb2.InstructionRequest(process_bundle_progress=asked)
    return _rows(worker.push(request).get().process_bundle_progress.monitoring_infos)


def _rows(infos: Iterable[metrics_pb2.MonitoringInfo]) -> int:
    return sum(
        monitoring_infos.extract_counter_value(info)
        for info in infos
        if info.urn == monitoring_infos.USER_COUNTER_URN
        and _COUNTERS.fullmatch(f"{info.labels['NAMESPACE']}/{info.labels['NAME']}")
    )
