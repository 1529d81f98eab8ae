"""The rules for editions and the fiction filter once more, in plain Python, written from the rules and not from the code.

It shares no code, no word list and no regular expression with `booksearch_assets.openlibrary` or `.compute`: a slip
in either shows as a difference. Slow and direct on purpose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


# --- fields ---------------------------------------------------------------------------------------------------------


def text_of(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("value")
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return str(value) if -(2**63) <= value < 2**64 else None
    return value if isinstance(value, str) else None


def tidy(value: Any) -> str | None:
    text = text_of(value)
    if text is None:
        return None
    return re.sub(r"\s+", " ", text).strip() or None


def as_list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def tidy_all(value: Any) -> list[str]:
    return [t for t in (tidy(v) for v in as_list(value)) if t is not None]


def id_of(value: Any) -> str | None:
    """The id a reference ends in, whichever of the three shapes it has."""
    if isinstance(value, dict):
        inner = value["key"] if value.get("key") else value.get("author")
        value = inner.get("key") if isinstance(inner, dict) else inner
    if not isinstance(value, str):
        return None
    return re.sub(r"^.*/", "", value, flags=re.DOTALL).strip() or None


def ids_of(value: Any) -> list[str]:
    return [i for i in map(id_of, as_list(value)) if i is not None]


def counting_number(value: Any, biggest: int) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        value = int(value) if value == value and abs(value) != float("inf") and value == int(value) else None
    elif isinstance(value, str):
        stripped = value.strip(" \t\n\r\f\v")
        value = int(stripped) if re.match(r"^[0-9]+\Z", stripped) and len(stripped.lstrip("0")) < 20 else None
    if isinstance(value, int) and 0 < value <= biggest:
        return value
    return None


def year_published(date: str | None, latest: int) -> int | None:
    for run in re.findall("[0-9]+", date or ""):
        month, day = run[4:6], run[6:]
        is_day = len(run) == 8 and 1 <= int(month) <= 12 and 1 <= int(day) <= 31
        if (len(run) == 4 or is_day) and 1400 <= int(run[:4]) <= latest:
            return int(run[:4])
    return None


def first_four(date: str | None) -> int | None:
    for run in re.findall("[0-9]+", date or ""):
        if len(run) >= 4:
            return int(run[:4])
    return None


def pages_in(pagination: str | None) -> int | None:
    runs = [run.lstrip("0") for run in re.findall("[0-9]+", pagination or "")]
    return max([int(run) for run in runs if run and len(run) < 6 and int(run) < 50_000], default=None)


# --- lines ----------------------------------------------------------------------------------------------------------


def mend(value: Any) -> Any:
    """Every lone surrogate replaced by U+FFFD."""
    if isinstance(value, str):
        return "".join("\ufffd" if 0xD800 <= ord(c) < 0xE000 else c for c in value)
    if isinstance(value, list):
        return [mend(v) for v in value]
    return {mend(k): mend(v) for k, v in value.items()} if isinstance(value, dict) else value


def open_line(line: bytes, types: Iterable[str]) -> tuple[str, str, int, str, dict[str, Any]] | str:
    """The five parts of a line, its key bare; or why it is no record."""
    parts = line.rstrip(b"\r\n").split(b"\t", 4)
    if len(parts) != 5:
        return "too_few_fields"
    if parts[0] not in {t.encode() for t in types}:
        return "wrong_type"
    try:
        payload = parts[4].decode("utf-8")
    except UnicodeDecodeError:
        return "not_utf8"
    try:
        fields = json.loads(
            payload, parse_int=lambda d: int(d) if len(d) < 30 else None, parse_constant=lambda name: None
        )
    except RecursionError:
        return "not_json"
    except json.JSONDecodeError as error:
        body = payload.strip()
        if body == "":
            return "cut_off"
        if body[0] == "{" and (body[-1] != "}" or error.pos >= len(body)):
            return "cut_off"
        return "not_json"
    if not isinstance(fields, dict):
        return "not_an_object"
    fields = mend(fields)
    try:
        column_key, modified = parts[1].decode("utf-8"), parts[3].decode("utf-8")
    except UnicodeDecodeError:
        return "not_utf8"
    key = id_of(column_key) or id_of(fields.get("key"))
    if key is None:
        return "no_key"
    revision = counting_number(parts[2].decode("latin-1"), 2**31 - 1) or counting_number(
        fields.get("revision"), 2**31 - 1
    )
    return parts[0].decode(), key, revision or 0, modified, fields


# --- the editions table ---------------------------------------------------------------------------------------------


@dataclass
class Expected:
    """What the editions stage should make of a dump."""

    editions: dict[str, Row] = field(default_factory=dict)
    quarantine: list[tuple[str, int, str]] = field(default_factory=list)
    """(source, line number from 1, reason)"""
    superseded: int = 0


def editions_of(
    edition_lines: list[bytes], work_lines: list[bytes], author_lines: list[bytes], dump_year: int
) -> Expected:
    """The editions table of a dump whose sources are each one chunk."""
    expected = Expected()
    works = newest(expected, "works", work_lines, ("/type/work", "/type/redirect"))
    authors = newest(expected, "authors", author_lines, ("/type/author", "/type/redirect"))
    editions = newest(expected, "editions", edition_lines, ("/type/edition",))
    readable = len(edition_lines) - sum(source == "editions" for source, _, _ in expected.quarantine)
    expected.superseded = readable - len(editions)
    for key, (_, revision, modified, fields) in editions.items():
        expected.editions[key] = edition_row(key, revision, modified, fields, works, authors, dump_year)
    return expected


Newest = dict[str, tuple[str, int, str, dict[str, Any]]]


def newest(expected: Expected, source: str, lines: list[bytes], types: tuple[str, ...]) -> Newest:
    best: dict[str, tuple[tuple[int, str, int], tuple[str, int, str, dict[str, Any]]]] = {}
    for number, line in enumerate(lines, 1):
        opened = open_line(line, types)
        if (
            not isinstance(opened, str)
            and opened[0] == "/type/redirect"
            and id_of(opened[4].get("location")) is None
        ):
            opened = "no_location"
        if isinstance(opened, str):
            expected.quarantine.append((source, number, opened))
            continue
        kind, key, revision, modified, fields = opened
        rank = (revision, modified, number)
        if key not in best or rank > best[key][0]:
            best[key] = (rank, (kind, revision, modified, fields))
    return {key: record for key, (_, record) in best.items()}


def follow(records: Newest, key: str | None) -> str | None:
    """The key of the record that `key` leads to over at most five redirects."""
    for _ in range(6):
        if key is None or key not in records:
            return None
        kind, _, _, fields = records[key]
        if kind != "/type/redirect":
            return key
        key = id_of(fields.get("location"))
    return None


def names_of(keys: list[str], authors: Newest) -> list[str]:
    found = []
    for key in keys:
        reached = follow(authors, key)
        if reached is not None:
            fields = authors[reached][3]
            name = tidy(fields.get("name")) or tidy(fields.get("personal_name"))
            if name:
                found.append(name)
    return found


def edition_row(
    key: str,
    revision: int,
    modified: str,
    fields: dict[str, Any],
    works: Newest,
    authors: Newest,
    dump_year: int,
) -> Row:
    references = ids_of(fields.get("works"))
    work_key = follow(works, references[0]) if references else None
    work = works[work_key][3] if work_key else {}
    date = text_of(fields.get("publish_date"))
    number_of_pages = counting_number(fields.get("number_of_pages"), 2**31 - 1)
    covers = [c for c in (counting_number(c, 2**63 - 1) for c in as_list(fields.get("covers"))) if c]
    return {
        "edition_key": key,
        "work_key": work_key,
        "title": tidy(fields.get("title")),
        "subtitle": tidy(fields.get("subtitle")),
        "authors": names_of(ids_of(work.get("authors")), authors)
        or names_of(ids_of(fields.get("authors")), authors),
        "languages": ids_of(fields.get("languages")),
        "edition_subjects": tidy_all(fields.get("subjects")),
        "work_subjects": tidy_all(work.get("subjects")),
        "genres": tidy_all(fields.get("genres")),
        "publish_date": date,
        "publish_year": year_published(date, dump_year),
        "first_four_digits": first_four(date),
        "pages": number_of_pages or pages_in(tidy(fields.get("pagination"))),
        "number_of_pages": number_of_pages,
        "isbn_10": bare_isbns(fields.get("isbn_10")),
        "isbn_13": bare_isbns(fields.get("isbn_13")),
        "cover_id": covers[0] if covers else None,
        "revision": revision,
        "last_modified": modified,
    }


def bare_isbns(value: Any) -> list[str]:
    return [i for i in (re.sub("[- ]", "", t) for t in tidy_all(value)) if i]


# --- the fiction filter ---------------------------------------------------------------------------------------------


def filtered(row: Row, profile: str, dump_year: int) -> Row:
    """`row` with year, pages, subjects, fiction_rule and reason (None where the edition is kept)."""
    article = profile in ("article", "article-stated")
    year = row["first_four_digits"] if article else row["publish_year"]
    pages = row["number_of_pages"] if article else row["pages"]
    subjects = list(dict.fromkeys(row["work_subjects"] + row["edition_subjects"]))
    if article:
        heard, excluded, rule = by_letters(row["edition_subjects"])
    else:
        heard, excluded, rule = by_headings(row["work_subjects"] + row["edition_subjects"] + row["genres"])

    def reason() -> str | None:
        if not row["languages"]:
            return "no_language"
        if "eng" not in row["languages"]:
            return "not_english"
        if not heard:
            return "no_subjects"
        if excluded:
            return excluded
        if rule is None:
            return "not_fiction"
        if pages is None:
            return "no_pages"
        if pages < (100 if profile == "article" else 101):
            return "too_short"
        if year is None:
            return "no_year"
        if year < (2010 if profile == "article" else dump_year - 9):
            return "too_old"
        if profile != "article" and year > dump_year:
            return "in_the_future"
        return None

    return {"year": year, "pages": pages, "subjects": subjects, "fiction_rule": rule, "reason": reason()}


def by_letters(subjects: list[str]) -> tuple[bool, str | None, str | None]:
    raw = "|".join(subjects).lower()
    excluded = "juvenile" if "juvenile" in raw else "children" if "children" in raw else None
    return bool(subjects), excluded, "contains_fiction" if "fiction" in raw else None


_DASH = r"(?:--| -- |, | / | - )"
_FORMS_FOR_THE_YOUNG = (
    "fiction|nonfiction|non-fiction|literature|works|audience|poetry|drama|films|humor|sound recordings"
)
_EXCLUDING = {
    "juvenile": rf"juvenile (?:{_FORMS_FOR_THE_YOUNG})|fiction, juvenile|\Ajuvenile\Z|: juvenile\Z",
    "children": (
        r"children's (?:fiction|nonfiction|non-fiction|literature|stories|books|poetry|plays|audience|songs|picture|audio)"
        r"|\Achildren's (?:4-8|9-12|baby|all ages)|\Achildren: |\Achildren's\Z|picture books"
        r"|(?:fiction|stories|books) for children"
    ),
    "nonfiction": r"non[- ]?fiction",
    "about_fiction": rf"history and criticism|(?:technique|authorship)\Z|fiction{_DASH}(?:technique|authorship)",
    "biography": r"biograph(?:y|ies)|memoir",
}
_FICTION = {
    "is_fiction": r"\Afiction\Z",
    "begins_with_fiction": r"\Afiction(?:,|/|:| /| -| \()",
    "ends_with_fiction": r" fiction\Z",
    "fiction_subdivision": r"-- ?fiction",
    "fiction_genre": (
        r"(?:science|fantasy|historical|romance|crime|mystery|suspense) fiction|\Anovels?\Z|\Anovela|\Anovellas\Z|\Aroman\Z"
        r"|detective and mystery stories|(?:love|adventure|short|ghost|war|western|spy|sea|humorous) stories|horror tales"
        r"|(?:thrillers|alternative histories) \(fiction\)|fiction in english"
    ),
}


def by_headings(headings: list[str]) -> tuple[bool, str | None, str | None]:
    plain = [re.sub(r"\.\Z", "", h.lower().replace("\u2019", "'")) for h in headings]

    def first(rules: dict[str, str]) -> str | None:
        return next((name for name, rule in rules.items() if any(re.search(rule, h) for h in plain)), None)

    return bool(headings), first(_EXCLUDING), first(_FICTION)
