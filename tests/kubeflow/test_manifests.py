"""Image and manifests: clean, valid, and of one mind with the settings."""

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from maskline.pipeline.settings.cluster import ClusterSettings
from maskline.pipeline.settings.engine import BeamSettings
from tests.support import REPOSITORY

KUBEFLOW = REPOSITORY / "kubeflow"
DEFAULTS = ClusterSettings()


@pytest.fixture
def manifests(tmp_path) -> Path:
    """As a platform engineer has them: with the Secret's file written."""
    folder = shutil.copytree(KUBEFLOW / "manifests", tmp_path / "manifests")
    shutil.copy(folder / "metadata.env.example", folder / "metadata.env")
    return folder


def resources(folder: Path) -> list[dict]:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(kustomization["resources"]) == {
        file.name for file in folder.glob("*.yaml") if file.name != "kustomization.yaml"
    }
    return [r for file in kustomization["resources"] for r in yaml.safe_load_all((folder / file).read_text())]


def test_dockerfile_is_clean():
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, KUBEFLOW / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_manifests_are_valid(manifests):
    found = [r for part in ("", "shell", "flink") for r in resources(manifests / part)]
    assert {r["kind"] for r in found} == {
        "Deployment", "Service", "StatefulSet", "Job", "PersistentVolumeClaim", "ServiceAccount",
        "RoleBinding", "Pod",
    }  # fmt: skip
    for resource in found:
        kubernetes_validate.validate(resource, "1.32", strict=True)
    [service, *_] = [r for r in found if r["kind"] == "Service"]
    broken = {**service, "spec": {**service["spec"], "prots": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.32", strict=True)


def test_kustomize_builds_them(manifests):
    if not shutil.which("kubectl"):
        pytest.skip("kubectl, which holds kustomize, is not installed")
    built = subprocess.run(["kubectl", "kustomize", manifests], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    found = {(r["kind"], r["metadata"]["name"]): r for r in yaml.safe_load_all(built.stdout)}
    for resource in found.values():
        kubernetes_validate.validate(resource, "1.32", strict=True)
        assert resource["metadata"]["namespace"] == DEFAULTS.namespace
    assert set(found["Secret", DEFAULTS.metadata.secret]["data"]) == {"user", "password"}
    job = found["Job", "maskline-metadata-init"]["spec"]["template"]["spec"]
    assert job["containers"][0]["image"].startswith("registry.example/maskline@sha256:")
    [subject] = found["RoleBinding", DEFAULTS.service_account]["subjects"]
    assert subject["namespace"] == DEFAULTS.namespace


def test_shell_sees_what_nodes_see(manifests):
    [pod] = resources(manifests / "shell")
    job = next(r for r in resources(manifests) if r["kind"] == "Job")["spec"]["template"]["spec"]
    [ours], [theirs] = pod["spec"]["containers"], job["containers"]
    for key in ("image", "env", "volumeMounts", "securityContext"):
        assert ours[key] == theirs[key], key
    for key in ("volumes", "securityContext"):
        assert pod["spec"][key] == job[key], key
    here, above = (
        yaml.safe_load((folder / "kustomization.yaml").read_text())
        for folder in (manifests / "shell", manifests)
    )
    assert (here["images"], here["namespace"]) == (above["images"], above["namespace"])


def test_manifests_and_settings_name_the_same_things():
    found = {(r["kind"], r["metadata"]["name"]): r for r in resources(KUBEFLOW / "manifests")}
    assert ("ServiceAccount", DEFAULTS.service_account) in found
    [(claim, mount)] = DEFAULTS.volumes.items()
    assert ("PersistentVolumeClaim", claim) in found
    assert DEFAULTS.data.startswith(mount)
    assert DEFAULTS.root.startswith(mount)
    assert DEFAULTS.artifacts == f"{DEFAULTS.root}/artifacts"
    [port] = found["Service", DEFAULTS.metadata.host]["spec"]["ports"]
    assert port["port"] == DEFAULTS.metadata.port
    pod = found["Job", "maskline-metadata-init"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["command"][2:] == [DEFAULTS.metadata.address, "/mnt/maskline"]
    assert pod["containers"][0]["command"][1] == f"{DEFAULTS.home}/init_metadata.py"
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim
    env = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in pod["containers"][0]["env"]}
    assert env["MASKLINE_METADATA_PASSWORD"] == {"name": DEFAULTS.metadata.secret, "key": "password"}


def test_flink_is_what_its_settings_name():
    """The settings of docs/scale.md lead to the services, ports, volume and versions of the manifests."""
    page = (REPOSITORY / "docs/scale.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    values = yaml.safe_load(page)["beam"]
    beam = BeamSettings(**values | {"shared_storage": tuple(map(Path, values["shared_storage"]))})
    found = {(r["kind"], r["metadata"]["name"]): r for r in resources(KUBEFLOW / "manifests/flink")}
    host, _, port = beam.job_endpoint.partition(":")
    assert int(port) in [p["port"] for p in found["Service", host]["spec"]["ports"]]
    [server] = found["Deployment", host]["spec"]["template"]["spec"]["containers"]
    beam_version = metadata.version("apache-beam")
    assert server["image"] == f"apache/beam_flink{beam.flink_version}_job_server:{beam_version}"
    pod = found["Deployment", "flink-worker"]["spec"]["template"]["spec"]
    engine, workers = pod["containers"]
    assert engine["image"] == f"flink:{beam.flink_version}"
    assert beam.environment == f"external:localhost:{workers['ports'][0]['containerPort']}"
    assert workers["command"][3:] == ["worker", f"--port={workers['ports'][0]['containerPort']}"]
    assert workers["image"] == "maskline"
    # As nodes of Kubeflow see it, by the same user.
    [(claim, mount)] = DEFAULTS.volumes.items()
    assert pod["volumes"] == [{"name": claim, "persistentVolumeClaim": {"claimName": claim}}]
    assert workers["volumeMounts"] == [{"name": claim, "mountPath": mount}]
    assert [str(path) for path in beam.shared_storage] == [mount]
    assert pod["securityContext"]["runAsUser"] == 10001
    managers = {
        container["name"]: container["image"]
        for resource in found.values() if resource["kind"] == "Deployment"
        for container in resource["spec"]["template"]["spec"]["containers"]
    }  # fmt: skip
    assert managers["job-manager"] == managers["task-manager"]


def test_nothing_runs_as_root_and_the_job_is_in_the_image_s_group():
    text = (KUBEFLOW / "Dockerfile").read_text()
    assert "\nUSER 10001:10001\n" in text
    # The kubelet hands on the user alone; the group comes from /etc/passwd.
    assert "maskline:x:10001:10001:" in text
    for resource in resources(KUBEFLOW / "manifests") + resources(KUBEFLOW / "manifests/flink"):
        if resource["kind"] in ("Deployment", "Job", "StatefulSet"):
            pod = resource["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"]
            assert not any(c["securityContext"]["allowPrivilegeEscalation"] for c in pod["containers"])
    job = yaml.safe_load((KUBEFLOW / "manifests/metadata-init.yaml").read_text())
    assert job["spec"]["template"]["spec"]["securityContext"]["fsGroup"] == 10001


def test_no_password_is_in_the_repository():
    tracked = subprocess.run(
        ["git", "ls-files", "kubeflow"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "kubeflow/manifests/metadata.env.example" in tracked
    assert "kubeflow/manifests/metadata.env" not in tracked
    assert "password=change-me" in (KUBEFLOW / "manifests/metadata.env.example").read_text()


def test_what_the_dockerfile_copies_is_there_and_let_through():
    let_through = {
        line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = set()
    for line in (KUBEFLOW / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(line.split()[1:-1])
    assert copied == let_through
    assert all((REPOSITORY / path).exists() for path in copied - {"kubeflow/bundle"})
