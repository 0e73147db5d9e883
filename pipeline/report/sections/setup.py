"""Settings that are not the defaults, or not the live model's; versions; the model card."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from maskline.pipeline.report.blocks import Document, Grid, ReportSection, Table, Words, plain
from maskline.pipeline.report.known import RunFacts
from maskline.pipeline.settings.sections import Settings

_LONG = 200  # characters of a value that are shown
_DOWN = 2  # levels that the headings of a card are below those of the page


def setup(known: RunFacts) -> ReportSection:
    """What the model was made with."""
    section = ReportSection("setup", "Settings, versions and model card")
    if known.facts is None:
        section.missing(
            "The settings of this run are not recorded: that is done when a model has been judged, and this "
            "run did not get there, or the file is gone."
        )
        return section
    settings = dict(flat(known.facts["settings"]))
    section.blocks.append(
        _differing("Settings that differ from the defaults", _defaults(settings), settings, "default")
    )
    if known.live_facts is not None:
        live = dict(flat(known.live_facts["settings"]))
        title = f"Settings that differ from those of version {known.live_before}, which was live"
        section.blocks.append(_differing(title, live, settings, "live"))
    else:
        section.missing("No other model was live, so there are no settings to compare with.")
    versions = [
        *known.facts["stack"].items(),
        *((f"source of {k}", v) for k, v in known.facts["code"].items()),
    ]
    section.blocks.append(Table("Versions", Grid.of(("package", "version"), versions)))
    if known.card:
        section.blocks.append(Document("The model card", card_html(known.card)))
    else:
        section.missing(
            "There is no model card: this run released nothing, or `maskline gc` removed the version."
        )
    return section


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting by its key's path."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of the settings that are there; a preset's where one is set."""
    preset = settings.get("model.preset")
    default = Settings.model_validate({"model": {"preset": preset}} if preset else {})
    return {k: v for k, v in flat(default.plain()) if k in settings}


def _differing(title: str, before: Mapping[str, Any], now: Mapping[str, Any], other: str) -> Table | Words:
    keys = [k for k in dict.fromkeys([*before, *now]) if before.get(k) != now.get(k)]
    if not keys:
        return Words.of("None.", title=title)
    rows = [(k, json_text(before.get(k)), json_text(now.get(k))) for k in keys]
    return Table(title, Grid.of(("setting", other, "this run"), rows))


def json_text(value: Any) -> str:
    """A value of a setting as JSON, at most 200 characters of it."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def card_html(text: str) -> Markup:
    """A card's Markdown as HTML: no HTML of its own, no links and no pictures."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.disable(["image", "link", "autolink", "reference", "html_block", "html_inline"])
    tokens = parser.parse("\n".join(map(plain, text.splitlines())))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + _DOWN)}"
        if token.type == "table_open":
            token.attrSet("tabindex", "0")
    return Markup(parser.renderer.render(tokens, parser.options, {}))
