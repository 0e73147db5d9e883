"""Settings of the model and of its training. No TensorFlow, because the command line imports this."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from maskline.transform import own_code
from maskline.transform.features import SequenceSpec
from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import shown

MAX_WEIGHTS = 1_000_000_000  # 4 GB, and three times that while Adam trains them
Preset = Literal["default", "reference", "length-free", "text"]

# The values of a preset that differ from the defaults below. Keys given beside the preset take precedence.
PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "default": {},
    # Layers, mask and training as published in the reference.
    "reference": {
        "model": {
            "width": 15,
            "kernel": 0,
            "normalize": False,
            "attention_init": "glorot_uniform",
            "attention_mask": "queries",
            "rezero": False,
            "residual": False,
            "queries": 0,
            "hidden": (150,),
            "dropout": 0.0,
        },
        "training": {
            "epochs": 10,
            "batch_size": 2,
            "learning_rate": 1e-3,
            "schedule": "constant",
            "best_weights": False,
        },
    },
    "length-free": {"model": {"any_length": True}},
    # Words are many, and most of them rare. Embeddings begin near zero and nothing scales them up, so that a
    # word that was seen once says little; few weights and much dropout keep rows from being learned by heart.
    "text": {
        "model": {
            "any_length": True,
            "kernel": 3,
            "normalize": False,
            "attention_init": "glorot_uniform",
            "hidden": (),
            "dropout": 0.5,
        },
        "training": {"epochs": 10},
    },
}


class ModelSettings(Section):
    """The layers of the model, in the order in which data pass through them."""

    preset: Preset = setting(
        "default", "sets the keys of `model` and of `training` that you do not set yourself"
    )
    build: str = setting(
        "",
        "a function of your own that builds the model, as `package.module:function`, beside the settings "
        "file or installed; it is given the other keys of `model`, and uses those it wants",
        pattern=rf"^({own_code.PATTERN})?$",
    )
    width: int = setting(32, "embedding dimension", unit="numbers", ge=1, le=65_536)
    any_length: bool = setting(
        False,
        "learn an embedding of each position, and allow `training.length_buckets`; a model of your own then "
        "takes rows of any length up to `sequence.length`",
    )
    kernel: int = setting(
        9,
        "kernel size of the convolution, an odd number; 0 omits the convolution",
        unit="positions",
        ge=0,
        le=100_001,
    )
    normalize: bool = setting(True, "layer normalization before attention and before pooling")
    attention_init: Literal["identity", "glorot_uniform"] = setting(
        "identity",
        "initial weights of queries and keys; with `identity`, equal positions attend to each other at once",
    )
    attention_mask: Literal["keys", "queries", "none"] = setting(
        "keys", "the axis of the attention scores that is masked; `queries`, as published, has no effect"
    )
    rezero: bool = setting(True, "zero padding after attention and before the dense layers")
    residual: bool = setting(True, "residual connection around attention")
    queries: int = setting(
        4, "learned queries of the pooling; 0 flattens the row instead", unit="queries", ge=0, le=65_536
    )
    hidden: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] = setting(
        (128, 64), "size of each dense layer before the output", unit="units", max_length=100
    )
    dropout: float = setting(
        0.0, "dropout rate of the embedding and of each dense layer's input", unit="share", ge=0, lt=1
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "ModelSettings":
        if self.build:
            return self
        if self.kernel and self.kernel % 2 == 0:
            raise refusal("kernel", f"{self.kernel} is even; an odd kernel sees as far ahead as back")
        if self.any_length and not self.queries:
            raise refusal("queries", "0 flattens the row, which needs rows of one length; set at least 1")
        return self

    @property
    def padding_leaks(self) -> bool:
        """Whether these settings let padding reach the answer, as those published do."""
        return not self.build and (self.attention_mask != "keys" or not self.rezero)


class TrainingSettings(Section):
    """How the model is fitted."""

    epochs: int = setting(12, "passes over the training rows", unit="epochs", ge=1, le=1_000_000)
    batch_size: int = setting(64, "rows in a step", unit="rows", ge=1, le=1_000_000)
    learning_rate: float = setting(5e-3, "highest step size of Adam", unit="per step", gt=0, le=1000)
    schedule: Literal["cosine", "constant"] = setting("cosine", "schedule of the learning rate")
    warmup: float = setting(
        0.05, "share of the steps in which the cosine schedule's rate rises", unit="share", ge=0, lt=1
    )
    best_weights: bool = setting(True, "keep the weights of the epoch with the lowest held-out loss")
    patience: Literal["auto"] | Annotated[int, Field(ge=0, le=1_000_000)] = setting(
        "auto",
        "stop after this many epochs without a lower held-out loss; 0 never stops early; `auto` is half of "
        "the epochs and at least 3, and 0 without `best_weights`",
        unit="epochs",
    )
    length_buckets: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = setting(
        (),
        "pad each row to the first of these lengths that it fits into; needs `model.any_length`",
        unit="ids",
        max_length=1000,
    )
    warm_start: bool = setting(
        False, "start from the weights of the newest released model that was trained on other data"
    )
    seed: int = setting(
        0, "equal seed, data and settings give equal weights", unit="number", ge=0, le=2**32 - 1
    )
    seeds: tuple[Annotated[int, Field(ge=0, le=2**32 - 1)], ...] = setting(
        (),
        "train with each of these seeds instead of `seed`, and keep the model of the lowest held-out loss",
        unit="number",
        max_length=100,
    )
    steps_per_call: int = setting(
        100, "steps that TensorFlow runs in one call", unit="steps", ge=1, le=1_000_000
    )
    xla: Literal["auto", "on", "off"] = setting(
        "auto",
        "compile the step with XLA; `auto` does from 1,000 steps on, without dropout and `model.build`",
    )
    threads: int = setting(
        1, "threads of one TensorFlow operation; 0 means one for each core", unit="threads", ge=0, le=1024
    )
    class_weights: Literal["none", "balanced"] | dict[str, Annotated[float, Field(gt=0, le=1e6)]] = setting(
        "none",
        "with `task.kind: class`, how much a row counts in the loss of training and held-out rows, by its "
        "class, and with `each` how much a label counts; `balanced` gives all classes the same sum; a class "
        "that a mapping does not name counts 1",
        unit="ratio",
    )
    histograms: bool = setting(False, "write histograms of the weights for TensorBoard")

    @model_validator(mode="after")
    def _fits_together(self) -> "TrainingSettings":
        if len(set(self.seeds)) < len(self.seeds):
            raise refusal("seeds", f"{shown(list(self.seeds))} names a seed twice; give each once")
        return self

    @property
    def stop_after(self) -> int:
        """After how many epochs without a lower held-out loss the training stops; 0 for never."""
        if self.patience != "auto":
            return self.patience
        # With less, trainings on few rows stop before the end of the schedule, where the loss falls again.
        return max(3, self.epochs // 2) if self.best_weights else 0

    def for_seed(self, seed: int) -> "TrainingSettings":
        """The settings of the training with one of `seeds`."""
        return self.model_copy(update={"seed": seed, "seeds": ()})


class TrainerSettings(Section):
    """The settings that `run_fn` receives in `custom_config`, in addition to the sequence spec."""

    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:
        """Adds the preset's values where none are given. Malformed values stay, for the fields to refuse."""
        if not isinstance(values, dict):
            return values
        under = preset_values(values)
        return values | {part: {**given, **values.get(part, {})} for part, given in under.items()}

    @model_validator(mode="after")
    def _fits_together(self) -> "TrainerSettings":
        check_buckets(self.model, self.training)
        return self


