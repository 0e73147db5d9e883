"""What an exported model must hold to be served: settings, and a judgement of what `probe` found. No TFX."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from maskline.components.verdict import Check, Outcome, Scale, Verdict
from maskline.transform.settings import Section, setting

Figures = Mapping[str, Any]


class ModelChecksSettings(Section):
    """What the exported model must hold, measured on this machine and one row at a time."""

    tolerance: float = setting(
        1e-5,
        "difference of logits that is allowed, relative to one plus their size",
        unit="ratio",
        gt=0,
        le=1000,
    )
    mask: Literal["auto", "block", "warn"] = setting(
        "auto",
        "what follows where padding reaches an answer; `auto` blocks, "
        "and warns where the model's own settings let padding through",
    )
    noise: Literal["auto", "nan", "finite"] = setting(
        "auto",
        "what is put in place of padding to see whether it reaches an answer: large numbers and NaN, or "
        "numbers alone, which a product with a mask of zeros stops too; `auto` leaves NaN to our own layers",
    )
    latency_p50_ms: float = setting(100, "median latency of one row", unit="ms", gt=0, le=1e9)
    latency_p95_ms: float = setting(500, "95th percentile of the latency of one row", unit="ms", gt=0, le=1e9)
    memory_mb: float = setting(
        2000, "memory of the serving process, TensorFlow included", unit="MiB", gt=0, le=1e9
    )

    def for_model(self, *, padding_leaks: bool, own: bool = False) -> "ModelChecksSettings":
        """With `mask` and `noise` decided; `own` where the user's own code built the model."""
        decided = {"mask": "warn" if padding_leaks else "block", "noise": "finite" if own else "nan"}
        return self.model_copy(update={k: v for k, v in decided.items() if getattr(self, k) == "auto"})


def judge_export(answers: Figures, settings: ModelChecksSettings) -> Verdict:
    """Turns the probe's figures into checks, a question at a time.

    Args:
      answers: what `probe` wrote.
      settings: the limits, `mask` decided.
    """
    if "error" in answers:
        error = answers["error"]
        text = f"the exported model cannot be loaded: {error}"
        return Verdict(checks=(_check("load", "the model loads", error, text, holds=False),))
    found: list[Check] = []
    for name, read in _READERS.items():
        figures = answers[name]
        if isinstance(figures, dict) and "error" in figures:
            text = f"the check '{name}' could not be made: {figures['error']}"
            found.append(_check(name, "the question can be asked", figures["error"], text, holds=False))
        else:
            found += read(figures, settings, answers.get("rows", 0))
    return Verdict(checks=tuple(found))


def _check(
    name: str,
    asked: str,
    measured: str,
    sentence: str,
    *,
    holds: bool,
    subject: str = "",
    most: tuple[float, float] | None = None,
) -> Check:
    """A check; `most` is what was measured and what is allowed at most, where both are numbers."""
    known = most and all(map(math.isfinite, most))
    return Check(
        name=name,
        subject=subject,
        asked=asked,
        measured=measured,
        outcome=Outcome.PASSED if holds else Outcome.BLOCKED,
        sentence=sentence,
        scale=Scale(value=most[0], limit=most[1], at_least=False) if most and known else None,
    )


def _alone(found: list[str], settings: ModelChecksSettings, rows: int) -> Iterator[Check]:
    measured = f"{', '.join(found)} can be imported" if found else "none of our packages can be imported"
    text = "the exported model loads and answers with TensorFlow and no package of maskline's"
    if found:
        text = f"the exported model was not asked alone: {measured} beside it"
    asked = "the model needs TensorFlow and none of our packages"
    yield _check("alone", asked, measured, text, holds=not found)


def _finite(bad: Mapping[str, int], settings: ModelChecksSettings, rows: int) -> Iterator[Check]:
    for signature, count in bad.items():
        measured = f"{count} are NaN or infinite" if count else "all numbers are finite"
        text = f"signature {signature} gives {count or 'no'} NaN or infinite number{'s' * (count > 1)}"
        asked = "no number is NaN or infinite"
        yield _check("finite", asked, measured, text, holds=not count, subject=signature)


def _golden(distance: Mapping[str, float], settings: ModelChecksSettings, rows: int) -> Iterator[Check]:
    for signature, far in distance.items():
        holds = far <= settings.tolerance  # also false where it is NaN
        as_before = "as before the export" if holds else "otherwise than before the export"
        yield _check(
            "golden",
            f"at most {settings.tolerance:g} from the logits before the export",
            f"{far:.2g} away",
            f"signature {signature} answers {rows:,} stored rows {as_before}, to {_allowed(far, settings)}",
            holds=holds,
            subject=signature,
            most=(far, settings.tolerance),
        )


