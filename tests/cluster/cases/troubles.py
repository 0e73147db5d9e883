"""Runs that something befalls."""

import os
import subprocess
from collections.abc import Callable, Collection
from typing import NamedTuple

import yaml

from tests.cluster.kube import Absent, run
from tests.cluster.site import Site, Submitted

# How the store and the backend are restarted where they are no pods of their usual names.
RESTART_METADATA, RESTART_API = os.environ.get("RESTART_METADATA"), os.environ.get("RESTART_API")


class Blow(NamedTuple):
    """A run that something befell, and the ids of the pods that were hit."""

    submitted: Submitted
    hit: Collection[str]


def deleted(site: Site) -> str:
    """The pod that trains is deleted in the middle: tried again, one execution, released."""
    blow = _in_the_middle(site, "deleted", lambda pod: _delete(site, pod))
    return _went_on(site, blow, "deleted")


def drained(site: Site) -> str:
    """The machine on which a pod trains is drained, and comes back: tried again, released."""

    def drain(pod: str) -> None:
        found = site.kube.get("pod", pod)
        machine, run_id = found["spec"]["nodeName"], found["metadata"]["labels"]["pipeline/runid"]
        run("kubectl", "cordon", machine)
        try:
            # All pods of the run on that machine, as `kubectl drain` evicts them; not those of others.
            label = f"--pod-selector=pipeline/runid={run_id}"
            run("kubectl", "drain", machine, label, "--ignore-daemonsets", "--force",
                "--delete-emptydir-data", "--grace-period=5", "--timeout=120s")  # fmt: skip
        finally:
            run("kubectl", "uncordon", machine)

    return _went_on(site, _in_the_middle(site, "drained", drain), "drained")


def out_of_memory(site: Site) -> str:
    """Pods whose memory limit is too low: exit 1 with the reason that Kubernetes gives."""
    low = (
        '--set=cluster.node={"memory": "300Mi", "retries": 0}',
        "--set=cluster.nodes.Trainer.memory=300Mi",
    )
    submitted = site.kubeflow("submit", *site.quick("memory"), *low, "--parameter", "data=/mnt/maskline/few")
    assert submitted.status == 1, submitted.output
    assert "OOMKilled" in submitted.output, submitted.output
    return f"exit 1: {submitted.last}"


def used_up(site: Site) -> str:
    """The pod that trains is deleted, and that of its only retry too: exit 1, and the node's name."""
    config = site.kube.get("configmap", "workflow-controller-configmap")["data"]
    defaults = (
        yaml.safe_load(config.get("workflowDefaults", "{}")).get("spec", {}).get("templateDefaults", {})
    )
    if int(defaults.get("retryStrategy", {}).get("limit", 0)):
        raise Absent("the backend's own defaults try each task, and the whole run, twice more")
    once = "--set=cluster.node.retries=1", "--set=cluster.nodes.Trainer.retries=1"
    submitted, _ = _in_the_middle(site, "used_up", lambda pod: _delete(site, pod), *once, blows=2)
    assert submitted.status == 1, submitted.output
    assert "train: " in submitted.output, submitted.output
    return f"exit 1: {submitted.last}"


def database_restarted(site: Site) -> str:
    """The metadata store is restarted while a pod trains: the run ends, and nothing is lost."""

    def restart(pod: str) -> None:
        if RESTART_METADATA:
            subprocess.run(RESTART_METADATA, shell=True, check=True)
        else:
            site.kube("rollout", "restart", f"statefulset/{site.name}-maskline-metadata")

    return _went_on(site, _in_the_middle(site, "database", restart), "database", tries=False)


def api_restarted(site: Site) -> str:
    """The backend's API server is restarted while `submit` follows: `submit` goes on."""

    def restart(pod: str) -> None:
        if RESTART_API:
            subprocess.run(RESTART_API, shell=True, check=True)
        else:
            site.kube("rollout", "restart", "deployment/ml-pipeline")

    blow = _in_the_middle(site, "api", restart)
    assert "asking again" in blow.submitted.output, blow.submitted.output
    return _went_on(site, blow, "api", tries=False)


def _delete(site: Site, pod: str) -> None:
    # One that is forced away is made anew by Argo as if it had never been: that counts as no attempt.
    site.kube("delete", "pod", pod, "--grace-period=5")


def _in_the_middle(site: Site, name: str, do: Callable[[str], None], *options: str, blows: int = 1) -> Blow:
    """Submits to a root of its own, and does something to the pod that trains once an epoch is over."""
    process = site.start("submit", *site.quick(name, "--set=training.epochs=60"), *options)
    said, run_id = [], ""
    hit: set[str] = set()
    assert process.stdout
    for line in process.stdout:
        said.append(line)
        if line.startswith("run "):
            run_id = line.partition("run ")[2].partition(":")[0]
            site.runs.append(run_id)
        if line.startswith("  train "):
            for _ in range(blows):
                pod = site.pod_of(run_id, "Trainer", other_than=hit)
                site.wait_for_log(pod.name, "held-out accuracy")
                do(pod.name)
                hit.add(pod.uid)
            break
    rest = process.stdout.read()
    return Blow(Submitted(process.wait(), "".join(said) + rest, 0), hit)


def _went_on(site: Site, blow: Blow, name: str, *, tries: bool = True) -> str:
    """Checks that a run was released, with one execution of each node in the store."""
    submitted = blow.submitted
    assert submitted.status == 0, submitted.output
    assert site.versions(f"{name}/root") == ["1"]
    found = site.shown(submitted.run, name)
    names = [node["name"] for node in found["components"]]
    assert len(names) == len(set(names)), names
    assert {node["state"] for node in found["components"]} <= {"COMPLETE", "CACHED"}, found["components"]
    again = site.pod_of(submitted.run, "Trainer", "Succeeded").uid not in blow.hit
    assert again == tries, again
    pods = "another pod ended the training" if again else "the pod that trained went on"
    return f"exit 0; {pods}, one execution of each of {len(names)} nodes, released"
