"""Talks to Kubeflow Pipelines through its own SDK: pipelines, versions, runs and schedules."""

import contextlib
import hashlib
import io
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import kfp
import kfp_server_api
import urllib3
import yaml

from maskline.pipeline.cluster.host import WHO, serves_many
from maskline.pipeline.cluster.logs import pod_names, unpack_log
from maskline.pipeline.errors import MissingError, RunError, UnreachableError
from maskline.pipeline.settings.cluster import ClusterSettings
from maskline.transform.errors import InputError
from maskline.transform.names import CLUSTER_TOKEN

_READ: dict[str, Callable[[str], Any]] = {"STRING": str, "NUMBER_INTEGER": int, "NUMBER_DOUBLE": float}
_PAGE = 100


def read_parameters(document: str, given: Sequence[str]) -> dict[str, Any]:
    """Reads `name=value` by the types that the pipeline declares.

    Raises:
      InputError: no such parameter, or a value of another type.
    """
    declared = next(yaml.safe_load_all(document))["root"]["inputDefinitions"].get("parameters", {})
    values = {}
    for item in given:
        name, equals, text = item.partition("=")
        if not equals or name not in declared:
            raise InputError(
                f"--parameter {item}: write name=value; there are {', '.join(declared) or 'none'}"
            )
        kind = declared[name]["parameterType"]
        try:
            values[name] = _READ[kind](text)
        except ValueError:
            raise InputError(f"--parameter {item}: '{text}' is no {kind}") from None
    return values


