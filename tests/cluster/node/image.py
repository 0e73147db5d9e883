"""Builds maskline's image of this checkout as an OCI archive, with the tests' builder: `image.py OUT.tar`."""

import os
import subprocess
import sys
from pathlib import Path

from tests.image_builder import BASE, IMAGE, context_of_checkout, image_builder
from tests.support import REPOSITORY

if __name__ == "__main__":
    [out] = sys.argv[1:]
    with image_builder() as builder:
        context = context_of_checkout(Path(out).parent / f"context-{os.getpid()}")
        bundle = ["kubeflow", "bundle", "--output", str(context / "kubeflow/bundle")]
        subprocess.run([sys.executable, "-m", "maskline.pipeline.cli", *bundle], cwd=REPOSITORY, check=True)
        file = context / "kubeflow/Dockerfile"
        builder.check("bud", "--pull-never", "--layers=false", f"--build-arg=PYTHON={BASE}",
                      "--file", file, "--tag", IMAGE, context)  # fmt: skip
        builder.check("push", IMAGE, f"oci-archive:{out}:docker.io/x/maskline:1")
    print(out)
