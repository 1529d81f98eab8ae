"""Columns of many records at once: texts, lists of texts, and the numbers that texts hold.

What nearly every text passes unchanged is asked of a whole column by Arrow; the few others go through Python one by one.

Belongs here: columns of any record. Does not: which fields a record has (`strict`), what one text means (`records`,
`dates`, `pagination`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TEXTS = pa.list_(pa.string())

# What `str.split` parts at, other than a space: RE2's classes and Arrow's kernels know another white space.
OTHER_SPACE = r"[\t-\r\x1c-\x1f\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
_NOT_FOLDED = f"^$|^ | $|  |{OTHER_SPACE}"


def folded(texts: pa.StringArray) -> pa.StringArray:
    """`texts` with their white space folded; null where nothing is left."""
    return _mended(texts, pc.match_substring_regex(texts, _NOT_FOLDED), lambda text: " ".join(text.split()))


def stripped(texts: pa.StringArray) -> pa.StringArray:
    """`texts` without white space at their ends; null where nothing is left."""
    return _mended(texts, pc.invert(pc.ascii_is_alnum(texts)), str.strip)


def isbns(texts: pa.StringArray) -> pa.StringArray:
    """`texts` bare of hyphens and white space; null where nothing is left."""
    odd = pc.invert(pc.ascii_is_alnum(texts))
    return _mended(texts, odd, lambda text: "".join(text.replace("-", "").split()))


def numbers_in(texts: pa.StringArray, read: Callable[[str | None], int | None]) -> pa.Int32Array:
    """The number that `read` finds in each text: asked once for each distinct one, since dates and sizes repeat."""
    distinct = texts.dictionary_encode()
    return pa.array(map(read, distinct.dictionary.to_pylist()), pa.int32()).take(distinct.indices)


def lists(
    values: Sequence[Sequence[str] | None], texts: Callable[[pa.StringArray], pa.StringArray]
) -> pa.ListArray:
    """What `texts` makes of the items of each list, without nulls; no items where `values` has None."""
    column = pa.array(values, TEXTS)
    return lists_between(column.offsets, texts(column.values))


def lists_between(ends: pa.Int32Array, items: pa.StringArray) -> pa.ListArray:
    """Lists of the items from each of `ends` to the next, without those that are null."""
    if items.null_count:
        kept = np.cumsum([False, *items.is_valid().to_pylist()], dtype=np.int32)
        ends, items = pa.array(kept).take(ends), items.drop_null()
    return pa.ListArray.from_arrays(ends, items, type=TEXTS)


def first_of_each(lists: pa.ListArray) -> pa.StringArray:
    """The first text of each list; null where it has none."""
    return lists.values.take(pc.if_else(pc.equal(pc.list_value_length(lists), 0), None, lists.offsets[:-1]))


def _mended(texts: pa.StringArray, odd: pa.BooleanArray, mend: Callable[[str], str]) -> pa.StringArray:
    """`texts` with those at `odd` mended; null where nothing is left of them."""
    mended = [mend(text) or None for text in texts.filter(odd).to_pylist()]
    return pc.replace_with_mask(texts, odd, pa.array(mended, pa.string())) if mended else texts
