"""Records of Open Library's dump: from one line of bytes to typed fields.

A line is type, key, revision, last_modified and JSON, parted by tabs; the JSON holds no raw tab, so that the first
four tabs part the line exactly (openlibrary/data/dump.py). What the schema promises, real records break: every
field here accepts the shapes seen in dumps and is empty where it holds something else.

Belongs here: lines, and the shapes of fields. Does not: what a free-text field means (`dates`, `pagination`), joins
between records (`compute.editions`).
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
SAFE_DIGITS = 9  # no such number is above INT32_MAX


class RejectReason(StrEnum):
    """Why a line is no record."""

    TOO_FEW_FIELDS = "too_few_fields"
    NOT_UTF8 = "not_utf8"
    WRONG_TYPE = "wrong_type"
    CUT_OFF = "cut_off"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    NO_KEY = "no_key"
    NO_LOCATION = "no_location"


class Rejected(NamedTuple):
    """A line that is no record."""

    reason: RejectReason


class EditionRecord(NamedTuple):
    """An edition. Keys are bare ids such as OL7353617M; texts have their white space folded unless said otherwise."""

    key: str
    revision: int
    last_modified: str
    title: str | None
    subtitle: str | None
    work_key: str | None
    author_keys: list[str]
    languages: list[str]
    subjects: list[str]
    genres: list[str]
    publish_date: str | None
    """As catalogued, white space and all."""
    number_of_pages: int | None
    pagination: str | None
    isbn_10: list[str]
    isbn_13: list[str]
    cover_id: int | None
    """The first cover id above zero: -1, 0 and null say that there is no cover (Open Library issue 3004)."""


class WorkRecord(NamedTuple):
    """A work."""

    key: str
    revision: int
    last_modified: str
    subjects: list[str]
    author_keys: list[str]


class AuthorRecord(NamedTuple):
    """An author; `name` is null where the record has none."""

    key: str
    revision: int
    last_modified: str
    name: str | None


class RedirectRecord(NamedTuple):
    """What stands under the key of a merged record: `location` is the key to follow."""

    key: str
    revision: int
    last_modified: str
    location: str


class _Line(NamedTuple):
    type: bytes
    key: str
    revision: int
    last_modified: str
    fields: dict[str, Any]


def parse_edition(line: bytes) -> EditionRecord | Rejected:
    """The edition in one line of the editions dump. Never raises."""
    read = _read_line(line, (b"/type/edition",))
    if isinstance(read, Rejected):
        return read
    get = read.fields.get
    works = _keys(get("works"))
    return EditionRecord(
        key=read.key,
        revision=read.revision,
        last_modified=read.last_modified,
        title=_folded(get("title")),
        subtitle=_folded(get("subtitle")),
        work_key=works[0] if works else None,
        author_keys=_keys(get("authors")),
        languages=_keys(get("languages")),
        subjects=_texts(get("subjects")),
        genres=_texts(get("genres")),
        publish_date=_text(get("publish_date")),
        number_of_pages=_positive(get("number_of_pages"), INT32_MAX),
        pagination=_folded(get("pagination")),
        isbn_10=_isbns(get("isbn_10")),
        isbn_13=_isbns(get("isbn_13")),
        cover_id=_first_positive(get("covers"), INT64_MAX),
    )


def parse_work(line: bytes) -> WorkRecord | RedirectRecord | Rejected:
    """The work in one line of the works dump, or where its key leads. Never raises."""
    read = _read_line(line, (b"/type/work", b"/type/redirect"))
    if isinstance(read, Rejected):
        return read
    if read.type == b"/type/redirect":
        return _redirect(read)
    return WorkRecord(
        key=read.key,
        revision=read.revision,
        last_modified=read.last_modified,
        subjects=_texts(read.fields.get("subjects")),
        author_keys=_keys(read.fields.get("authors")),
    )


def parse_author(line: bytes) -> AuthorRecord | RedirectRecord | Rejected:
    """The author in one line of the authors dump, or where their key leads. Never raises."""
    read = _read_line(line, (b"/type/author", b"/type/redirect"))
    if isinstance(read, Rejected):
        return read
    if read.type == b"/type/redirect":
        return _redirect(read)
    name = _folded(read.fields.get("name")) or _folded(read.fields.get("personal_name"))
    return AuthorRecord(key=read.key, revision=read.revision, last_modified=read.last_modified, name=name)


def _redirect(read: _Line) -> RedirectRecord | Rejected:
    location = _key(read.fields.get("location"))
    if not location:
        return Rejected(RejectReason.NO_LOCATION)
    return RedirectRecord(read.key, read.revision, read.last_modified, location)


def _read_line(line: bytes, types: tuple[bytes, ...]) -> _Line | Rejected:
    parts = line.rstrip(b"\r\n").split(b"\t", 4)
    if len(parts) < 5:
        return Rejected(RejectReason.TOO_FEW_FIELDS)
    type_, key, revision, last_modified, payload = parts
    if type_ not in types:
        return Rejected(RejectReason.WRONG_TYPE)
    try:
        fields: Any = orjson.loads(payload)
    except orjson.JSONDecodeError:
        fields = _read_leniently(payload)
        if isinstance(fields, Rejected):
            return fields
    if not isinstance(fields, dict):
        return Rejected(RejectReason.NOT_AN_OBJECT)
    try:
        bare_key = _last_segment(key.decode()) or _key(fields.get("key"))
        modified = last_modified.decode()
    except UnicodeDecodeError:
        return Rejected(RejectReason.NOT_UTF8)
    if not bare_key:
        return Rejected(RejectReason.NO_KEY)
    return _Line(type_, bare_key, _revision(revision, fields), modified, fields)


def _revision(written: bytes, fields: dict[str, Any]) -> int:
    if written.isdigit() and len(written) <= SAFE_DIGITS and (number := int(written)):
        return number
    return (
        _positive(written.decode("latin-1"), INT32_MAX) or _positive(fields.get("revision"), INT32_MAX) or 0
    )


def _read_leniently(payload: bytes) -> Any:
    """What orjson refuses and Python's json, which writes the dump, can write: lone surrogates, NaN, endless integers.

    A lone surrogate becomes U+FFFD, since no UTF-8 column can hold it; NaN and what no column can hold become null.
    """
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return Rejected(RejectReason.NOT_UTF8)
    try:
        return _without_surrogates(json.loads(text, parse_int=_bounded, parse_constant=lambda _: None))
    except json.JSONDecodeError as error:
        return Rejected(_why_not_json(text, error.pos))
    except RecursionError:  # thousands of brackets
        return Rejected(RejectReason.NOT_JSON)


def _bounded(digits: str) -> int | None:
    # Python refuses to convert thousands of digits.
    return int(digits) if len(digits) <= len(str(INT64_MAX)) else None


def _why_not_json(text: str, position: int) -> RejectReason:
    text = text.strip()
    began = not text or text.startswith("{")
    return (
        RejectReason.CUT_OFF
        if began and (not text.endswith("}") or position >= len(text))
        else RejectReason.NOT_JSON
    )


_SURROGATE = re.compile("[\ud800-\udfff]")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    return value


# These run twenty times for each of a hundred million lines: the common shape is tried first.


def _text(value: Any) -> str | None:
    """A text, which records hold bare, as {"type", "value"}, or (a year, a title) as a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        value = value.get("value")
        return value if isinstance(value, str) else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _folded(value: Any) -> str | None:
    """A text with its white space folded; None where nothing is left."""
    if value is None:
        return None
    text = _text(value)
    return (" ".join(text.split()) or None) if text else None


