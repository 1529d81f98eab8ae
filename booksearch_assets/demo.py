"""`booksearch demo`: a whole catalogue on the sample world, then three searches.

Belongs here: the order of the demonstration and what it prints. Does not: anything the graph or the search does.
"""

from __future__ import annotations

import os
import sys
import time

from rich.console import Console

from booksearch_assets.instance import use_instance
from booksearch_assets.java import require_java
from booksearch_assets.materialize import report, run_job
from booksearch_assets.settings import Settings

SEARCHES, RESULTS = 3, 5


def run_demo(catalogue: str, editions: int | None = None, products: int | None = None) -> int:
    """Materialise, search, print. Returns the exit code."""
    require_java()
    for variable, size in (
        ("BOOKSEARCH_SAMPLE_EDITIONS", editions),
        ("BOOKSEARCH_SAMPLE_PRODUCTS", products),
    ):
        if size is not None:
            os.environ[variable] = str(size)
    settings = Settings.from_environment()
    console = Console(highlight=False)
    use_instance(settings)
    started = time.monotonic()
    sizes = {
        "books": f"{settings.sample_editions:,} editions",
        "products": f"{settings.sample_products:,} listings",
    }
    console.print(f"[bold]{catalogue}/[/bold] on a sample world of {sizes[catalogue]}, in {settings.home}")

    from booksearch_assets.definitions import build_defs

    result = run_job(build_defs(settings), catalogue)
    code = report(result)
    if code:
        return code
    console.print(f"materialised in {time.monotonic() - started:.0f} s\n")
    search_and_print(settings, catalogue, console)
    # The path that this command was called by: it may be on no PATH.
    command, chosen = sys.argv[0], "" if catalogue == "books" else f" --catalogue {catalogue}"
    console.print(
        f"\nthe search page: [bold]{command} serve{chosen}[/bold]\n"
        f"search here: [bold]{command} search{chosen} TEXT[/bold]\n"
        f"see the graph: [bold]{command} ui[/bold]",
        soft_wrap=True,
    )
    return 0


def search_and_print(settings: Settings, name: str, console: Console) -> None:
    """Run the catalogue's example searches, print what they find, and save the pictures of each as one."""
    from booksearch_assets.search.catalogues import searched_catalogue
    from booksearch_assets.search.query import Query
    from booksearch_assets.search.shell import open_search, print_results, save_sheet

    catalogue = searched_catalogue(name)
    engine = open_search(settings, catalogue)
    for number, text in enumerate(catalogue.wording.examples[:SEARCHES], 1):
        results = engine.search(Query(text=text, k=RESULTS))
        console.print(f'[bold]"{text}"[/bold]')
        print_results(results, catalogue)
        sheet = settings.home / f"{name}-{number}.png"
        save_sheet(results, settings, sheet, heading=text, catalogue=catalogue)
        console.print(f"{catalogue.pictures.noun}: {sheet}\n")
