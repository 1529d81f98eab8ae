"""The collection of products: one entity for each listing, with its main photo's vector.

Belongs here: its fields, how it is searched, and making its rows from the tables. Does not: loading them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from booksearch_assets.abo.languages import DEFAULT_LANGUAGES, texts_in
from booksearch_assets.abo.listings import LocalText
from booksearch_assets.search.catalogue import Control, Fact, LabelField, SearchedCatalogue, Wording
from booksearch_assets.search.folding import folded
from booksearch_assets.search.products import (
    Product,
    ProductFacets,
    ProductFilters,
    ProductItem,
    ProductResult,
)
from booksearch_assets.search.query import Template
from booksearch_assets.search.rows import cut_lists, cut_text, join_images, standing_images
from booksearch_assets.tables.products import PHOTOS
from booksearch_assets.vectorstores.contract import VECTOR, FieldKind, ScalarField

_MAX_NAMES = 16
_MAX_KEYWORDS = 64


def _names(name: str) -> tuple[ScalarField, ScalarField]:
    """The field of a label, and of its folded names, which are what is filtered by."""
    return (
        ScalarField(name, FieldKind.TEXTS, max_bytes=256, capacity=_MAX_NAMES),
        ScalarField(f"{name}_folded", FieldKind.TEXTS, max_bytes=256, capacity=_MAX_NAMES),
    )


PRODUCTS = SearchedCatalogue(
    name="products",
    collection_fields=(
        ScalarField("product_key", FieldKind.TEXT, max_bytes=512),
        ScalarField("image_id", FieldKind.TEXT, max_bytes=256),
        ScalarField("picture_id", FieldKind.TEXT, max_bytes=256),
        ScalarField("item_id", FieldKind.TEXT, max_bytes=256),
        ScalarField("title", FieldKind.TEXT, max_bytes=1024),
        *_names("brands"),
        *_names("product_types"),
        *_names("colours"),
        *_names("materials"),
        ScalarField("keywords", FieldKind.TEXTS, max_bytes=256, capacity=_MAX_KEYWORDS),
        ScalarField("url", FieldKind.TEXT, max_bytes=2048),
    ),
    key="product_key",
    key_pattern=r"^[A-Za-z0-9@._-]{1,512}$",
    key_example="B07TH2B1LQ@amazon.com",
    pictures=PHOTOS,
    image_pattern=r"^[A-Za-z0-9+_-]{1,256}$",
    image_example="81iZlv3bjpL",
    group="item_id",
    numbers=(),
    labels=(
        LabelField(
            "brand",
            "brands",
            "brands_folded",
            "Brand",
            "The whole name of a brand; letter case, accents and punctuation do not matter.",
            "Stone & Beam",
            Control.NAME,
            said="by {}",
        ),
        LabelField(
            "type",
            "product_types",
            "product_types_folded",
            "Type",
            "One whole type of product, as a brand is given.",
            "cellular phone case",
            Control.BUTTONS,
        ),
        LabelField(
            "colour",
            "colours",
            "colours_folded",
            "Colour",
            "One whole colour, as the listing names it.",
            "navy blue",
            Control.NAME,
        ),
        LabelField(
            "material",
            "materials",
            "materials_folded",
            "Material",
            "One whole material, as the listing names it.",
            "solid wood",
            Control.NAME,
        ),
    ),
    weights={
        "title": 8.0,
        "brands": 4.0,
        "product_types": 4.0,
        "colours": 2.0,
        "materials": 2.0,
        "keywords": 1.0,
    },
    filters=ProductFilters,
    item=Product,
    result=ProductResult,
    answer=ProductItem,
    facets=ProductFacets,
    renamed={},
    topic="product_types",
    topic_of=str.lower,
    # Sellers write the type among the keywords.
    telling=("product_types", "keywords"),
    thinned_by="brands_folded",
    wording=Wording(
        item="product",
        items="products",
        copy="listing",
        copies="listings",
        image="photo",
        images="photos",
        shape=1.0,
        finds="what their photos show, and by title, brand, type, colour and material",
        motto="Take a picture, find the product.",
        label="What the photo shows, a name or a brand",
        placeholder="what it shows, a name, a brand",
        examples=(
            "a red teapot",
            "a blue violin",
            "a black umbrella",
            "a yellow lantern",
            "a green candle",
            "a wooden clock",
        ),
        templates=(Template.PHOTO, Template.ILLUSTRATION),
        byline=(Fact("brands"), Fact("product_types")),
        unknown="Unknown brand",
        facts=(Fact("colours"), Fact("materials")),
        source="Amazon",
        source_address="https://www.amazon.com/dp/{item_id}",
    ),
)

products_collection = PRODUCTS.spec


def product_rows(
    listings: pa.Table,
    urls: pa.Table,
    vectors: pa.Table,
    twins: Mapping[str, str] | None = None,
    languages: Sequence[str] = DEFAULT_LANGUAGES,
) -> pa.Table:
    """One row for each listing whose main photo has a vector, with the columns of `products_collection`.

    `listings` is RAW_LISTINGS, `urls` IMAGE_URLS and `vectors` PHOTOS.vectors; `twins` are the photos of which another
    has nearly the same picture, with the photo that stands for them. Of each attribute the texts in the first of
    `languages` are taken that it has any in (`abo.languages`). A product with no name in them has the title "", and is
    found by its picture. Texts that are too long are cut between characters, and of a list that is too long the first
    are kept.
    """
    products, shown, vector = join_images(
        listings, urls, vectors, PRODUCTS.key, PRODUCTS.image, "product_keys"
    )

    def texts(column: str) -> list[list[str]]:
        return [_chosen(each, languages) for each in products[column].to_pylist()]

    types = [[_readable(name) for name in names] for names in products["product_types"].to_pylist()]
    labels = {name: texts(name) for name in ("brands", "colours", "materials")} | {"product_types": types}
    titles = pa.array([next(iter(names), "") for names in texts("names")], pa.string())
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "product_key": products["product_key"],
        "image_id": shown["image_id"],
        "picture_id": standing_images(shown["image_id"], twins or {}),
        "item_id": products["item_id"],
        "title": cut_text(titles, PRODUCTS.field("title").max_bytes),
        "keywords": cut_lists(texts("keywords"), PRODUCTS.field("keywords")),
        "url": shown["url"],
        VECTOR: vector,
    }
    for name, values in labels.items():
        columns[name] = cut_lists(values, PRODUCTS.field(name))
        columns[f"{name}_folded"] = cut_lists(values, PRODUCTS.field(f"{name}_folded"), folded)
    return pa.table({name: columns[name] for name in (*(f.name for f in PRODUCTS.collection_fields), VECTOR)})


def _chosen(texts: Sequence[Mapping[str, str]], languages: Sequence[str]) -> list[str]:
    return texts_in((LocalText(text["language_tag"], text["value"]) for text in texts), languages)


def _readable(product_type: str) -> str:
    """A shop's name of a type as words: CELLULAR_PHONE_CASE is "cellular phone case"."""
    return " ".join(product_type.replace("_", " ").split()).lower()