class Client:
    """A Kubeflow Pipelines host.

    Args:
      settings: say where the host is.

    Raises:
      InputError: nobody answers there, or something else than Kubeflow Pipelines.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        token = os.environ.get(CLUSTER_TOKEN)
        # A backend for one user refuses requests that name a namespace.
        self._namespace = settings.namespace if serves_many(settings.host, token) else None
        with self._answers():
            self._kfp = kfp.Client(host=settings.host, existing_token=token)

    def upload(self, name: str, document: str, description: str) -> tuple[str, str]:
        """Makes the pipeline where there is none, and a version where this document is not one yet.

        Returns:
          the ids of pipeline and version.
        """
        version = hashlib.sha256(document.encode()).hexdigest()[:12]
        with self._answers(), tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "pipeline.yaml")
            file.write_text(document, encoding="utf-8")
            # `get_pipeline_id` of the SDK looks only at pipelines that all namespaces share.
            found = self._kfp.list_pipelines(namespace=self._namespace, filter=_named(name)).pipelines
            if found:
                pipeline = found[0].pipeline_id
            else:
                made = self._kfp.upload_pipeline(str(file), pipeline_name=name, namespace=self._namespace)
                pipeline = made.pipeline_id
            known = self._kfp.list_pipeline_versions(pipeline, filter=_named(version)).pipeline_versions
            if known:
                return pipeline, known[0].pipeline_version_id
            uploaded = self._kfp.upload_pipeline_version(
                str(file), version, pipeline_id=pipeline, description=description
            )
            return pipeline, uploaded.pipeline_version_id

    def run(self, pipeline: str, version: str, name: str, parameters: Mapping[str, Any]) -> str:
        """Starts a run and returns its id."""
        with self._answers():
            return self._kfp.run_pipeline(
                self._experiment(), name, params=dict(parameters), pipeline_id=pipeline, version_id=version,
                service_account=self._settings.service_account,
            ).run_id  # fmt: skip

    def get(self, run: str) -> kfp_server_api.V2beta1Run:
        """A run as it stands."""
        with self._answers():
            return self._kfp.get_run(run)

    def terminate(self, run: str) -> None:
        """Ends a run; its pods are removed."""
        with self._answers():
            self._kfp.terminate_run(run)

    def workflow(self, run: str) -> dict[str, Any]:
        """Argo's record of a run, as it was last reported; empty where the backend does not hand it on."""
        try:
            manifest = json.loads(self._read(f"/apis/v1beta1/runs/{run}"))["pipeline_runtime"][
                "workflow_manifest"
            ]
            found = json.loads(manifest)
        except (ValueError, KeyError, TypeError):
            return {}
        return found if isinstance(found, dict) else {}

    def logs(self, run: str, node: str, name: str = "") -> Iterator[str]:
        """What a pod wrote, by every way that a backend may have; nothing where it no longer has it.

        Args:
          run: its id.
          node: what `get` gives as the pod's name. It is the id of Argo's node; the pod's own name holds the
            template's name too.
          name: the pod's own name, where it is known.

        Yields:
          the log as the pod's own, as archived, and as the artifact that Argo made of it. A way that does not
          exist gives nothing, or an error as JSON.
        """
        for called in [name, node] if name else pod_names(node):
            yield self._read(f"/apis/v1alpha1/runs/{run}/nodes/{called}/log").decode(errors="replace")
        artifact = self._read(f"/apis/v1beta1/runs/{run}/nodes/{node}/artifacts/main-logs:read")
        yield unpack_log(artifact).decode(errors="replace")

    def _read(self, path: str) -> bytes:
        try:
            answer = self._kfp._run_api.api_client.call_api(
                path, "GET", auth_settings=["Bearer"], _preload_content=False, _return_http_data_only=True,
            )  # fmt: skip
            return answer.data
        except (kfp_server_api.ApiException, urllib3.exceptions.HTTPError):
            return b""

    def schedules(self, name: str | None = None) -> list[kfp_server_api.V2beta1RecurringRun]:
        """The recurring runs of this name, or all."""
        found: list[kfp_server_api.V2beta1RecurringRun] = []
        token = ""
        with self._answers():
            while True:
                page = self._kfp.list_recurring_runs(
                    page_token=token, page_size=_PAGE, namespace=self._namespace,
                    filter=_named(name) if name else None,
                )  # fmt: skip
                found += page.recurring_runs or []
                token = page.next_page_token or ""
                if not token:
                    return found

    def schedule(self, pipeline: str, version: str, parameters: Mapping[str, Any]) -> tuple[str, bool]:
        """Makes the schedule of the settings' name what the settings say; there is one of it afterwards.

        Returns:
          its id, and whether it is new.
        """
        wanted = self._settings.schedule
        present = self.schedules(wanted.name)
        same = [r for r in present if _is(r, wanted.cron, version, parameters)]
        with self._answers():
            kept = same[0] if same else self._kfp.create_recurring_run(
                self._experiment(), wanted.name, cron_expression=wanted.cron, max_concurrency=1,
                no_catchup=True, params=dict(parameters), pipeline_id=pipeline, version_id=version,
                service_account=self._settings.service_account,
            )  # fmt: skip
        # Afterwards, so that a failure on the way never leaves no schedule at all.
        for other in present:
            if other.recurring_run_id != kept.recurring_run_id:
                self.unschedule(other.recurring_run_id)
        return kept.recurring_run_id, not same

    def unschedule(self, recurring_run: str) -> None:
        """Removes a recurring run; runs that it started go on."""
        with self._answers():
            self._kfp.delete_recurring_run(recurring_run)

    def _experiment(self) -> str:
        return self._kfp.create_experiment(self._settings.experiment, namespace=self._namespace).experiment_id

    @contextlib.contextmanager
    def _answers(self) -> Iterator[None]:
        """Turns what the SDK raises into one line, and keeps it from printing."""
        try:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it needs a backend of version 2
                yield
        except kfp_server_api.ApiException as error:
            # What stands before a backend answers for it while it is gone.
            told = f"{self._settings.host}: {_told(error)}"
            if error.status in (401, 403):
                raise InputError(f"{told}; {WHO}") from None
            kinds = {404: MissingError, 502: UnreachableError, 503: UnreachableError, 504: UnreachableError}
            raise kinds.get(int(error.status or 0), RunError)(told) from None
        except (urllib3.exceptions.HTTPError, TimeoutError) as error:
            raise UnreachableError(
                f"{self._settings.host}: cannot be reached ({type(error).__name__})"
            ) from None


def _named(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})


def _is(run: kfp_server_api.V2beta1RecurringRun, cron: str, version: str, parameters: Any) -> bool:
    return (
        run.trigger.cron_schedule is not None
        and run.trigger.cron_schedule.cron == cron
        and run.pipeline_version_reference.pipeline_version_id == version
        and (run.runtime_config.parameters or {}) == parameters
        and int(run.max_concurrency) == 1
        and bool(run.no_catchup)
        and run.mode == "ENABLE"
    )


def _told(error: kfp_server_api.ApiException) -> str:
    """The backend's own words, which stand in different places."""
    try:
        body = json.loads(error.body)
        text = body.get("message") or body.get("error_message") or body.get("error") or ""
    except (TypeError, ValueError, AttributeError):
        text = str(error.body or "")
    return f"{error.status} {error.reason}: {' '.join(str(text).split())}"
