"""Lines of listing files, as published and as broken."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booksearch_assets.abo.listings import Listing, LocalText, Rejected, RejectReason, parse_listing

CHAIR = {
    "item_id": "B07X",
    "domain_name": "amazon.com",
    "marketplace": "Amazon",
    "country": "US",
    "item_name": [
        {"language_tag": "en_US", "value": "Rivet  Mid-Century\nChair"},
        {"language_tag": "es_MX", "value": "Silla"},
        {"language_tag": "en_US", "value": "Rivet Mid-Century Chair"},
    ],
    "brand": [{"language_tag": "en_US", "value": "Rivet"}],
    "color": [{"language_tag": "en_US", "value": "Teal", "standardized_values": ["Blue"]}],
    "product_type": [{"value": "CHAIR"}],
    "node": [{"node_id": 3733781, "node_name": "/Categories/Chairs"}],
    "main_image_id": "81iZlv3bjpL",
    "other_image_id": ["91mIRxgziUL", "91mIRxgziUL"],
    "item_weight": [{"normalized_value": {"unit": "pounds", "value": 40}, "unit": "pounds", "value": 40}],
    "spin_id": "a1",
}


def line(**changes: Any) -> bytes:
    fields = {name: value for name, value in (CHAIR | changes).items() if value is not None}
    return json.dumps(fields).encode()


def parsed(**changes: Any) -> Listing:
    listing = parse_listing(line(**changes))
    assert isinstance(listing, Listing)
    return listing


def test_a_listing_as_published() -> None:
    listing = parsed()
    assert listing.product_key == "B07X@amazon.com"
    assert listing.names == [
        LocalText("en_US", "Rivet Mid-Century Chair"),
        LocalText("es_MX", "Silla"),
    ]
    assert listing.product_types == ["CHAIR"]
    assert listing.node_names == ["/Categories/Chairs"]
    assert (listing.main_image_id, listing.other_image_ids) == ("81iZlv3bjpL", ["91mIRxgziUL"])


def test_attributes_without_a_field_are_kept() -> None:
    kept = orjson.loads(parsed(never_seen={"a": [1]}).attributes)
    assert kept == {
        "never_seen": {"a": [1]},
        "item_weight": CHAIR["item_weight"],
        "spin_id": "a1",
    }


@pytest.mark.parametrize("gone", ["item_name", "main_image_id", "domain_name", "node", "color"])
def test_what_is_missing_is_empty(gone: str) -> None:
    listing = parsed(**{gone: None})
    assert listing.names == ([] if gone == "item_name" else parsed().names)
    assert (listing.main_image_id is None) == (gone == "main_image_id")
    assert listing.product_key == ("B07X" if gone == "domain_name" else "B07X@amazon.com")


def test_texts_stand_in_several_shapes() -> None:
    assert parsed(item_name="Chair").names == [LocalText("", "Chair")]
    assert parsed(item_name={"value": "Chair", "language_tag": "de_DE"}).names == [
        LocalText("de_DE", "Chair")
    ]
    assert parsed(item_name=[{"value": 3}, None, {"language_tag": "en_US"}, ["x"]]).names == []


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", RejectReason.NOT_JSON),
        (b'{"item_id": "B07X"', RejectReason.NOT_JSON),
        (b'{"item_id": "\xff"}', RejectReason.NOT_UTF8),
        (b'["B07X"]', RejectReason.NOT_AN_OBJECT),
        (b"{}", RejectReason.NO_ITEM_ID),
        (b'{"item_id": " "}', RejectReason.NO_ITEM_ID),
        (b'{"item_id": 7}', RejectReason.NO_ITEM_ID),
    ],
)
def test_what_is_no_listing_has_a_reason(raw: bytes, reason: RejectReason) -> None:
    assert parse_listing(raw) == Rejected(reason)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*CHAIR, "unknown"]), JSON, max_size=6))
def test_no_json_raises_and_nothing_of_it_is_lost(fields: dict[str, Any]) -> None:
    raw = json.dumps({"item_id": "B07X"} | fields).encode(errors="surrogatepass")
    found = parse_listing(raw)
    if isinstance(found, Listing) and "unknown" in fields:
        assert orjson.loads(found.attributes)["unknown"] == orjson.loads(orjson.dumps(fields["unknown"]))
