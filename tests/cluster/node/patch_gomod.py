"""Makes Kubernetes' go.mod build from published modules: `patch_gomod.py GO_MOD VERSION`, as v0.32.6."""

import pathlib
import re
import sys

path, version = pathlib.Path(sys.argv[1]), sys.argv[2]
text = re.sub(r"replace \(.*?\n\)", "", path.read_text(), flags=re.S)
path.write_text(re.sub(r"(k8s\.io/[\w.-]+) v0\.0\.0$", rf"\1 {version}", text, flags=re.M))
