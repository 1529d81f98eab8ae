"""Listings of the sample products, written down as ABO does: every attribute in its own form, and its disorder.

Belongs here: the JSON object of one listing. Does not: what is true (`products`), lines and files (`product_release`).

Forms by the README of the release: texts are lists of `{"language_tag", "value"}`, measures carry a normalised value in
another unit, dimensions nest them, and some attributes come that the README does not name.
"""

from __future__ import annotations

from typing import Any

from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.product_words import (
    COLOURS,
    KINDS,
    MATERIALS,
    STYLES,
    Words,
    in_language,
    product_name,
)
from booksearch_assets.sample.products import ProductWorld, SampleListing
from booksearch_assets.sample.scenes import COLOURS as OTHER_WORDS

Attributes = dict[str, Any]

_FANCY_COLOUR_SHARE = 0.15  # of listings that call a colour by another word than everyone knows
_CENTIMETRES, _KILOGRAMS = 2.54, 0.45359237


def listing_attributes(world: ProductWorld, listing: SampleListing) -> Attributes:
    """The listing as the release has it. Attributes are in no order, as there."""
    draws = Draws("attributes", world.seed, listing.index)
    attributes: Attributes = {
        "item_id": listing.item_id,
        "domain_name": listing.shop.domain_name,
        "marketplace": listing.shop.marketplace,
        "country": listing.shop.country,
        "product_type": [{"value": KINDS[listing.product.kind].product_type}],
        "brand": _same_in_all(listing, listing.product.brand),
        "color": _colours(listing, draws),
        "node": [
            {"node_id": 1_000_000 + 977 * listing.index, "node_name": KINDS[listing.product.kind].category}
        ],
    }
    if listing.language_tags:
        attributes["item_name"] = _names(listing, draws)
        attributes["bullet_point"] = _bullet_points(listing)
        attributes["item_keywords"] = _translated(listing, KINDS[listing.product.kind].words)
    if listing.main_photo is not None:
        attributes["main_image_id"] = world.image_id(listing.main_photo)
    if listing.other_photos:
        attributes["other_image_id"] = [world.image_id(photo) for photo in listing.other_photos]
    attributes |= {name: value for name, value in _sometimes(listing, draws).items() if draws.chance(0.6)}
    return dict(
        sorted(attributes.items(), key=lambda item: Draws("order", listing.index, item[0]).below(1 << 32))
    )


def _names(listing: SampleListing, draws: Draws) -> list[Attributes]:
    product = listing.product
    names = [
        _text(
            tag,
            product_name(
                tag,
                product.brand,
                product.kind,
                product.colour,
                product.material,
                product.style,
                listing.variant,
            ),
        )
        for tag in listing.language_tags
    ]
    if draws.chance(0.04):  # twice in one language, once with stray white space
        tag, name = names[0]["language_tag"], names[0]["value"]
        names.append(_text(tag, f" {name}  (New)\n"))
    return names


def _colours(listing: SampleListing, draws: Draws) -> list[Attributes]:
    colour = listing.product.colour
    texts = _translated(listing, COLOURS[colour])
    if texts and draws.chance(_FANCY_COLOUR_SHARE):
        texts[0]["value"] = draws.choice(OTHER_WORDS[colour]).capitalize()
    for text in texts:
        if draws.chance(0.5):
            text["standardized_values"] = [COLOURS[colour][0]]
    return texts


def _bullet_points(listing: SampleListing) -> list[Attributes]:
    product = listing.product
    return [
        _text(
            tag,
            " – ".join(
                in_language(words, tag)
                for words in (STYLES[product.style], MATERIALS[product.material].words)
            ),
        )
        for tag in listing.language_tags
    ]


def _sometimes(listing: SampleListing, draws: Draws) -> Attributes:
    """What a listing may have or lack. The last three are in no README."""
    product = listing.product
    weight = draws.between(2, 900) / 10
    return {
        "material": _translated(listing, MATERIALS[product.material].words),
        "style": _translated(listing, STYLES[product.style]),
        "pattern": _same_in_all(listing, "Solid"),
        "color_code": [f"#{draws.below(1 << 24):06X}"],
        "model_name": _same_in_all(listing, f"{product.style.capitalize()} {product.kind.capitalize()}"),
        "model_number": [{"value": f"{product.kind[:2].upper()}-{draws.between(100, 99_999)}"}],
        "model_year": [{"value": draws.between(2009, 2021)}],
        "item_dimensions": {
            side: _measure(draws.between(10, 400) / 10, "inches", _CENTIMETRES, "centimeters")
            for side in ("height", "length", "width")
        },
        "item_weight": [_measure(weight, "pounds", _KILOGRAMS, "kilograms")],
        "product_description": [
            _text(tag, f"<p>{in_language(KINDS[product.kind].words, tag)} &amp; more.</p>")
            for tag in listing.language_tags[:1]
        ],
        "spin_id": f"{draws.below(1 << 32):08x}",
        "3dmodel_id": listing.item_id,
        "batteries_required": [{"value": False}],
        "unit_count": {"type": {"language_tag": "en_US", "value": "Count"}, "value": 1.0},
        "warranty": None,
    }


def _measure(value: float, unit: str, factor: float, normalised_unit: str) -> Attributes:
    normalised = {"unit": normalised_unit, "value": round(value * factor, 3)}
    return {"normalized_value": normalised, "unit": unit, "value": value}


def _translated(listing: SampleListing, words: Words) -> list[Attributes]:
    return [_text(tag, in_language(words, tag)) for tag in listing.language_tags or ("en_US",)]


def _same_in_all(listing: SampleListing, text: str) -> list[Attributes]:
    """A name that is translated into no language, yet given in each."""
    return [_text(tag, text) for tag in listing.language_tags or (listing.shop.language_tag,)]


def _text(language_tag: str, value: str) -> Attributes:
    return {"language_tag": language_tag, "value": value}
