"""The masking: what positions attend to, with the model's mask and with the published one."""

from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

from maskline.pipeline.report.blocks import Figure, Grid, ReportSection, Words, plain
from maskline.pipeline.report.known import RunFacts
from maskline.pipeline.report.plots import HEAT, draw
from maskline.transform.attention import AttendedRow


def masking(known: RunFacts, prefix: str) -> ReportSection:
    """For some held-out rows, attention with padding in view."""
    section = ReportSection("masking", "Masking: what the model attends to")
    if known.attention is None:
        section.missing(
            "Attention is not recorded: no training of this run came to its end, it is gone, an earlier "
            "version of maskline made it, or its rows are too long to be drawn."
        )
        return section
    ours = {"keys": "padding gets none", "queries": "the published mask", "none": "no mask"}
    section.blocks.append(
        Words.of(
            "A row of symbols is filled up with padding. Attention decides how much each position takes "
            "from each other one; each line of a picture adds up to 100 %. On the left is the mask of this "
            f"model ({ours[known.attention.mask]}); on the right, with the same weights, the mask as it was "
            "first published, which has no effect: attention flows to padding. Padding stands right of the "
            "black line; the colors show small shares larger than they are."
        )
    )
    for number, row in enumerate(known.attention.rows):
        section.blocks.append(_heat(row, number, prefix))
    return section


def _heat(row: AttendedRow, number: int, prefix: str) -> Figure:
    real = next((i for i, pad in enumerate(row.padding) if pad), len(row.padding))
    labels = [plain(symbol)[:6] for symbol in row.symbols[:real]] + ["·"] * (len(row.symbols) - real)

    def paint(left: Axes, right: Axes) -> None:
        for axes, weights, title in (
            (left, row.weights, f"this model: {row.on_padding:.1%} on padding"),
            (right, row.reference, f"published mask: {row.reference_on_padding:.1%} on padding"),
        ):
            shown, norm = weights[:real], PowerNorm(0.4, 0, 1)
            image = axes.imshow(shown, cmap=HEAT, norm=norm, interpolation="none", aspect="auto")
            image.set_gid("heat-ours" if axes is left else "heat-reference")
            axes.set_title(title, fontsize=10)
            axes.grid(visible=False)
            axes.set_xticks(range(len(labels)), labels, fontsize=8)
            axes.set_yticks([])
            axes.tick_params(length=0)
            axes.set_xlabel("attends to")
            if real < len(labels):
                axes.axvline(real - 0.5, color="#1a1a1a", linewidth=1.4)
        left.set_yticks(range(real), labels[:real], fontsize=8)
        left.set_ylabel("position")

    text = "".join(
        s if len(s) == 1 else f" {s} " for s, pad in zip(row.symbols, row.padding, strict=True) if not pad
    )
    padded = sum(row.padding)
    left_out = f" {row.left_out} further positions are left out." if row.left_out else ""
    title = f"Attention of a row with {padded} positions of padding"
    return Figure(
        f"attention-{number}",
        title,
        f"“{plain(text.strip())}”, then padding (·). With this model's mask, real positions give "
        f"{row.on_padding:.1%} of their attention to padding; with the published one, "
        f"{row.reference_on_padding:.1%}.{left_out}",
        draw(
            f"{prefix}attention-{number}", title, paint, height=1.0 + 0.115 * real + 0.2, columns=2, width=7.5
        ),
        Grid.of(
            ("position", "mask", *(f"{i} {label}" for i, label in enumerate(labels))),
            [
                (f"{i} {label}", mask, *(f"{weight:.4f}" for weight in weights[i]))
                for mask, weights in (("this model", row.weights), ("published", row.reference))
                for i, label in enumerate(labels[:real])
            ],
            range(2, len(labels) + 2),
        ),
        wide=True,
    )
