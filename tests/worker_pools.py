"""One address for several worker pools, as a cluster's service is: each worker comes from the next pool."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc as fn_grpc


class Pools(fn_grpc.BeamFnExternalWorkerPoolServicer):
    """Answers as a pool does, and hands the call on.

    Args:
      ports: of the pools, on this machine.

    Attributes:
      port: where an engine asks for workers.
      started: how many workers came from each pool, by its port.
    """

    def __init__(self, ports: list[int]) -> None:
        self._ports, self._of_worker = ports, dict[str, int]()
        self.started = Counter[int]()
        self._server = grpc.server(ThreadPoolExecutor(4))
        fn_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("localhost:0")
        self._server.start()

    def StartWorker(self, request: Any, context: object) -> Any:
        port = self._ports[self.started.total() % len(self._ports)]
        self._of_worker[request.worker_id] = port
        self.started[port] += 1
        return self._call("StartWorker", port, request)

    def StopWorker(self, request: Any, context: object) -> Any:
        return self._call("StopWorker", self._of_worker[request.worker_id], request)

    def close(self) -> None:
        """Answers no more."""
        self._server.stop(None).wait()

    def _call(self, name: str, port: int, request: Any) -> Any:
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            return getattr(fn_grpc.BeamFnExternalWorkerPoolStub(channel), name)(request, timeout=120)
