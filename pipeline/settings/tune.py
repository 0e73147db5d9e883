"""What a sweep tries: values of other settings, in a list or a range."""

from collections.abc import Mapping

from pydantic import model_validator

from maskline.transform.settings import Section, refusal, setting


class TuneRange(Section):
    """Numbers from one to another; integers where the setting is one."""

    min: float = setting(..., "the lowest value", unit="as the setting")
    max: float = setting(..., "the highest value", unit="as the setting")
    log: bool = setting(False, "try as many values between 0.001 and 0.01 as between 0.01 and 0.1")

    @model_validator(mode="after")
    def _holds_values(self) -> "TuneRange":
        if not self.min < self.max:
            raise refusal("max", f"{self.max:g} is not above min, {self.min:g}, so the range is empty")
        if self.log and self.min <= 0:
            raise refusal("min", f"{self.min:g} has no logarithm; give a number above 0, or log: false")
        return self


TuneValue = bool | int | float | str | tuple[int, ...]
TuneSpace = Mapping[str, TuneRange | tuple[TuneValue, ...]]
