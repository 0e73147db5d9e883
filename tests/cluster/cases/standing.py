"""What stands between runs: schedules, teams beside one another, security, the shell."""

import json
import re
import subprocess
from typing import Any

import yaml

from tests.cluster.cases.runs import window
from tests.cluster.kube import wait_for
from tests.cluster.site import Site


def recurring(site: Site) -> str:
    """A schedule fires at its minute, one run at a time; `unschedule` stops it."""
    options = (*site.quick("recurring"), '--set=cluster.schedule.cron="0 * * * * *"')
    label = "scheduledworkflows.kubeflow.org/isOwnedByScheduledWorkflow=true"

    def fired() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = site.kube.get("workflow", "-l", label)["items"]
        return sorted(found, key=lambda flow: flow["metadata"]["creationTimestamp"])

    assert site.kubeflow("schedule", *options).status == 0
    try:
        wait_for("the recurring run", fired, 180)
        # Two minutes pass while the first run works.
        wait_for("the first run's end", lambda: fired()[0].get("status", {}).get("finishedAt"), 900)
        flows = fired()
        working = [f for f in flows if f.get("status", {}).get("phase") in ("Running", "Pending", None)]
        assert len(working) <= 1, flows
        began = flows[0]["metadata"]["creationTimestamp"]
        assert int(began[17:19]) < 30, began
    finally:
        assert site.kubeflow("unschedule", *options).status == 0
    assert not site.kubeflow("schedules", *options).output.count("ENABLED")
    for flow in fired():
        site.kube("delete", "workflow", flow["metadata"]["name"], "--wait=false")
    return f"fired at {began[11:19]}, one at a time; removed"


def tick(site: Site) -> str:
    """The tick of scheduled retraining on one machine, as a CronJob of its own root."""
    root = "/mnt/maskline/tick"
    site.in_shell("data", "--out", f"{root}/spans/span-1", "--seed", 21, "--records", 200)
    settings = {
        "root": f"{root}/root", "data": {"path": f"{root}/spans/span-{{SPAN}}", "unchanged_for": 0},
        "training": {"epochs": 2}, "release_gate": {"min_accuracy": 0.01, "min_gain": -1},
        "model_checks": {"latency_p50_ms": 1000, "latency_p95_ms": 5000},
    }  # fmt: skip
    file = f"{root}/retraining.yaml"
    site.write(file, yaml.safe_dump(settings))
    pod = site.kube.get("pod", site.shell)["spec"]
    container = pod["containers"][0]
    job = {
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": f"{site.name}-tick", "labels": {"maskline-test": site.name}},
        "spec": {"schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": {
            "backoffLimit": 0, "template": {"metadata": {"labels": {"maskline-test": site.name}}, "spec": {
                "restartPolicy": "Never", "automountServiceAccountToken": False,
                "securityContext": pod["securityContext"],
                "volumes": [v for v in pod["volumes"] if "projected" not in v],
                "containers": [{
                    "name": "tick", "image": site.image, "securityContext": container["securityContext"],
                    "volumeMounts": container["volumeMounts"],
                    "command": ["python", "-m", "maskline.pipeline.cli", "tick", "--config", file],
                }],
            }},
        }}},
    }  # fmt: skip
    site.kube("apply", "-f", "-", text=json.dumps(job))
    name = f"cronjob/{site.name}-tick"
    try:
        wait_for("a tick that releases", lambda: site.versions("tick/root") == ["1"], 600)
        wait_for("a tick that finds nothing new", lambda: "nothing new" in site.in_shell(
            "history", "--root", f"{root}/root"), 300)  # fmt: skip
    finally:
        site.kube("delete", name, "--wait=false")
    assert site.versions("tick/root") == ["1"]
    return "the first tick released version 1, the next one said nothing new"


def secure(site: Site) -> str:
    """What runs passes the `restricted` Pod Security standard, which the API server itself checks."""
    label = "pod-security.kubernetes.io/enforce=restricted"
    command = ("kubectl", "label", "--dry-run=server", "--overwrite", "namespace", site.kube.namespace, label)
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    ours = [line for line in told.splitlines() if site.name in line]
    assert not ours, ours
    shell = site.kube.get("pod", site.shell)["spec"]
    assert shell["automountServiceAccountToken"] is False
    assert shell["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    ids = site.kube("exec", site.shell, "--", "id").strip()
    assert re.match("uid=10001.* gid=10001", ids), ids
    [task] = [pod for pod in site.pods(site.first) if '"Trainer"' in json.dumps(pod["spec"])][:1]
    context = [c["securityContext"] for c in task["spec"]["containers"] if c["name"] == "main"]
    return f"no warning names a pod of ours; shell pod: {ids}; a node's container: {json.dumps(context)}"


def shell(site: Site) -> str:
    """`models`, `rollback`, `show` and `report` in the shell pod."""
    root = ("--root", "/mnt/maskline/root")
    store = ("--metadata", site.address)
    models = site.in_shell("models", *root)
    assert re.search(r"^version 1\b", models, re.M), models
    shown = site.in_shell("show", site.first, *root, *store)
    assert "Released as version 1" in shown, shown
    page = site.in_shell("report", site.first, *root, *store, "--out", "/mnt/maskline/report.html")
    assert "report.html" in page, page
    assert "Released as version 1" in site.kube("exec", site.shell, "--", "cat", "/mnt/maskline/report.html")
    if site.versions("window/root") != ["1", "2"]:
        window(site)
    two, own = ("--root", "/mnt/maskline/window/root"), ("--metadata", f"{site.address}_window")
    back = site.in_shell("rollback", "1", *two, *own, "--reason", "a test")
    assert "Live is version 3, which is version 1 again" in back, back
    return back.strip().splitlines()[-1]
