"""The plots of a quality report, as PNG.

Belongs here: drawing with Matplotlib. Does not: the page around them (`page`), the figures (`report`).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from booksearch_assets.search.quality.measures import Interval
from booksearch_assets.search.quality.query_sets import Kind
from booksearch_assets.search.quality.report import Answers, QualityReport

_COLOURS = ("#31456a", "#c8553d", "#8a9a5b", "#b9a05f")
_INTERVAL = "#14171c"
_DPI = 80
_WIDTH = 6.4

Series = Mapping[str, Mapping[str, Interval]]
"""Bars of one colour by the name in the legend, each by the name on the axis."""


def plots(report: QualityReport) -> dict[str, bytes]:
    """Every plot of a report by its title; those that nothing was measured for are left out."""
    drawn = {
        "Known items: is the right picture found?": _known_items(report.answers),
        "Subjects: nDCG@10 beside the baselines": _by_system(
            report, (Kind.SUBJECT, Kind.UNTITLED), "nDCG@10"
        ),
        "Known items: MRR beside the baselines": _by_system(report, (Kind.CAPTION, Kind.TITLE), "MRR"),
        "Spoilt pictures: does the same item come first?": {"share": report.images} if report.images else {},
    }
    drawn = {title: series for title, series in drawn.items() if series}
    shown = {title: _bars(series, "mean, with 95 % interval") for title, series in drawn.items()}
    shown["Latency of one query"] = _latency(report)
    if report.comparison.differences:
        shown["Difference from the other version"] = _differences(report)
    return shown


def _known_items(answers: Answers) -> Series:
    kinds = [kind for kind in (Kind.CAPTION, Kind.TITLE) if kind in answers]
    return {kind.value: answers[kind].measures for kind in kinds}


def _by_system(report: QualityReport, kinds: Sequence[Kind], measure: str) -> Series:
    asked = [kind for kind in kinds if kind in report.answers]
    return {
        kind.value.replace("_", " "): {
            name.value: answers[kind].measures[measure] for name, answers in report.systems.items()
        }
        for kind in asked
    }


def _bars(series: Series, label: str) -> bytes:
    """Horizontal bars in groups, with their intervals, on an axis from 0 to 1."""
    names = list(next(iter(series.values())))

    def draw(axes: Axes) -> None:
        thickness = 0.8 / len(series)
        for place, (legend, values) in enumerate(series.items()):
            rows = [
                len(names) - 1 - row - (place - (len(series) - 1) / 2) * thickness
                for row in range(len(names))
            ]
            intervals = [values[name] for name in names]
            axes.barh(
                rows,
                [interval.value for interval in intervals],
                height=thickness * 0.92,
                xerr=[
                    [max(0.0, i.value - i.low) for i in intervals],
                    [max(0.0, i.high - i.value) for i in intervals],
                ],
                color=_COLOURS[place],
                ecolor=_INTERVAL,
                capsize=2,
                label=legend,
            )
        axes.set_yticks(range(len(names)), names[::-1])
        axes.set_xlim(0, 1)
        axes.set_xlabel(label)
        if len(series) > 1:
            axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

    return _png(draw, 0.9 + 0.36 * len(names) * max(1.0, 0.6 * len(series)))


def _latency(report: QualityReport) -> bytes:
    names = [name.replace("_", " ") for name in report.latency]

    def draw(axes: Axes) -> None:
        for place, percentile in enumerate(("p50", "p95", "p99")):
            rows = [len(names) - 1 - row - (place - 1) * 0.27 for row in range(len(names))]
            values = [getattr(latency, percentile) for latency in report.latency.values()]
            drawn = axes.barh(rows, values, height=0.25, color=_COLOURS[place], label=percentile)
            axes.bar_label(drawn, fmt=" %.1f", fontsize=8)
        axes.set_yticks(range(len(names)), names[::-1])
        axes.set_xlabel("milliseconds")
        axes.margins(x=0.12)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

    return _png(draw, 0.8 + 0.7 * len(names))


def _differences(report: QualityReport) -> bytes:
    differences = report.comparison.differences[::-1]

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=_INTERVAL, linewidth=0.8)
        for row, each in enumerate(differences):
            span = each.difference
            colour = _COLOURS[1] if each.is_regression else _COLOURS[0]
            axes.plot([span.low, span.high], [row, row], color=colour, linewidth=2)
            axes.plot([span.value], [row], "o", color=colour)
        axes.set_yticks(
            range(len(differences)), [f"{each.kind} {each.measure}".replace("_", " ") for each in differences]
        )
        axes.set_xlabel("this version - the other, with 95 % interval; red is a regression")

    return _png(draw, 0.8 + 0.26 * len(differences))


def _png(draw: Callable[[Axes], None], height: float) -> bytes:
    # Figure without pyplot: pyplot keeps every figure alive and picks a window system.
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI)
    return stream.getvalue()
