"""maskline: a TFX pipeline for masked sequence models, and what other programs can use of it.

- `maskline.layers`: Keras layers through which padding reaches no answer.
- `maskline.mask_findings`: names the places of any Keras model from which padding reaches an answer.
- `maskline.label_findings`: names the losses and metrics of a compiled Keras model that read padded labels.
- `maskline.load_model`: reads the Keras model of a release.

`import maskline` takes no time: Keras is imported with the first of these that is used. As soon as Keras is
imported, before or after, our layers are registered with it, and `keras.saving.load_model` reads our models.

Examples:
  >>> import keras, maskline
  >>> ids = keras.Input((None,), dtype="int32")
  >>> rows = maskline.layers.MaskedEmbedding(20, 8)(maskline.layers.PaddingMask()(ids))
  >>> model = keras.Model(ids, maskline.layers.MaskedPooling(2)(maskline.layers.MaskedSelfAttention()(rows)))
  >>> maskline.mask_findings(model, keras.ops.array([[5, 2, 7, 0], [3, 0, 0, 0]]))
  []
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskline.trainer import layers as layers
    from maskline.trainer.label_lint import label_findings as label_findings
    from maskline.trainer.loading import load_model as load_model
    from maskline.trainer.mask_lint import mask_findings as mask_findings

# Here and not in what pip installs: the image holds the source as it is.
__version__ = "0.1.0"
__all__ = ["label_findings", "layers", "load_model", "mask_findings"]


def __getattr__(name: str) -> Any:
    if name == "layers":
        return import_module("maskline.trainer.layers")
    if name == "label_findings":
        return import_module("maskline.trainer.label_lint").label_findings
    if name == "load_model":
        return import_module("maskline.trainer.loading").load_model
    if name == "mask_findings":
        return import_module("maskline.trainer.mask_lint").mask_findings
    raise AttributeError(f"module 'maskline' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _register_layers() -> None:
    # Whoever is importing one of these right now registers them all the same.
    if not {"maskline.trainer.layers", "maskline.trainer.masking"} & sys.modules.keys():
        import_module("maskline.trainer.layers")


class _KerasFinder(MetaPathFinder):
    """Registers our layers as soon as somebody imports Keras; finds nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                _register_layers()

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec


if "keras" in sys.modules:
    _register_layers()
else:
    sys.meta_path.insert(0, _KerasFinder())