def _batch(far: float, settings: ModelChecksSettings, rows: int) -> Iterator[Check]:
    asked = f"one row alone is answered as among others, to {settings.tolerance:g}"
    holds = far <= settings.tolerance
    same = "the same answer as" if holds else "another answer than"
    text = f"a row alone gets {same} in a batch, to {_allowed(far, settings)}"
    yield _check("batch", asked, f"{far:.2g} away", text, holds=holds, most=(far, settings.tolerance))


def _padding(far: float, settings: ModelChecksSettings, rows: int) -> Iterator[Check]:
    asked = f"a longer row beside it changes no answer, to {settings.tolerance:g}"
    text = f"a longer row in the same batch changes logits by {_allowed(far, settings)}"
    most = (far, settings.tolerance)
    yield _check("padding", asked, f"{far:.2g} away", text, holds=far <= settings.tolerance, most=most)


def _allowed(far: float, settings: ModelChecksSettings) -> str:
    return f"{far:.2g} (allowed {settings.tolerance:g})"


def _mask(found: Mapping[str, float], settings: ModelChecksSettings, rows: int) -> Iterator[Check]:
    leaks = {
        f"up to {found['attention']:.1%} of a position's attention is on padding": found["attention"] > 0,
        f"noise in padding changes {found['changed']:.1%} of the answers": found["changed"] > 0,
        f"rows are laid side by side with {found['flattened']:.2g} in padding": found["flattened"] > 0,
    }
    told = [text for text, leaks_there in leaks.items() if leaks_there]
    looked = ", ".join(
        f"{int(found[kind])} {name}{'' if found[kind] == 1 else 's'}"
        for kind, name in (("lookups", "lookup"), ("softmaxes", "attention"), ("reshapes", "reshape"))
    )
    outcome = Outcome.PASSED
    if told:
        outcome = Outcome.BLOCKED if settings.mask == "block" else Outcome.WARNED
    nothing = f"padding reaches no answer (looked into {looked})"
    yield Check(
        name="mask",
        asked="nothing of padding reaches an answer",
        measured="; ".join(told) or f"nothing does ({looked})",
        outcome=outcome,
        sentence=f"padding reaches answers: {'; '.join(told)}" if told else nothing,
    )


def _malformed(found: Mapping[str, Any], settings: ModelChecksSettings, rows: int) -> Iterator[Check]:
    answered, refused = found["answered"], found["refused"]
    asked = refused + len(answered)
    measured = f"{refused} of {asked} are"
    text = f"all {asked} malformed requests are refused"
    if answered:
        measured += f"; answered: {', '.join(answered)}"
        text = f"{len(answered)} of {asked} malformed requests are answered: {', '.join(answered)}"
    yield _check("malformed", "requests that are wrong are refused", measured, text, holds=not answered)


def _latency(found: Mapping[str, float], settings: ModelChecksSettings, rows: int) -> Iterator[Check]:
    limits = {"p50": settings.latency_p50_ms, "p95": settings.latency_p95_ms}
    for name, limit in limits.items():
        taken = found[f"{name}_ms"]
        at = "at the median" if name == "p50" else "at the 95th percentile"
        text = f"one row is answered in {taken:.1f} ms {at} (allowed {limit:g} ms)"
        asked = f"at most {limit:g} ms for one row"
        holds, most = taken <= limit, (taken, limit)
        yield _check("latency", asked, f"{taken:.1f} ms", text, holds=holds, subject=name, most=most)


def _memory(used: float, settings: ModelChecksSettings, rows: int) -> Iterator[Check]:
    asked = f"at most {settings.memory_mb:g} MiB, TensorFlow and all"
    text = f"a process that serves the model uses {used:,.0f} MiB, TensorFlow included"
    text += f" (allowed {settings.memory_mb:,.0f} MiB)"
    most = (used, settings.memory_mb)
    yield _check("memory", asked, f"{used:.0f} MiB", text, holds=used <= settings.memory_mb, most=most)


_READERS: Mapping[str, Callable[[Any, ModelChecksSettings, int], Iterator[Check]]] = {
    "packages": _alone,
    "finite": _finite,
    "golden": _golden,
    "batch": _batch,
    "padding": _padding,
    "mask": _mask,
    "malformed": _malformed,
    "latency": _latency,
    "memory": _memory,
}
