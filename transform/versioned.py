"""Numbers the forms that are written to disk: a file says its shape, and a newer one is refused. No TFX.

docs/formats.md describes every file. What earlier releases wrote has no number, and is format 1.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from maskline.transform.errors import InputError

FORMAT: Final = "format"  # the key in each document, the first one
NEWER: Final = "newer_format"  # pydantic's type of the error
_NEWER: Final = "has format {number}, and this release of maskline reads {known}; install a later release"


class Versioned(BaseModel):
    """A form that is a file, or a line of one.

    A change that earlier releases could not read raises `FORMAT`; a new optional field does not. The number
    is in the JSON and no field: two forms of the same content are equal, whoever wrote them.

    Attributes:
      FORMAT: the number of the shape that is written.
    """

    FORMAT: ClassVar[int] = 1

    @model_serializer(mode="wrap")
    def _add_format(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {FORMAT: self.FORMAT, **handler(self)}

    @model_validator(mode="before")
    @classmethod
    def _refuse_newer(cls, values: Any) -> Any:
        if not isinstance(values, dict) or FORMAT not in values:
            return values
        if is_newer(values, cls.FORMAT):
            raise PydanticCustomError(NEWER, _NEWER, {"number": values[FORMAT], "known": cls.FORMAT})
        return {key: value for key, value in values.items() if key != FORMAT}


def is_newer(values: Mapping[str, Any], known: int) -> bool:
    """Whether a later release wrote a document; one without a number has format 1."""
    number = values.get(FORMAT, 1)
    return not (isinstance(number, int) and 1 <= number <= known)


def refuse_newer(file: object, values: Mapping[str, Any], known: int = 1) -> None:
    """Refuses a document that a later release wrote; for those that are no `Versioned`.

    Args:
      file: its name.
      values: what it holds.
      known: the newest format that is read.

    Raises:
      InputError: a later release wrote it.
    """
    if is_newer(values, known):
        raise InputError(f"{file}: {_NEWER.format(number=values[FORMAT], known=known)}")
