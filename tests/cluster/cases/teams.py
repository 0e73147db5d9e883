"""Two teams with one backend that serves many users."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from maskline.pipeline.cluster.host import serves_many
from tests.cluster.kube import Absent, Kube
from tests.cluster.site import Site

# Two namespaces of a backend for many users, as its profile controller makes them.
TEAMS = os.environ.get("TEAMS", "").split()


def two_namespaces(site: Site) -> str:
    """Each team runs the pipeline in its namespace, and neither sees runs or files of the other."""
    if not serves_many(site.host, None):
        raise Absent("this backend serves one user, and starts all pods in one namespace")
    if len(TEAMS) != 2:
        raise Absent("set TEAMS to two namespaces, as 'team-a team-b'")
    with contextlib.ExitStack() as stack:
        ours, theirs = (stack.enter_context(_team(site, name)) for name in TEAMS)
        for team in (ours, theirs):
            submitted = team.kubeflow("submit", *team.quick(), "--parameter", "data=/mnt/maskline/few")
            assert submitted.status == 0, submitted.output
            assert team.versions("quick/root") == ["1"]
            assert team.kubeflow("show", submitted.run).status == 0
            assert {pod["metadata"]["namespace"] for pod in team.pods(submitted.run)} == {team.kube.namespace}
        [run] = ours.runs
        foreign = theirs.kubeflow("show", run)
        assert foreign.status == 2, foreign.output
        assert "403" in foreign.last, foreign.output
        there = ("--set=cluster.namespace=" + ours.kube.namespace, "--parameter", "data=/mnt/maskline/few")
        started = theirs.kubeflow("submit", *theirs.quick(), *there)
        assert (started.status, started.run) == (2, ""), started.output
        stored = theirs.in_shell(
            "show",
            run,
            "--root",
            "/mnt/maskline/quick/root",
            "--metadata",
            f"{theirs.address}_quick",
            check=False,
        )
        assert "Released" not in stored, stored
        ours.write("/mnt/maskline/mark", "ours")
        assert "mark" not in theirs.kube("exec", theirs.shell, "--", "ls", "/mnt/maskline").split()
        return f"both released; to the other team the backend says: {foreign.last}"


@contextlib.contextmanager
def _team(site: Site, namespace: str) -> Iterator[Site]:
    """A site in a team's namespace, with a user who may do there what Kubeflow lets its users do."""
    kube = Kube(namespace)
    user = f"{site.name}-user"
    objects = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": user}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": user},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kubeflow-edit"},
         "subjects": [{"kind": "ServiceAccount", "name": user}]},
    ]  # fmt: skip
    kube("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    token = kube("create", "token", user, "--audience", "pipelines.kubeflow.org", "--duration", "2h").strip()
    folder = Path(site.folder, namespace)
    folder.mkdir()
    team = Site(kube, folder, site.image, site.host, token=token)
    try:
        team.set_up()
        yield team
    finally:
        team.remove()
        kube("delete", "serviceaccount,rolebinding", user)
