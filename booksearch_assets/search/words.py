"""Finding words, by the store's own ranking where it has one and by the file of words elsewhere.

Belongs here: the choice, and the same answer from both. Does not: how either finds them (`item_index`, `vectorstores`).
"""

from __future__ import annotations

from booksearch_assets.search.catalogue import SearchedCatalogue
from booksearch_assets.search.item_index import Candidate, ItemIndex
from booksearch_assets.search.query import Filters
from booksearch_assets.vectorstores.contract import VectorIndex
from booksearch_assets.vectorstores.lexical import LexicalIndex


def find_words(
    catalogue: SearchedCatalogue,
    index: VectorIndex,
    items: ItemIndex,
    text: str,
    without: str,
    filters: Filters,
    limit: int,
    telling_only: bool = False,
) -> list[Candidate]:
    """As `ItemIndex.find`. A store leaves the commonest words of English out, and not those of its own items."""
    if not isinstance(index, LexicalIndex):
        return items.find(text, without, filters, limit, telling_only)
    copied_by = catalogue.copied_by
    hits = index.search_words(
        text, limit, catalogue.weights, without, catalogue.store_filter(filters), fields=copied_by
    )
    return [Candidate(hit.key, *(hit.fields[name] for name in copied_by)) for hit in hits]
