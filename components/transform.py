"""Transform: TFX's own, but it applies the graph to whole blocks of rows and reads each of them once.

TFX reads the train split twice, also where a `preprocessing_fn` has no analyzers but checks what it is given,
and hands on each row for itself, both when it reads and when it writes.
"""

import math
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from apache_beam.coders import FastPrimitivesCoder
from apache_beam.io.filebasedsink import FileBasedSink
from apache_beam.io.filesystem import CompressionTypes
from tensorflow_transform.tf_metadata.dataset_metadata import DatasetMetadata
from tfx import types
from tfx.components.transform import executor, executor_utils, labels
from tfx.components.transform.component import Transform as TfxTransform
from tfx.dsl.components.base import executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, json_utils
from tfx_bsl.tfxio.tf_example_record import TFExampleBeamRecord

from maskline.components.ingest.framed import rows_counter
from maskline.components.ingest.shards import read_blocks
from maskline.transform import stored
from maskline.transform.features import SequenceSpec

_EXAMPLES = standard_component_specs.EXAMPLES_KEY
_TRANSFORMED = standard_component_specs.TRANSFORMED_EXAMPLES_KEY


class Executor(executor.Executor):
    """Makes the graph as TFX does, but without reading rows where it computes nothing; then applies it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """As TFX's."""
        executor_utils.MatchNumberOfTransformedExamplesArtifacts(input_dict, output_dict)
        examples, transformed = input_dict[_EXAMPLES], output_dict[_TRANSFORMED]
        splits = artifact_utils.decode_split_names(examples[0].split_names)
        executor_utils.SetSplitNames(splits, transformed)
        graph = artifact_utils.get_single_uri(output_dict[standard_component_specs.TRANSFORM_GRAPH_KEY])
        config = json_utils.loads(exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY) or "{}")
        spec = SequenceSpec.model_validate(config["sequence"]) if "sequence" in config else None
        if spec and (spec.is_computed or spec.numeric):
            # The vocabulary, or how numbers are spread, is computed from the train rows.
            graph_only = {key: value for key, value in output_dict.items() if key != _TRANSFORMED}
            super().Do(input_dict, graph_only, exec_properties)
        else:
            self._make_graph(input_dict, exec_properties, graph)
        folders = [uri for split in splits for uri in artifact_utils.get_split_uris(examples, split)]
        columns = _columns(graph)
        with self._make_beam_pipeline() as pipeline:
            for number, (folder, prefix) in enumerate(
                zip(folders, executor_utils.GetSplitPaths(transformed), strict=True)
            ):
                files = sorted(fileio.glob(f"{folder}/*"))
                _ = (
                    pipeline
                    | f"Files {number}" >> beam.Create(files)
                    | f"Spread {number}" >> beam.Reshuffle()
                    | f"Apply {number}" >> beam.ParDo(_Apply(graph))
                    | f"Write {number}" >> beam.io.Write(_Sink(prefix, columns))
                )

    def _make_graph(
        self, input_dict: dict[str, list[types.Artifact]], exec_properties: dict[str, Any], target: str
    ) -> None:
        """Makes the graph in place, as TFX does where a `preprocessing_fn` checks nothing.

        TFX runs one that does on all rows. But the checks stay in the graph, where they are needed.

        Raises:
          RuntimeError: the `preprocessing_fn` has analyzers, which need the rows.
        """
        schema = artifact_utils.get_single_uri(input_dict[standard_component_specs.SCHEMA_KEY])
        metadata = DatasetMetadata(io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema)))
        given = {**dict.fromkeys((labels.MODULE_FILE, labels.MODULE_PATH)), **exec_properties}
        executor.TransformProcessor()._RunInPlaceImpl(
            self._GetPreprocessingFn(given, {}),
            False,
            metadata,
            TFExampleBeamRecord("inmem", schema=metadata.schema).TensorAdapter().OriginalTypeSpecs(),
            target,
        )


class _Apply(beam.DoFn):
    """Applies a transform graph to a file of tf.Examples, about a megabyte of them at a time."""

    def __init__(self, graph: str) -> None:
        super().__init__()
        self._graph = graph
        self._rows = rows_counter()

    def setup(self) -> None:
        place = self._graph if "://" in self._graph else os.path.abspath(self._graph)
        self._transform = _loaded(place)

    def process(self, file: str) -> Iterator[stored.Columns]:
        for block in read_blocks(file):
            rows = range(len(block.starts))
            self._rows.inc(len(rows))
            transformed = self._transform(tf.constant([block.data(row) for row in rows]))
            yield {name: column.numpy() for name, column in transformed.items()}


def _columns(graph: str) -> pa.Schema:
    """What the graph makes of rows."""
    made = tft.TFTransformOutput(graph).transformed_feature_spec()
    return stored.columns_of(
        {
            name: ("i" if feature.dtype.is_integer else "f", math.prod(feature.shape))
            for name, feature in made.items()
        }
    )


class _Sink(FileBasedSink):
    """Writes files of rows that come as `stored.Columns`."""

    def __init__(self, prefix: str, columns: pa.Schema) -> None:
        plain = CompressionTypes.UNCOMPRESSED
        super().__init__(
            prefix, FastPrimitivesCoder(), file_name_suffix=stored.SUFFIX, compression_type=plain
        )
        self._columns = columns

    def open(self, temp_path: str) -> stored.RowsWriter:
        """Opens a file."""
        return stored.RowsWriter(super().open(temp_path), self._columns)

    def write_record(self, file_handle: stored.RowsWriter, value: stored.Columns) -> None:
        """Adds to an open file."""
        file_handle.write(value)

    def close(self, file_handle: stored.RowsWriter) -> None:
        """Ends a file."""
        file_handle.close()


@lru_cache(maxsize=1)
def _loaded(graph: str) -> Any:
    """What a graph makes of serialized rows; once for all splits, since tracing it takes longest."""
    output = tft.TFTransformOutput(graph)
    raw, layer = output.raw_feature_spec(), output.transform_features_layer()
    # AutoGraph would translate tensorflow-transform's own code, which has nothing in it that depends on rows.
    transform = tf.function(
        lambda serialized: layer(tf.io.parse_example(serialized, raw)),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    return transform


class Transform(TfxTransform):
    """See TFX's."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
