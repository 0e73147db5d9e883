"""Makes HTML of sections, with Jinja. One file: no network, no scripts, and all that a run says escaped."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import maskline
from maskline.pipeline.report.blocks import plain
from maskline.pipeline.report.sections.flow import BOX, HIGH, Flow

_CODE = re.compile(r"`([^`]+)`")


def _code(text: str) -> Markup:
    """Text with what stands in backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def _templates() -> Environment:
    found = Environment(
        loader=PackageLoader("maskline.pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["code"], found.filters["plain"] = _code, plain
    return found


_TEMPLATES = _templates()


def render(template: str, *, heading: str, tone: str, contents: Sequence[Any], **values: Any) -> str:
    """A page.

    Args:
      template: its name, without what all names end in.
      heading: the first line.
      tone: `good`, `bad` or `open`.
      contents: what has a `name` and a `title`.
      values: what the template needs.
    """
    style = (Path(__file__).parent / "templates/page.css").read_text(encoding="utf-8")
    return _TEMPLATES.get_template(f"{template}.html.j2").render(
        style=Markup(style),
        title=f"maskline: {plain(heading)[:120]}",
        heading=plain(heading),
        tone=tone,
        contents=contents,
        footer=f"Made by maskline {maskline.__version__}: one file, no network, no script.",
        **values,
    )


def flow_picture(found: Flow, prefix: str) -> Markup:
    """The flow as inline SVG; `prefix` begins its ids."""
    template = _TEMPLATES.get_template("flow.svg.j2")
    label = "The components of this run and what they hand on"
    return Markup(template.render(flow=found, prefix=prefix, label=label, width=BOX, height=HIGH))
