"""What all settings have in common: one base class, and one way to declare a setting. No files."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A section of the settings: frozen, without unknown keys, and without NaN or infinite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def setting(default: Any, description: str, *, unit: str = "", **limits: Any) -> Any:
    """Declares a setting, or one key of a list's entries.

    Args:
      default: its value where nothing is given; `...` where it must be given.
      description: what it means, a phrase. docs/settings.md and `maskline settings` print it.
      unit: of its number, such as `rows`; every setting that is a number has one.
      limits: as pydantic's `Field` takes them, such as `ge` and `alias`.
    """
    return Field(default, description=description, json_schema_extra={"unit": unit}, **limits)


def refusal(key: str, reason: str) -> PydanticCustomError:
    """What a validator of a section raises, so that the message names one setting.

    Values of the user's in the reason go through `maskline.transform.shown.shown`.

    Args:
      key: the setting within the section, such as `kernel`; dots lead further down.
      reason: what is wrong with it and what is allowed.
    """
    return PydanticCustomError("refused", "{key}: {reason}", {"key": key, "reason": reason})
