"""Finding words, by the store's own ranking where it has one and by the file of words elsewhere.

Belongs here: the choice, and the same answer from both. Does not: how either finds them (`book_index`, `vectorstores`).
"""

from __future__ import annotations

from booksearch_assets.search.book_index import WEIGHTS, BookIndex, Edition
from booksearch_assets.search.books_collection import store_filter
from booksearch_assets.search.query import BookFilters
from booksearch_assets.vectorstores.contract import VectorIndex
from booksearch_assets.vectorstores.lexical import LexicalIndex


def find_words(
    index: VectorIndex,
    books: BookIndex,
    text: str,
    without: str,
    filters: BookFilters,
    limit: int,
    telling_only: bool = False,
) -> list[Edition]:
    """As `BookIndex.find`. A store leaves the commonest words of English out, and not those of its own books."""
    if not isinstance(index, LexicalIndex):
        return books.find(text, without, filters, limit, telling_only)
    hits = index.search_words(
        text, limit, WEIGHTS, without, store_filter(filters), fields=("work_key", "picture_id")
    )
    return [Edition(hit.key, hit.fields["work_key"], hit.fields["picture_id"]) for hit in hits]
