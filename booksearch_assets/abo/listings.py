"""Listings of the ABO release: from one line of a listing file to typed fields.

A line of `listings/metadata/listings_<i>.json.gz` is one JSON object. Texts stand in lists of
`{"language_tag": "en_US", "value": "..."}`, in one language, in several, or several times in one. What the README of the
release promises, listings break: names are missing, pictures are missing, attributes come that it does not list.
Attributes without a field of their own here are kept as they came.

Belongs here: lines and the shapes of attributes. Does not: which language is shown (`languages`), pictures (`images`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

import orjson


class RejectReason(StrEnum):
    """Why a line is no listing."""

    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    NO_ITEM_ID = "no_item_id"


class Rejected(NamedTuple):
    """A line that is no listing."""

    reason: RejectReason


class LocalText(NamedTuple):
    """A text and its language, such as en_US; the tag is empty where the listing names none."""

    language_tag: str
    value: str


class Listing(NamedTuple):
    """One product as one shop lists it. White space in texts is folded.

    The same `item_id` may be listed in several shops: with `domain_name` it is unique in the release.
    """

    item_id: str
    domain_name: str
    marketplace: str | None
    country: str | None
    names: list[LocalText]
    brands: list[LocalText]
    colours: list[LocalText]
    materials: list[LocalText]
    styles: list[LocalText]
    keywords: list[LocalText]
    bullet_points: list[LocalText]
    product_types: list[str]
    node_names: list[str]
    main_image_id: str | None
    other_image_ids: list[str]
    attributes: str
    """Every other attribute, as JSON."""

    @property
    def product_key(self) -> str:
        """The key of the listing: `B07X@amazon.com`, or the item id alone where no shop is named."""
        return f"{self.item_id}@{self.domain_name}" if self.domain_name else self.item_id


_TEXTS = {
    "names": "item_name",
    "brands": "brand",
    "colours": "color",
    "materials": "material",
    "styles": "style",
    "keywords": "item_keywords",
    "bullet_points": "bullet_point",
}
_OTHERS = (
    "item_id",
    "domain_name",
    "marketplace",
    "country",
    "product_type",
    "node",
    "main_image_id",
    "other_image_id",
)
_FIELDS = frozenset({*_TEXTS.values(), *_OTHERS})


def parse_listing(line: bytes) -> Listing | Rejected:
    """The listing in one line. Never raises."""
    try:
        fields: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return Rejected(_why_not_json(line))
    if not isinstance(fields, dict):
        return Rejected(RejectReason.NOT_AN_OBJECT)
    get = fields.get
    item_id = _text(get("item_id"))
    if item_id is None:
        return Rejected(RejectReason.NO_ITEM_ID)
    texts = {name: _local_texts(get(attribute)) for name, attribute in _TEXTS.items()}
    others = {name: value for name, value in fields.items() if name not in _FIELDS}
    return Listing(
        item_id=item_id,
        domain_name=_text(get("domain_name")) or "",
        marketplace=_text(get("marketplace")),
        country=_text(get("country")),
        **texts,
        product_types=_values(get("product_type"), "value"),
        node_names=_values(get("node"), "node_name"),
        main_image_id=_text(get("main_image_id")),
        other_image_ids=_values(get("other_image_id"), "value"),
        attributes=orjson.dumps(others, option=orjson.OPT_SORT_KEYS).decode(),
    )


def _why_not_json(line: bytes) -> RejectReason:
    try:
        line.decode()
    except UnicodeDecodeError:
        return RejectReason.NOT_UTF8
    return RejectReason.NOT_JSON


def _text(value: Any) -> str | None:
    """A text with its white space folded; None where there is none."""
    return " ".join(value.split()) or None if isinstance(value, str) else None


def _items(value: Any) -> list[Any]:
    """The items of a list, or the one value that stands where a list should."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _values(value: Any, name: str) -> list[str]:
    """The texts of a list, each of which may stand bare or as `{name: text}`, without repeats."""
    found = (_text(item.get(name) if isinstance(item, dict) else item) for item in _items(value))
    return list(dict.fromkeys(text for text in found if text))


def _local_texts(value: Any) -> list[LocalText]:
    """The texts of an attribute with their languages, without repeats. A bare text is of no language."""
    found = [
        LocalText(_text(item.get("language_tag")) or "", text)
        if isinstance(item, dict)
        else LocalText("", text)
        for item in _items(value)
        if (text := _text(item.get("value") if isinstance(item, dict) else item))
    ]
    return list(dict.fromkeys(found))
