"""Asks what answers at the address of Kubeflow Pipelines. No TFX, no TensorFlow."""

import urllib3

from maskline.transform.errors import InputError
from maskline.transform.names import CLUSTER_TOKEN

WHO = f"set {CLUSTER_TOKEN} to a token that this host takes, of a user who may do this"


def serves_many(host: str, token: str | None) -> bool:
    """Whether a backend serves many users. The SDK asks as well, five times, and prints a trace each time.

    Raises:
      InputError: nobody answers there, or something else, or it wants to know who asks.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    place = f"{host.rstrip('/')}/apis/v2beta1/healthz"
    try:
        answer = urllib3.request("GET", place, headers=headers, redirect=False, timeout=30.0, retries=2)
    except urllib3.exceptions.HTTPError as error:
        why = " ".join(str(getattr(error, "reason", None) or error).split()).rpartition(": ")[2]
        raise InputError(
            f"{host}: cannot be reached ({why}); set cluster.host, or start "
            "`kubectl -n kubeflow port-forward svc/ml-pipeline 8080:8888`"
        ) from None
    told = f"{host}: {answer.status} {answer.reason}"
    if answer.status in (401, 403):
        raise InputError(f"{told}; {WHO}")
    try:
        return bool(answer.json().get("multi_user", False))
    except (ValueError, AttributeError):
        raise InputError(f"{told}; what answers there is no Kubeflow Pipelines 2") from None
