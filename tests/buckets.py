"""Stand-ins for S3 and Google Cloud Storage: other people's servers, on free ports of loopback."""

import logging
import socket
from typing import NamedTuple

import pytest

from maskline.pipeline.cluster import buckets

KEY, SECRET = "AKIAMASKLINETESTS000", "a+secret/of+the+tests/that+no+log+holds0"


class Bucket(NamedTuple):
    """A bucket, and how a process reaches it."""

    url: str
    env: dict[str, str]
    server: str

    def files(self, below: str = "") -> list[str]:
        """What lies in it."""
        system, top = buckets.file_system(self.url), f"{self.url}/{below}".rstrip("/")
        return [name.split("/", 1)[1] for name in system.find(top)]

    def write(self, name: str, data: bytes = b"x") -> None:
        buckets.file_system(self.url).pipe_file(f"{self.url}/{name}", data)


def start_s3():
    """Moto's S3 and a bucket in it; gives its server too, to be stopped."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    env = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1",
           "AWS_ENDPOINT_URL": address}  # fmt: skip
    return server, Bucket("s3://maskline-tests", env, address)


def start_gs():
    """gcp-storage-emulator and a bucket in it."""
    from gcp_storage_emulator.server import create_server

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="maskline-tests")
    server.start()
    address = f"http://127.0.0.1:{port}"
    return server, Bucket("gs://maskline-tests", {"STORAGE_EMULATOR_HOST": address}, address)


def running(start):
    """Yields a bucket for as long as a fixture lasts, with its environment in this process."""
    server, bucket = start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bucket.env.items():
            patch.setenv(name, value)
        if bucket.url.startswith("s3"):
            buckets.file_system(bucket.url).mkdir(bucket.url)
        yield bucket
    server.stop()
