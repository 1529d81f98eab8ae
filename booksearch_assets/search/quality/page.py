"""The report as one HTML page that needs nothing else: tables, plots, and how to read them.

Belongs here: the page, and the tables that the terminal and the UI show too. Does not: the figures (`report`), the
plots (`plots`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

from booksearch_assets.search.quality.query_sets import Kind
from booksearch_assets.search.quality.report import Answers, Comparison, Pairing, QualityReport
from booksearch_assets.search.quality.systems import SystemName


@dataclass(frozen=True)
class Table:
    """A table with its title; every cell is text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(report: QualityReport) -> list[Table]:
    """Everything that a report says, as tables; those without rows are left out."""
    made = [
        Table(
            "Answers, among all pictures",
            ("who answers", "query", "queries", "measure", "value and 95 % interval"),
            _answer_rows(report.systems.items()),
        ),
        Table(
            f"The prototype's way, among {report.pool} sampled pictures",
            ("who answers", "query", "queries", "measure", "value and 95 % interval"),
            _answer_rows(report.pooled.items(), main_only=True),
        ),
        Table(
            f"{report.pictures} spoilt pictures",
            ("picture", "same item first, and 95 % interval"),
            tuple((name, str(share)) for name, share in report.images.items()),
        ),
        Table(
            "Index",
            ("measure", "value"),
            (
                (
                    f"self-match of {report.self_match.sampled} stored vectors",
                    f"{report.self_match.share:.3f}",
                ),
                *(
                    (f"recall@10 against exact search, {_kept(name)}", f"{recall:.3f}")
                    for name, recall in report.neighbours.items()
                ),
            ),
        ),
        Table(
            "Latency of one query, milliseconds",
            ("what", "p50", "p95", "p99"),
            tuple(
                (name.replace("_", " "), f"{each.p50:.1f}", f"{each.p95:.1f}", f"{each.p99:.1f}")
                for name, each in report.latency.items()
            ),
        ),
        comparison_table(report.comparison),
    ]
    return [table for table in made if table.rows]


def comparison_table(comparison: Comparison) -> Table:
    """The differences of two versions, measure by measure."""
    return Table(
        f"{comparison.candidate} beside {comparison.other or 'no other version'}",
        ("query", "queries", "measure", "this", "other", "difference and 95 % interval", "verdict"),
        tuple(
            (
                each.kind.value,
                str(each.queries),
                each.measure,
                f"{each.candidate:.3f}",
                f"{each.other:.3f}",
                str(each.difference),
                _verdict(each.difference.low, each.difference.high),
            )
            for each in comparison.differences
        ),
    )


def describe(comparison: Comparison) -> str:
    """How two versions were compared, in a sentence."""
    if comparison.pairing is Pairing.NOTHING:
        return f"Nothing was compared: {comparison.note}."
    shared = f", {comparison.shared_images} of them" if comparison.shared_images else ""
    note = f" ({comparison.note})" if comparison.note else ""
    return f"Beside {comparison.other}{note}: {comparison.pairing}{shared}."


def html(report: QualityReport, plots: Mapping[str, bytes]) -> str:
    """The whole page, with `plots` as PNG by title. Opens from any place, with no network."""
    facts = {
        "collection": report.collection,
        "model": f"{report.model_id} ({report.bundle_id})",
        "dump": report.dump_date,
        "items": f"{report.items:,} with {report.item_images:,} pictures",
        "measured": f"{report.measured_at}, in {report.seconds:.0f} s",
    }
    kinds = "".join(
        f"<dt>{escape(kind.value.replace('_', ' '))}</dt><dd>{escape(kind.description)}</dd>"
        for kind in Kind
        if kind in report.answers
    )
    described = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    pictures = "".join(
        f'<figure><figcaption>{escape(title)}</figcaption><img alt="{escape(title)}" '
        f'src="data:image/png;base64,{base64.b64encode(content).decode()}"></figure>'
        for title, content in plots.items()
    )
    return _PAGE.format(
        title=escape(report.collection),
        facts=described,
        kinds=kinds,
        comparison=escape(describe(report.comparison)),
        plots=pictures,
        tables="".join(map(_html_table, tables(report))),
    )


def _answer_rows(
    systems: Iterable[tuple[SystemName, Answers]], main_only: bool = False
) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (name.value, kind.value, str(quality.queries), measure, str(interval))
        for name, answers in systems
        for kind, quality in answers.items()
        for measure, interval in quality.measures.items()
        if not main_only or measure == kind.main_measure
    )


def _kept(name: str) -> str:
    return "no filter" if name == "all" else f"a filter that keeps {name}"


def _verdict(low: float, high: float) -> str:
    return "worse" if high < 0 else "better" if low > 0 else "no difference seen"


def _html_table(table: Table) -> str:
    header = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return (
        f"<h2>{escape(table.title)}</h2><div class=wide><table><thead><tr>{header}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Search quality of {title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }}
dt {{ font-weight: 600; }} dd {{ margin: 0; overflow-wrap: anywhere; }}
figure {{ margin: 1.5rem 0; }} figcaption {{ font-weight: 600; }}
img {{ max-width: 100%; background: #fff; border-radius: 4px; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; }}
</style></head><body>
<h1>Search quality</h1>
<dl>{facts}</dl>
<h2>What is asked</h2>
<dl>{kinds}</dl>
<p>Intervals are of 95 %, by bootstrap over the queries: of two figures whose intervals lie apart, one is higher for
more than chance. A difference is paired query by query, so that it sees what the two intervals may hide; below 0 with
its whole interval, it is a regression.</p>
<h2>Compared</h2>
<p>{comparison}</p>
<h2>Plots</h2>
{plots}
{tables}
</body></html>
"""