def preset_values(values: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Returns the values of the preset named in `values`, by section; empty if `values` are malformed."""
    model = values.get("model")
    if not isinstance(model, Mapping) or not isinstance(values.get("training", {}), Mapping):
        return {}
    preset = model.get("preset")
    return PRESETS.get(preset, {}) if isinstance(preset, str) else {}


def check_buckets(model: ModelSettings, training: TrainingSettings, spec: SequenceSpec | None = None) -> None:
    """Refuses length buckets without effect: for a model of one length, or above the longest row."""
    if training.length_buckets and not model.any_length:
        raise refusal(
            "training.length_buckets", "only a model of any length has them; set model.preset=length-free"
        )
    if spec and (longest := max(training.length_buckets, default=0)) > spec.length:
        raise refusal(
            "training.length_buckets", f"{longest} is more than sequence.length, which is {spec.length}"
        )


def check_classes(training: TrainingSettings, spec: SequenceSpec) -> None:
    """Refuses class weights where there are no classes, or for a name that is not among them."""
    weights = training.class_weights
    if weights == "none":
        return
    if not spec.task.classes:
        raise refusal("training.class_weights", f"task.kind is {spec.task.kind}, which has no classes")
    for name in weights if isinstance(weights, dict) else ():
        if name not in spec.answer_ids:
            raise refusal("training.class_weights", f"{shown(name)} is not one of task.classes")


def check_queries(model: ModelSettings, spec: SequenceSpec) -> None:
    """Refuses a model without queries where each position of the answer needs some."""
    if spec.task.kind == "whole" and not model.queries and not model.build:
        raise refusal(
            "model.queries", "0 flattens the row; task.kind=whole needs at least 1 for each position"
        )


def takes_any_length(model: ModelSettings, spec: SequenceSpec) -> bool:
    """Whether the model takes rows of any length, which one that flattens them does not.

    Nor does one that padding leaks through: its answers would depend on the longest row of a batch.
    """
    if model.build or model.padding_leaks:
        return model.any_length
    return model.queries > 0 or spec.task.kind in ("each", "whole")


def answer_places(spec: SequenceSpec) -> int:
    """What a model of whole answers finds beside one another: the first symbol, and each one from the end."""
    return 1 + spec.task.length


def exchange_weights(spec: SequenceSpec, model: ModelSettings) -> int:
    """Weights, without biases, of the layer that tells each place of a whole answer what the others found."""
    return 2 * answer_places(spec) * model.width**2 if spec.task.kind == "whole" else 0


def first_units(spec: SequenceSpec, model: ModelSettings) -> int:
    """The width of what the first dense layer reads: of a position, of what was pooled, or of the row."""
    each_place = spec.task.kind in ("each", "whole")
    return model.width * (1 if each_place else model.queries or spec.length) + spec.numbers


def check_size(model: ModelSettings, spec: SequenceSpec) -> None:
    """Refuses a model whose embedding, dense layers and exchange of places alone have too many weights."""
    if model.build:
        return  # its size is known once it is built
    rows = spec.size_at_most + (spec.length if model.any_length else 0)
    sizes = (first_units(spec, model), *model.hidden, len(spec.answers))
    weights = rows * model.width + sum(a * b for a, b in pairwise(sizes)) + exchange_weights(spec, model)
    if weights > MAX_WEIGHTS:
        raise refusal(
            "model.hidden" if model.hidden else "model.width",
            f"the layers would have {weights:,} weights; at most {MAX_WEIGHTS:,} are allowed",
        )
