"""Records in the shape that Open Library writes today, read in a fraction of the time that `records` takes for any shape.

The head of a line is matched as a whole, and JSON is decoded straight into typed structs that have the fields somebody
reads; the rest is skipped. What the fields mean is then said column by column, for a batch at once. A line that deviates
in any way is left to `records`, which says what its fields mean: where both read a line, they agree.

Belongs here: the usual shape, and nothing that has to be decided. Does not: other shapes, rejects (`records`), how a
column is made of many values (`columns`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from booksearch_assets.openlibrary.columns import (
    first_of_each,
    folded,
    isbns,
    lists,
    lists_between,
    numbers_in,
    stripped,
)
from booksearch_assets.openlibrary.dates import first_four_digits, publish_year
from booksearch_assets.openlibrary.pagination import largest_number
from booksearch_assets.openlibrary.records import INT32_MAX, INT64_MAX, SAFE_DIGITS

Fields = TypeVar("Fields", bound=msgspec.Struct)
UsualLine = tuple[bytes, bytes, bytes, Fields]
Values = Mapping[str, Sequence[Any]]
Columns = dict[str, pa.Array]


class _Reference(msgspec.Struct, gc=False):
    key: str


class _Role(msgspec.Struct, gc=False):
    author: _Reference
    key: None = None


class _Edition(msgspec.Struct, gc=False):
    title: str | None = None
    subtitle: str | None = None
    works: list[_Reference] | None = None
    authors: list[_Reference] | None = None
    languages: list[_Reference] | None = None
    subjects: list[str] | None = None
    genres: list[str] | None = None
    publish_date: str | None = None
    number_of_pages: int | None = None
    pagination: str | None = None
    isbn_10: list[str] | None = None
    isbn_13: list[str] | None = None
    covers: list[int | None] | None = None


class _Work(msgspec.Struct, gc=False):
    subjects: list[str] | None = None
    authors: list[_Role] | None = None


class _Author(msgspec.Struct, gc=False):
    name: str | None = None
    personal_name: str | None = None


class UsualShape(Generic[Fields]):
    """The lines of one type, `/type/<name>`, and the columns of what they hold.

    `columns` makes the columns that are the type's own: from each field's values in many lines, and the year of the
    dump. The keys of the lines go to the column `key`.
    """

    def __init__(
        self,
        name: str,
        fields: type[Fields],
        columns: Callable[[Values, int], Columns],
        key: str = "key",
    ) -> None:
        head = rf"/type/{name}\t(?:[^\t]*/)?([0-9A-Za-z]+)\t(?!0+\t)([0-9]{{1,{SAFE_DIGITS}}})\t([^\t]*)\t"
        self._head = re.compile(head.encode()).match
        self._decode = msgspec.json.Decoder(fields).decode
        self._names = tuple(field.name for field in msgspec.structs.fields(fields))
        self._columns = columns
        self._key = key

    def read(self, line: bytes) -> UsualLine[Fields] | None:
        """Key, revision, time of the last change, and fields; None says no more than that `records` has to read it."""
        head = self._head(line)
        # Texts that nobody reads are skipped unseen: only ASCII is certain to be UTF-8.
        if head is None or not line.isascii():
            return None
        key, revision, last_modified = head.groups()
        try:
            return key, revision, last_modified, self._decode(line[head.end() :])
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None

    def columns(self, lines: Sequence[UsualLine[Fields]], dump_year: int) -> Columns:
        """The columns of `lines` that were read, by name; a line is at the same place in each of them."""
        keys, revisions, times, records = zip(*lines, strict=True)
        values = zip(*map(msgspec.structs.astuple, records), strict=True)
        return {
            self._key: _texts(keys),
            "revision": _texts(revisions).cast(pa.int32()),
            "last_modified": _texts(times),
            **self._columns(dict(zip(self._names, values, strict=True)), dump_year),
        }


def _edition_columns(of: Values, dump_year: int) -> Columns:
    dates = _texts(of["publish_date"])
    numbers_of_pages = pa.array(map(_whole_pages, of["number_of_pages"]), pa.int32())
    # White space ends a number however much there is of it: a pagination need not be folded.
    largest_numbers = numbers_in(_texts(of["pagination"]), largest_number)
    return {
        "work_reference": first_of_each(_keys(of["works"])),
        "author_keys": _keys(of["authors"]),
        "title": folded(_texts(of["title"])),
        "subtitle": folded(_texts(of["subtitle"])),
        "languages": _keys(of["languages"]),
        "edition_subjects": lists(of["subjects"], folded),
        "genres": lists(of["genres"], folded),
        "publish_date": dates,
        "publish_year": numbers_in(dates, lambda date: publish_year(date, dump_year)),
        "first_four_digits": numbers_in(dates, first_four_digits),
        "pages": pc.coalesce(numbers_of_pages, largest_numbers),
        "number_of_pages": numbers_of_pages,
        "isbn_10": lists(of["isbn_10"], isbns),
        "isbn_13": lists(of["isbn_13"], isbns),
        "cover_id": pa.array(map(_first_positive, of["covers"]), pa.int64()),
    }


def _work_columns(of: Values, dump_year: int) -> Columns:
    authors = [roles and [role.author for role in roles] for roles in of["authors"]]
    return {
        "location": pa.nulls(len(authors), pa.string()),
        "subjects": lists(of["subjects"], folded),
        "author_keys": _keys(authors),
    }


def _author_columns(of: Values, dump_year: int) -> Columns:
    names = folded(_texts(of["name"]))
    return {
        "location": pa.nulls(len(names), pa.string()),
        "name": pc.coalesce(names, folded(_texts(of["personal_name"]))),
    }


def _texts(values: Sequence[str | bytes | None]) -> pa.StringArray:
    return pa.array(values, pa.string())


def _keys(references: Sequence[list[_Reference] | None]) -> pa.ListArray:
    keys = [reference.key.rpartition("/")[2] for some in references if some for reference in some]
    ends = np.cumsum([0, *[len(some) if some else 0 for some in references]], dtype=np.int32)
    return lists_between(pa.array(ends), stripped(_texts(keys)))


def _whole_pages(number: int | None) -> int | None:
    return number if number is not None and 1 <= number <= INT32_MAX else None


def _first_positive(numbers: list[int | None] | None) -> int | None:
    for number in numbers or ():
        if number is not None and 0 < number <= INT64_MAX:
            return number
    return None


EDITIONS = UsualShape("edition", _Edition, _edition_columns, key="edition_key")
WORKS = UsualShape("work", _Work, _work_columns)
AUTHORS = UsualShape("author", _Author, _author_columns)
