"""`booksearch demo`: the whole graph on the sample world, then three searches.

Belongs here: the order of the demonstration and what it prints. Does not: anything the graph or the search does.
"""

from __future__ import annotations

import os
import time

from rich.console import Console

from booksearch_assets.instance import use_instance
from booksearch_assets.java import require_java
from booksearch_assets.materialize import report, run_job
from booksearch_assets.settings import Settings

QUERIES = ("a lighthouse in a storm", "a red dragon above a castle", "a ghost in the snow")
RESULTS = 5


def run_demo(editions: int | None) -> int:
    """Materialise, search, print. Returns the exit code."""
    require_java()
    if editions is not None:
        os.environ["BOOKSEARCH_SAMPLE_EDITIONS"] = str(editions)
    settings = Settings.from_environment()
    console = Console(highlight=False)
    use_instance(settings)
    started = time.monotonic()
    console.print(
        f"[bold]books/[/bold] on a sample world of {settings.sample_editions:,} editions, in {settings.home}"
    )

    from booksearch_assets.definitions import build_defs

    result = run_job(build_defs(settings), "books")
    code = report(result)
    if code:
        return code
    console.print(f"materialised in {time.monotonic() - started:.0f} s\n")
    search_and_print(settings, console)
    console.print(
        "\nsearch yourself: [bold]make serve[/bold] for the page, or [bold]booksearch search[/bold] here   "
        "see the graph: [bold]make ui[/bold]"
    )
    return 0


def search_and_print(settings: Settings, console: Console) -> None:
    """Run the three searches, print what they find, and save the covers as one picture each."""
    from booksearch_assets.search.query import Query
    from booksearch_assets.search.shell import open_search, print_results, save_sheet

    engine = open_search(settings)
    for number, text in enumerate(QUERIES, 1):
        results = engine.search(Query(text=text, k=RESULTS))
        console.print(f'[bold]"{text}"[/bold]')
        print_results(results)
        sheet = settings.home / f"search-{number}.png"
        save_sheet(results, settings, sheet, heading=text)
        console.print(f"covers: {sheet}\n")
