"""Says which serialized tf.Examples every reader reads alike. No TensorFlow.

Protobuf lets a message be written in pieces: a list in two chunks, a feature with two kinds, a name twice.
Python's protobuf and tfx-bsl merge the pieces or take the last; `tf.io.parse_example`, which the served
graph uses, takes the first or refuses. Such a row would be trained on as one thing and served as another.
https://protobuf.dev/programming-guides/encoding describes the format.
"""

from collections.abc import Collection, Iterator
from typing import TypeAlias

from maskline.transform.shown import shown

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf's wire types
_FEATURE_LISTS = 2  # the field of a SequenceExample that an Example does not have
_FLOAT_LIST, _INT64_LIST = 2, 3
_Field: TypeAlias = tuple[int, int, bytes]  # number, wire type, and the content of bytes


class _Odd(Exception):
    """What readers disagree about, in words."""


def is_sequence_example(data: bytes) -> bool:
    """Whether bytes that parse as a tf.Example were written as a tf.SequenceExample with lists."""
    try:
        return any(field[:2] == (_FEATURE_LISTS, _BYTES) for field in _fields(data))
    except _Odd:
        return False


def oddity(data: bytes, names: Collection[str]) -> str | None:
    """Says what readers disagree about in a tf.Example, or None.

    Args:
      data: bytes that protobuf can parse as a tf.Example.
      names: the features whose lists are looked at; of the others only the names matter.
    """
    looked_at, seen = {name.encode() for name in names}, set[bytes]()
    try:
        for content in _only(1, _fields(data)):
            for entry in _all(1, _fields(content)):
                _check_entry(entry, seen, looked_at)
    except _Odd as found:
        return str(found)
    return None


def _check_entry(entry: bytes, seen: set[bytes], names: Collection[bytes]) -> None:
    """One feature with its name."""
    fields = list(_fields(entry))
    if sorted(field[:2] for field in fields) != [(1, _BYTES), (2, _BYTES)]:
        raise _Odd("a feature is not written as one name and one value")
    name, feature = (content for _, _, content in sorted(fields, key=lambda field: field[0]))
    if name in seen:
        raise _Odd(f"{_shown(name)} is written twice")
    seen.add(name)
    if name not in names:
        return
    kinds = list(_fields(feature))
    if len(kinds) > 1:
        raise _Odd(f"{_shown(name)} is written with {len(kinds)} lists")
    for number, _, content in kinds:
        if number in (_FLOAT_LIST, _INT64_LIST):
            _check_list(content, name)


def _check_list(content: bytes, name: bytes) -> None:
    """A list of ids or of floats is one packed chunk, or single numbers."""
    fields = list(_fields(content))
    wires = {wire for _, wire, _ in fields}
    if any(number != 1 for number, *_ in fields):
        raise _Odd(f"{_shown(name)} holds a field that tf.Example does not have")
    if len(wires) > 1 or (_BYTES in wires and len(fields) > 1):
        raise _Odd(f"{_shown(name)} is a list that is written in pieces")


def _shown(name: bytes) -> str:
    return f"feature {shown(name.decode(errors='replace'))}"


def _only(number: int, fields: Iterator[_Field]) -> list[bytes]:
    """The content of a field that comes once, or not at all."""
    found = _all(number, fields)
    if len(found) > 1:
        raise _Odd(f"the record is written in {len(found)} pieces")
    return found


def _all(number: int, fields: Iterator[_Field]) -> list[bytes]:
    """The contents of all fields, which must be of one number."""
    found = []
    for field, wire, content in fields:
        if (field, wire) != (number, _BYTES):
            raise _Odd("the record holds a field that tf.Example does not have")
        found.append(content)
    return found


def _fields(data: bytes) -> Iterator[_Field]:
    """The fields of a message, in the order in which they are written."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        wire, content = tag & 7, b""
        if wire == _BYTES:
            size, place = _varint(data, place)
            content = data[place : place + size]
            place += size
        elif wire == _VARINT:
            _, place = _varint(data, place)
        elif wire in (_FIXED64, _FIXED32):
            place += 8 if wire == _FIXED64 else 4
        else:
            raise _Odd("the record holds a group, which tf.Example does not have")
        yield tag >> 3, wire, content


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