def _items(value: Any) -> list[Any]:
    """The items of a list, or the one value that stands where a list should."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _texts(value: Any) -> list[str]:
    if not value and value != 0:
        return []
    if isinstance(value, list):
        try:
            return [text for item in value if (text := " ".join(str.split(item)))]
        except TypeError:
            pass
    return [text for text in map(_folded, _items(value)) if text]


def _isbns(value: Any) -> list[str]:
    """The numbers of a list, or of a single text, bare of hyphens and spaces."""
    if isinstance(value, list):
        try:
            if all(map(str.isalnum, value)):
                return value
        except TypeError:
            pass
    return [isbn for text in _texts(value) if (isbn := text.replace("-", "").replace(" ", ""))]


def _last_segment(path: str) -> str:
    return path.rpartition("/")[2].strip()


def _key(value: Any) -> str | None:
    """The bare id of a reference: "/authors/OL1A", {"key": ...} or a work's {"type", "author": {"key": ...}}."""
    if isinstance(value, dict):
        value = value.get("key") or value.get("author")
        if isinstance(value, dict):
            value = value.get("key")
    return (_last_segment(value) or None) if isinstance(value, str) else None


def _keys(value: Any) -> list[str]:
    if not value:
        return []
    if isinstance(value, list):
        try:
            return [key for item in value if (key := item["key"].rpartition("/")[2].strip())]
        except (TypeError, KeyError, AttributeError):
            pass
    return [key for key in map(_key, _items(value)) if key]


_WHOLE_NUMBER = re.compile(r"\s*0*([1-9][0-9]{0,18})\s*", re.ASCII)


def _positive(value: Any, largest: int) -> int | None:
    """A whole number from 1 to `largest`, also where a record holds it as 320.0 or as "320"."""
    if value is None:
        return None
    if isinstance(value, str):
        match = _WHOLE_NUMBER.fullmatch(value)
        value = int(match[1]) if match else None
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= largest:
        return value
    return None


def _first_positive(value: Any, largest: int) -> int | None:
    if not value:
        return None
    for item in _items(value):
        if number := _positive(item, largest):
            return number
    return None
