"""An OCI archive of one folder, for `ctr images import`: `oci_image.py ROOTFS NAME:TAG OUT.tar COMMAND…`."""

import hashlib
import io
import json
import sys
import tarfile

rootfs, name, out, *command = sys.argv[1:]
packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w") as tar:
    tar.add(rootfs, ".")


def digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def described(kind: str, blob: bytes) -> dict:
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(blob), "size": len(blob)}


def encoded(content: dict) -> bytes:
    return json.dumps(content).encode()


layer = packed.getvalue()
config = encoded(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": command,
            "User": "65532",
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
    }
)
manifest = encoded(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", config),
        "layers": [described("layer.v1.tar", layer)],
    }
)
index = described("manifest.v1+json", manifest) | {"annotations": {"io.containerd.image.name": name}}
files = {
    "oci-layout": encoded({"imageLayoutVersion": "1.0.0"}),
    "index.json": encoded({"schemaVersion": 2, "manifests": [index]}),
} | {"blobs/sha256/" + digest(blob)[7:]: blob for blob in (layer, config, manifest)}
with tarfile.open(out, "w") as tar:
    for path, blob in files.items():
        info = tarfile.TarInfo(path)
        info.size = len(blob)
        tar.addfile(info, io.BytesIO(blob))
