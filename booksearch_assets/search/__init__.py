"""Search: what the collection of a catalogue holds, asking it, showing answers and measuring them.

Belongs here: everything between a reader's question and a vector index. Does not: storing vectors (`vectorstores`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from booksearch_assets.search.books import BookFilters, PageRange, YearRange
    from booksearch_assets.search.client import Client
    from booksearch_assets.search.products import ProductFilters
    from booksearch_assets.search.query import SearchMode, Template

__all__ = ["BookFilters", "Client", "PageRange", "ProductFilters", "SearchMode", "Template", "YearRange"]

_MODULES = {
    "BookFilters": "books",
    "Client": "client",
    "PageRange": "books",
    "ProductFilters": "products",
    "SearchMode": "query",
    "Template": "query",
    "YearRange": "books",
}


def __getattr__(name: str) -> Any:
    # At the first use: commands that search nothing should not import what a search needs.
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
