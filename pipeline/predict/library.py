"""TensorFlow's C library: sessions of SavedModels, without the seconds that the Python package takes.

The library is in TensorFlow's wheel, and is the one that its Python package calls. Functions and
structures are those of `tensorflow/c/c_api.h`, the stable interface for other languages:
https://www.tensorflow.org/install/lang_c.
"""

import ctypes
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT, _STRING = 1, 7  # TF_DataType
_STRING_SIZE = 24  # bytes of a TF_TString
_INVALID_ARGUMENT = 3  # TF_Code
# A ConfigProto: one thread in each op and one op at a time, as other processes of an engine use the other
# cores; and the graph as it was exported, since optimizing it again takes longer than it saves.
_CONFIG = bytes([16, 1, 40, 1, 82, 5, 82, 3, 152, 1, 1])
_POINTERS = (
    "TF_NewStatus", "TF_NewGraph", "TF_NewSessionOptions", "TF_LoadSessionFromSavedModel", "TF_Message",
    "TF_GraphOperationByName", "TF_AllocateTensor", "TF_TensorData", "TF_StringGetDataPointer",
    "TF_NewBuffer",
)  # fmt: skip


class Refused(ValueError):
    """The graph refused what it was asked: an assertion within it failed."""


class LibraryError(RuntimeError):
    """TensorFlow cannot load the model, or fails for another reason than what it was asked."""


class _Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("free", ctypes.c_void_p)]


class _Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


@cache
def _library() -> tuple[Any, Any]:
    """The library, and the same one for calls that are so short that giving up Python's lock costs more."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise LibraryError("TensorFlow is not installed")
    folder = spec.submodule_search_locations[0]
    ctypes.CDLL(f"{folder}/libtensorflow_framework.so.2", mode=ctypes.RTLD_GLOBAL)
    path = f"{folder}/libtensorflow_cc.so.2"
    library, quick = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL), ctypes.PyDLL(path)
    for name in _POINTERS:
        for loaded in (library, quick):
            getattr(loaded, name).restype = ctypes.c_void_p
    quick.TF_StringGetSize.restype = ctypes.c_size_t
    library.TF_Dim.restype = ctypes.c_int64
    return library, quick


class Session:
    """A SavedModel that is loaded, as a model server loads it.

    Args:
      folder: of the SavedModel.

    Attributes:
      meta_graph: what the SavedModel declares, a serialized MetaGraphDef.

    Raises:
      LibraryError: TensorFlow cannot load it.
    """

    def __init__(self, folder: str) -> None:
        self._tf, self._quick = _library()
        self._graph = _pointer(self._tf.TF_NewGraph())
        options = _pointer(self._tf.TF_NewSessionOptions())
        buffer = _pointer(self._tf.TF_NewBuffer())
        tags = (ctypes.c_char_p * 1)(b"serve")
        with self._checked() as status:
            self._tf.TF_SetConfig(options, _CONFIG, ctypes.c_size_t(len(_CONFIG)), status)
        with self._checked() as status:
            session = self._tf.TF_LoadSessionFromSavedModel(
                options, None, folder.encode(), tags, 1, self._graph, buffer, status
            )
            self._session = _pointer(session)
        declared = ctypes.cast(buffer, ctypes.POINTER(_Buffer)).contents
        self.meta_graph = ctypes.string_at(declared.data, declared.length)
        self._tf.TF_DeleteBuffer(buffer)
        self._tf.TF_DeleteSessionOptions(options)

    def run(self, feed: str, values: Sequence[bytes], fetch: Mapping[str, type]) -> list[Any]:
        """Feeds strings to one tensor and fetches others.

        Args:
          feed: name of a tensor, [batch] string.
          values: what it is fed with.
          fetch: names of tensors whose first axis is the batch; `bytes` for strings, `float` for float32.

        Returns:
          for each of them the strings, or an array of its shape.

        Raises:
          Refused: an assertion in the graph failed; the text is the graph's.
          LibraryError: something else did.
        """
        outputs = (_Output * len(fetch))(*(self._find(name) for name in fetch))
        tensors = (ctypes.c_void_p * len(fetch))()
        fed = (ctypes.c_void_p * 1)(self._strings(values))
        try:
            with self._checked() as status:
                self._tf.TF_SessionRun(
                    self._session, None, (_Output * 1)(self._find(feed)), fed, 1,
                    outputs, tensors, len(fetch), None, 0, None, status,
                )  # fmt: skip
            kinds = fetch.values()
            return [self._read(_pointer(t), kind) for t, kind in zip(tensors, kinds, strict=True)]
        finally:
            for tensor in (*fed, *tensors):
                if tensor:
                    self._tf.TF_DeleteTensor(_pointer(tensor))

    def _find(self, name: str) -> _Output:
        operation, _, index = name.partition(":")
        found = self._tf.TF_GraphOperationByName(self._graph, operation.encode())
        if not found:
            raise LibraryError(f"the model has no tensor '{name}'")
        return _Output(found, int(index or 0))

    def _strings(self, values: Sequence[bytes]) -> int:
        """A tensor of strings that point to the bytes of `values`, which must outlive it."""
        shape, size = (ctypes.c_int64 * 1)(len(values)), _STRING_SIZE * len(values)
        tensor = self._tf.TF_AllocateTensor(_STRING, shape, 1, ctypes.c_size_t(size))
        first, view, length = self._tf.TF_TensorData(_pointer(tensor)), ctypes.c_void_p, ctypes.c_size_t
        ctypes.memset(first, 0, size)  # empty strings
        assign = self._quick.TF_StringAssignView
        for place, value in enumerate(values):
            assign(view(first + _STRING_SIZE * place), value, length(len(value)))
        return tensor

    def _read(self, tensor: ctypes.c_void_p, kind: type) -> list[bytes] | NDArray[np.float32]:
        shape = [self._tf.TF_Dim(tensor, axis) for axis in range(self._tf.TF_NumDims(tensor))]
        first = self._tf.TF_TensorData(tensor)
        if kind is float:
            if self._tf.TF_TensorType(tensor) != _FLOAT:
                raise LibraryError("the model answers other numbers than float32")
            data = ctypes.string_at(first, 4 * int(np.prod(shape)))
            return np.frombuffer(data, np.float32).reshape(shape)
        if self._tf.TF_TensorType(tensor) != _STRING:
            raise LibraryError("the model answers something other than strings")
        start, size = self._quick.TF_StringGetDataPointer, self._quick.TF_StringGetSize
        string = ctypes.string_at
        places = [ctypes.c_void_p(first + _STRING_SIZE * place) for place in range(shape[0])]
        return [string(start(place), size(place)) for place in places]

    @contextmanager
    def _checked(self) -> Iterator[ctypes.c_void_p]:
        """A status for a call, whose failure is raised."""
        status = _pointer(self._tf.TF_NewStatus())
        try:
            yield status
            if code := self._tf.TF_GetCode(status):
                text = ctypes.string_at(self._tf.TF_Message(status)).decode(errors="replace")
                raise (Refused if code == _INVALID_ARGUMENT else LibraryError)(text)
        finally:
            self._tf.TF_DeleteStatus(status)


def _pointer(address: int | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(address)
