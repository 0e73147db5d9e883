"""What the rooms agree on: artifact types, properties, files, splits, variables and exit statuses.

One module writes each of these and another reads it; copies of a name drift apart in silence.
"""

from enum import IntEnum, StrEnum
from typing import Final


class ArtifactType(StrEnum):
    """Type names in the metadata store: TFX's own, and ours."""

    EXAMPLES = "Examples"
    STATISTICS = "ExampleStatistics"
    MODEL = "Model"
    EVALUATION = "ModelEvaluation"
    MODEL_BLESSING = "ModelBlessing"
    INFRA_BLESSING = "InfraBlessing"
    PUSHED_MODEL = "PushedModel"

    VERDICT = "MasklineVerdict"
    QUARANTINE = "MasklineQuarantine"
    TRAINING_HISTORY = "MasklineTrainingHistory"
    GOLDEN_ROWS = "MasklineGoldenRows"
    RELEASE = "MasklineRelease"


class Node(StrEnum):
    """The ids of the pipeline's nodes."""

    EXAMPLE_GEN = "ExampleGen"
    SCHEMA = "ImportSchemaGen"
    STATISTICS_GEN = "StatisticsGen"
    EXAMPLE_VALIDATOR = "ExampleValidator"
    PREVIOUS_SPAN = "PreviousSpan"
    DATA_GATE = "DataGate"
    ACCEPTED = "Accepted"
    WINDOW = "Window"
    TRANSFORM = "Transform"
    BASE_MODEL = "BaseModel"
    TRAINER = "Trainer"
    LIVE_MODEL = "LiveModel"
    EVALUATOR = "Evaluator"
    MODEL_CHECKS = "ModelChecks"
    RELEASE_GATE = "ReleaseGate"
    PUSHER = "Pusher"


PIPELINE_NAME: Final = "maskline"

# Context types of TFX's in the metadata store.
PIPELINE_CONTEXT: Final = "pipeline"
RUN_CONTEXT: Final = "pipeline_run"
NODE_CONTEXT: Final = "node"

# On a run's context: the digest of what it depended on, written when it has come to its end.
RUN_INPUTS: Final = "inputs"
# And which files its artifacts hold, as JSON.
RUN_FILES: Final = "files"

# Properties of artifacts.
SPAN: Final = "span"
VERSION: Final = "version"
PASSED: Final = "passed"  # of a verdict: 1 or 0
IDENTITY: Final = "identity"  # of a release: what the model was trained from
MODEL_ID: Final = "model_id"  # of a release: its Model artifact
ROWS_READ: Final = "rows_read"  # of the ingest's Examples, and of no others: good and bad rows
VOCABULARY_SIZE: Final = "vocabulary_size"  # of the statistics: the symbols that the counted ids stand for
VOCABULARY_DIGEST: Final = "vocabulary_digest"
SEQUENCE_DIGEST: Final = "sequence_digest"  # of the ingest's Examples: the settings that their ids mean
READ_FROM: Final = "read_from"  # of the ingest's Examples: the folder of the shards
FILES: Final = "input_fingerprint"  # of the ingest's Examples: names, sizes and times; the name is TFX's
EXAMPLES_ID: Final = "examples_id"  # of the data gate's verdict: the Examples that it is about
STATISTICS_ID: Final = "statistics_id"  # of the data gate's verdict: their statistics
BLESSED: Final = "blessed"  # of both blessings: 1 or 0
CHECKED_FILES: Final = "checked_files"  # of an InfraBlessing: the digest of the files that were checked
BLESSED_MODEL_ID: Final = "current_model_id"  # of a ModelBlessing; the name is TFX's
ACCURACY: Final = "accuracy"  # of a ModelBlessing: on the eval rows of that run

# Files within artifacts and released versions.
VERDICT_FILE: Final = "verdict.json"
QUARANTINE_REPORT_FILE: Final = "report.json"
EVALUATION_FILE: Final = "metrics.json"
HISTORY_FILE: Final = "history.json"
ANSWERS_FILE: Final = "answers.json"  # what the trained model answers to held-out rows
ATTENTION_FILE: Final = "attention.json"  # what positions of some held-out rows attend to
GOLDEN_ROWS_FILE: Final = "golden.tfrecord.gz"
FACTS_FILE: Final = "facts.json"  # what is known of a model, for programs
CARD_FILE: Final = "MODEL_CARD.md"  # the same for people
AUDIT_FILE: Final = "audit.jsonl"
MANIFEST_FILE: Final = "manifest.json"  # in each version: size and checksum of its files
# SavedModel leaves `assets.extra` to its users.
EXTRA_FOLDER: Final = "assets.extra"
IDENTITY_FILE: Final = f"{EXTRA_FOLDER}/maskline.json"
KERAS_FILE: Final = f"{EXTRA_FOLDER}/model.keras"  # the model from ids to logits, for Keras

TRAIN: Final = "train"
EVAL: Final = "eval"  # chooses the epoch that is kept, and when a training stops
TEST: Final = "test"  # decides the release; empty where there are too few rows, and then eval does both
SPLITS: Final = (TRAIN, EVAL, TEST)

# A feature of the ingest's rows where `data.split_by` is set: one number, the same for what belongs together.
# `sequence` cannot name it, because of the dot.
GROUP: Final = "maskline.group"

# The parameter that every TFX pipeline has.
RUN_ID_PARAMETER: Final = "pipeline-run-id"

# What `run_fn` finds in its `custom_config`.
RECIPE: Final = "recipe"  # a `trainer.recipe.TrainingRecipe` as JSON
CHECKPOINTS: Final = "checkpoints"  # a folder for all trainings
COMPILED: Final = "compiled"  # another, for what XLA compiled
PLACES: Final = "places"  # of the further input and outputs; see `components.trainer`

# Environment variables.
METADATA_USER: Final = "MASKLINE_METADATA_USER"
METADATA_PASSWORD: Final = "MASKLINE_METADATA_PASSWORD"
# A token for the Kubeflow Pipelines host, where that asks for one.
CLUSTER_TOKEN: Final = "MASKLINE_CLUSTER_TOKEN"
TRACEBACK: Final = "MASKLINE_TRACEBACK"  # shows where an unexpected error came from


class Exit(IntEnum):
    """Exit statuses, the same for every command and for a node on a cluster."""

    OK = 0  # released, or nothing new to do
    ERROR = 1  # the machine, or our own fault
    BAD_INPUT = 2  # what the user gave
    BLOCKED = 3  # a gate said no
    BUSY = 4  # another process holds the root; try again later
    HANGUP = 129  # ended by SIGHUP
    INTERRUPTED = 130  # by SIGINT
    TERMINATED = 143  # by SIGTERM
