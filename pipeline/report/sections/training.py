"""The training: loss and accuracy by epoch, learning rate, speed, the epoch that was kept, resumes."""

from matplotlib.axes import Axes

from maskline.pipeline.report.blocks import Figure, Grid, ReportSection
from maskline.pipeline.report.known import RunFacts
from maskline.pipeline.report.plots import Ink, draw, whole_numbers


def training(known: RunFacts, prefix: str) -> ReportSection:
    """How the model was learned."""
    section = ReportSection("training", "Training")
    if not known.history:
        section.missing(
            "No learning curve is recorded: no training of this run came to its end, or it is gone."
        )
        return section
    kept = kept_epoch(known)
    resumed = [n for n, entry in enumerate(known.history, start=1) if entry.get("resumed")]
    told = f"The weights of epoch {kept} were kept."
    if resumed:
        told += f" The training was resumed before epoch {', '.join(map(str, resumed))}."
    for name, title, ours, theirs, unit in (
        ("loss", "Loss by epoch", "loss", "val_loss", "cross-entropy in nats"),
        ("accuracy", "Accuracy by epoch", "accuracy", "val_accuracy", "share of rows that are right"),
    ):
        section.blocks.append(
            _curves(known.history, name, title, (ours, theirs), unit, kept, resumed, told, prefix)
        )
    section.blocks.append(_speed(known.history, prefix))
    return section


def kept_epoch(known: RunFacts) -> int:
    """The epoch, from 1, whose weights the model has."""
    history = known.history or []
    training = known.facts["settings"]["training"] if known.facts else known.settings.training.model_dump()
    if not training.get("best_weights", True):
        return len(history)
    losses = [entry["val_loss"] for entry in history]
    return losses.index(min(losses)) + 1


def _curves(
    history: list[dict[str, float]],
    name: str,
    title: str,
    figures: tuple[str, str],
    unit: str,
    kept: int,
    resumed: list[int],
    told: str,
    prefix: str,
) -> Figure:
    epochs = range(1, len(history) + 1)

    def paint(axes: Axes) -> None:
        for figure, label, ink in zip(figures, ("train", "held-out"), (Ink.OTHER, Ink.OURS), strict=True):
            values = [entry[figure] for entry in history]
            [line] = axes.plot(epochs, values, color=ink, marker="o", markersize=4, label=label)
            line.set_gid(label)
        axes.axvline(kept, color=Ink.GOOD, linestyle="--", label=f"kept: epoch {kept}")
        for number, epoch in enumerate(resumed):
            axes.axvline(epoch - 0.5, color=Ink.OPEN, linestyle=":", label="" if number else "resumed")
        axes.set_xlabel("epoch")
        axes.set_ylabel(unit)
        whole_numbers(axes)
        axes.legend()

    return Figure(
        name,
        title,
        told,
        draw(f"{prefix}{name}", title, paint),
        Grid.of(
            ("epoch", "train", "held-out"),
            [(n, *(f"{entry[f]:.4f}" for f in figures)) for n, entry in zip(epochs, history, strict=True)],
            (0, 1, 2),
        ),
    )


def _speed(history: list[dict[str, float]], prefix: str) -> Figure:
    epochs = list(range(1, len(history) + 1))
    rates = [entry["rows"] / entry["seconds"] if entry["seconds"] else 0.0 for entry in history]
    steps = [entry.get("learning_rate") for entry in history]
    known = [rate for rate in steps if rate is not None]

    def paint(left: Axes, right: Axes) -> None:
        left.set_title("examples in a second", fontsize=10)
        [line] = left.plot(epochs, rates, color=Ink.OURS, marker="o", markersize=4)
        line.set_gid("speed")
        left.set_ylim(bottom=0)
        right.set_title("learning rate" if known else "learning rate: not recorded", fontsize=10)
        if len(known) == len(epochs):
            [line] = right.plot(epochs, known, color=Ink.OTHER, marker="o", markersize=4)
            line.set_gid("rate")
        for axes in (left, right):
            axes.set_xlabel("epoch")
            whole_numbers(axes)

    title = "Speed and learning rate by epoch"
    median = sorted(rates)[len(rates) // 2]
    rate = (
        f"the learning rate ended at {known[-1]:.3g}"
        if known
        else "the learning rate is not recorded for this run"
    )
    return Figure(
        "speed",
        title,
        f"{median:,.0f} examples in a second, at the median epoch; {rate}.",
        draw(f"{prefix}speed", title, paint, columns=2),
        Grid.of(
            ("epoch", "examples/s", "learning rate"),
            [
                (n, f"{rate:,.0f}", "–" if step is None else f"{step:.3g}")
                for n, rate, step in zip(epochs, rates, steps, strict=True)
            ],
            (0, 1, 2),
        ),
    )
