"""Settings of the model and of its training. No TensorFlow here: the command line reads this too."""

from pydantic import BaseModel, ConfigDict, Field


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelConfig(_Settings):
    """Sizes of the reference model; the defaults give 49,145 parameters."""

    width: int = Field(15, ge=1, description="numbers that stand for one id after embedding")
    hidden: int = Field(150, ge=1, description="units of the dense layer before the output")


class TrainingConfig(_Settings):
    """How the model is fitted."""

    epochs: int = Field(10, ge=1)
    batch_size: int = Field(128, ge=1, description="examples a step")
    learning_rate: float = Field(8e-3, gt=0, description="Adam's step size; its other defaults stay")
    seed: int = Field(0, ge=0, description="same seed, data and settings: same weights")
    steps_per_call: int = Field(100, ge=1, description="steps that TensorFlow runs in one call")
    threads: int = Field(1, ge=0, description="threads of one op; 0 is one a core")
    histograms: bool = Field(False, description="write weight histograms for TensorBoard")


class TrainerSettings(_Settings):
    """What `run_fn` receives in `custom_config`, beside the sequence spec."""

    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
