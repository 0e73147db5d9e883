"""Settings of the model and of its training. No TensorFlow here: the command line reads this too."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Preset = Literal["default", "reference", "length-free"]

# What a preset sets, where it differs from the defaults below. What is given beside it wins.
PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "default": {},
    # The table, the mask and the training of the script that the project grew from.
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
}


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelConfig(_Settings):
    """What the model is made of, in the order in which data pass through it."""

    preset: Preset = Field("default", description="sets all that follows; a key given beside it wins")
    width: int = Field(32, ge=1, description="numbers that stand for one position")
    any_length: bool = Field(False, description="takes rows of any length up to `sequence.length`")
    kernel: int = Field(9, ge=0, description="positions that the convolution sees, odd; 0 is none")
    normalize: bool = Field(True, description="before attention and before pooling")
    attention_init: Literal["identity", "glorot_uniform"] = Field(
        "identity", description="of queries and keys; `identity`: like positions attend to each other at once"
    )
    attention_mask: Literal["keys", "queries", "none"] = Field("keys", description="`queries` has no effect")
    rezero: bool = Field(True, description="zeroes padding after attention and before `dense`")
    residual: bool = Field(True, description="around attention")
    queries: int = Field(4, ge=0, description="of pooling; 0 lays positions side by side instead")
    hidden: tuple[int, ...] = Field((128, 64), description="units of the dense layers before the output")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="of what is embedded and of what enters each dense layer"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "ModelConfig":
        if self.kernel and self.kernel % 2 == 0:
            raise ValueError(f"kernel: {self.kernel} is even; an odd one sees as far ahead as back")
        if self.any_length and not self.queries:
            raise ValueError("queries: 0 lays positions side by side, which needs rows of one length")
        return self

    @property
    def padding_leaks(self) -> bool:
        """Whether these settings let padding reach the answer, as those published do."""
        return self.attention_mask != "keys" or not self.rezero


class TrainingConfig(_Settings):
    """How the model is fitted."""

    epochs: int = Field(12, ge=1)
    batch_size: int = Field(64, ge=1, description="examples a step")
    learning_rate: float = Field(5e-3, gt=0, description="Adam's step size, at its highest")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="of the learning rate")
    warmup: float = Field(0.05, ge=0, lt=1, description="part of the steps in which cosine's rate rises")
    best_weights: bool = Field(True, description="keep those of the epoch with the lowest held-out loss")
    patience: int = Field(0, ge=0, description="epochs without a lower held-out loss before it stops; 0: all")
    length_buckets: tuple[int, ...] = Field(
        (), description="rows are cut to the first of these lengths that holds them; for `model.any_length`"
    )
    warm_start: bool = Field(False, description="begin with the weights of the live model")
    seed: int = Field(0, ge=0, description="same seed, data and settings: same weights")
    steps_per_call: int = Field(100, ge=1, description="steps that TensorFlow runs in one call")
    xla: Literal["auto", "on", "off"] = Field(
        "auto", description="compile the step; `auto`: from 1,000 steps on, unless there is dropout"
    )
    threads: int = Field(1, ge=0, description="threads of one op; 0 is one a core")
    histograms: bool = Field(False, description="write weight histograms for TensorBoard")


class TrainerSettings(_Settings):
    """What `run_fn` receives in `custom_config`, beside the sequence spec."""

    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:
        """Puts a preset's values under those given; leaves what is malformed to be refused."""
        model = values.get("model") if isinstance(values, dict) else None
        if not isinstance(model, dict) or not isinstance(values.get("training", {}), dict):
            return values
        preset = PRESETS.get(str(model.get("preset")), {})
        return values | {part: {**under, **values.get(part, {})} for part, under in preset.items()}

    @model_validator(mode="after")
    def _buckets_need_any_length(self) -> "TrainerSettings":
        if self.training.length_buckets and not self.model.any_length:
            raise ValueError(
                "training.length_buckets: only a model of any length (`model.preset: length-free`)"
            )
        return self
