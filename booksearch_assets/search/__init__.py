"""Search: what a collection of books holds, asking it, showing answers and measuring them.

Belongs here: everything between a reader's question and a vector index. Does not: storing vectors (`vectorstores`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from booksearch_assets.search.client import Client
    from booksearch_assets.search.query import BookFilters, PageRange, SearchMode, Template, YearRange

__all__ = ["BookFilters", "Client", "PageRange", "SearchMode", "Template", "YearRange"]


def __getattr__(name: str) -> Any:
    # At the first use: commands that search nothing should not import what a search needs.
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'client' if name == 'Client' else 'query'}"), name)
