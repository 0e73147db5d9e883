"""Logs of pods as a Kubeflow Pipelines backend hands them on. No TFX, no TensorFlow."""

import base64
import gzip
import io
import json
import tarfile


def pod_names(node: str) -> list[str]:
    """What the pod of one of Argo's nodes may be called: its id, or with the name of a template in it."""
    run, dash, number = node.rpartition("-")
    templates = ("system-container-impl", "retry-system-container-impl")
    return [node, *(f"{run}-{template}-{number}" for template in templates if dash and number.isdigit())]


def unpack_log(answer: bytes) -> bytes:
    """The log in an answer of the backend's: base64 in JSON of plain text, gzip, or tar in gzip."""
    try:
        data = base64.b64decode(json.loads(answer)["data"])
    except (ValueError, KeyError, TypeError):
        return b""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
            files = [archive.extractfile(member) for member in archive if member.isfile()]
            return b"".join(file.read() for file in files if file)
    except tarfile.TarError:
        return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
