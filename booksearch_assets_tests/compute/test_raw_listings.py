"""Listing files: every line is a listing or quarantined, whatever is in it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booksearch_assets.compute.raw_listings import BadListingFile, parse_listing_file
from booksearch_assets.tables.products import LISTINGS_QUARANTINE, RAW_LISTINGS

LISTING = {
    "item_id": "B01",
    "domain_name": "amazon.com",
    "item_name": [{"language_tag": "en_US", "value": "Red  chair"}, {"language_tag": "de_DE", "value": "Stuhl"}],
    "main_image_id": "81x",
    "spin_id": "ab12",
}  # fmt: skip


def _file(folder: Path, *lines: bytes) -> Path:
    path = folder / "listings_0.json.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    return path


def test_lines_are_listings_or_quarantined_with_a_reason(tmp_path: Path) -> None:
    line = json.dumps(LISTING).encode()
    other = json.dumps(LISTING | {"domain_name": "amazon.de"}).encode()
    listings, quarantined, counts = parse_listing_file(
        _file(tmp_path, line, other, line, b"", b"{", b"\xff", b"[]", b"{}")
    )
    assert listings["product_key"].to_pylist() == ["B01@amazon.com", "B01@amazon.de"]
    assert listings["names"][0].as_py()[0] == {"language_tag": "en_US", "value": "Red chair"}
    assert json.loads(listings["attributes"][0].as_py()) == {"spin_id": "ab12"}
    assert dict(zip(quarantined["line"].to_pylist(), quarantined["reason"].to_pylist(), strict=True)) == {
        3: "repeated",
        5: "not_json",
        6: "not_utf8",
        7: "not_an_object",
        8: "no_item_id",
    }
    assert quarantined["raw"][0].as_py() == line
    assert (counts.rows_in, counts.rows_out, counts.unaccounted) == (7, 2, 0)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.one_of(st.binary(max_size=30), st.just(json.dumps(LISTING).encode())), max_size=8))
def test_no_line_is_lost_and_none_raises(tmp_path: Path, lines: list[bytes]) -> None:
    path = _file(tmp_path, *lines)
    listings, quarantined, counts = parse_listing_file(path)
    said = [line for line in b"\n".join(lines).split(b"\n") if line.strip()]
    assert counts.rows_in == len(listings) + len(quarantined) == len(said)
    assert not RAW_LISTINGS.violations(listings.schema, {})
    assert not LISTINGS_QUARANTINE.violations(quarantined.schema, {})


@pytest.mark.parametrize("cut", [slice(0, 20), slice(3, None)], ids=["cut short", "no gzip"])
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, cut: slice) -> None:
    path = tmp_path / "listings_1.json.gz"
    path.write_bytes(gzip.compress(json.dumps(LISTING).encode() * 20)[cut])
    with pytest.raises(BadListingFile, match=r"listings_1.*no whole gzip file"):
        parse_listing_file(path)
