"""What is asked and answered of products: the filters, the item, the result.

Belongs here: these types. Does not: what is the same for every catalogue (`query`), how products are stored
(`products_collection`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from booksearch_assets.search.query import FacetCount, Filters, MatchedBy


@dataclass(frozen=True)
class ProductFilters(Filters):
    """Which products may be found; what is None does not matter, and all that is given must hold.

    Each is one whole name, such as "stone & beam", "cellular phone case", "navy blue" or "solid wood"; letter case,
    accents and punctuation do not matter.
    """

    brand: str | None = None
    type: str | None = None
    colour: str | None = None
    material: str | None = None


@dataclass(frozen=True)
class Product:
    """One product as one shop lists it. `url` is its photo's; the same `item_id` may be listed in several shops.

    `title` is "" where the listing has no name in the languages that were chosen.
    """

    product_key: str
    title: str
    brands: tuple[str, ...]
    product_types: tuple[str, ...]
    colours: tuple[str, ...]
    materials: tuple[str, ...]
    image_id: str
    item_id: str
    url: str


@dataclass(frozen=True)
class ProductResult(Product):
    """One product found, at `rank` (from 1, over all pages).

    `score` is the cosine of its photo's vector and the query's: it compares results of one query and says nothing
    across queries; None where only words were compared. A hybrid rank follows both searches, so scores need not fall.
    `more_listings` are those of the same item, or with its photo, that pass the filters too and are not shown.
    """

    rank: int
    score: float | None
    more_listings: int
    matched_by: MatchedBy


@dataclass(frozen=True)
class ProductItem:
    """One product, and the other listings of it: of the same item, with its photo, or nearly its picture."""

    product: Product
    other_listings: tuple[Product, ...]
    collection: str
    bundle_id: str
    model_id: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ProductFacets:
    """The most frequent brands, types, colours and materials of `total` products."""

    total: int
    brands: tuple[FacetCount, ...]
    product_types: tuple[FacetCount, ...]
    colours: tuple[FacetCount, ...]
    materials: tuple[FacetCount, ...]
    collection: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
