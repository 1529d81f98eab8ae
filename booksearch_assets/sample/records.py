"""Catalogue records of the sample world: how its facts are written down, mess included.

Belongs here: the JSON objects of editions, works, redirects and authors, in the style of Open Library's dump
and with the irregularities seen in it. Does not: the facts (`world`), lines and files (`dumps`).
"""

from __future__ import annotations

from operator import mul
from typing import Any

from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.titles import HEADINGS, NOISE_SUBJECTS, PLAIN_TOPICS, PUBLISHERS, SETTING_TOPICS
from booksearch_assets.sample.world import (
    COVERS_PER_EDITION,
    FIRST_AUTHOR,
    FIRST_COVER,
    Kind,
    SampleEdition,
    SampleWork,
    SubjectPlace,
    World,
    timestamp,
)

Record = dict[str, Any]

_CREATED = "2008-04-01T03:28:50.625462"


def edition_record(world: World, edition: SampleEdition) -> Record:
    """The record of an edition."""
    draws = Draws("edition record", world.seed, edition.index)
    work = edition.work
    record: Record = {"publishers": [draws.choice(PUBLISHERS)]}
    record |= _format(draws)
    record |= _title(edition.title, draws)
    record["key"] = edition.key
    if edition.covers is not None:
        record["covers"] = list(edition.covers)
    record |= isbns(edition.index, draws)
    if edition.number_of_pages is not None:
        record["number_of_pages"] = edition.number_of_pages
    if edition.pagination is not None:
        record["pagination"] = edition.pagination
    if edition.languages:
        record["languages"] = [{"key": f"/languages/{code}"} for code in edition.languages]
    if edition.publish_date is not None:
        record["publish_date"] = edition.publish_date
    if not edition.orphan:
        record["works"] = [{"key": work.key}]
    if edition.orphan or draws.chance(0.8):
        record["authors"] = [{"key": author_key(author)} for author in work.authors]
    record |= _edition_subjects(world, work, draws)
    if draws.chance(0.12):
        record["description"] = _text(_description(work.title, draws), draws)
    if draws.chance(0.1):
        record["notes"] = _text(
            "Includes bibliographical references.\nOriginally published in the same year.", draws
        )
    if draws.chance(0.2):
        record["source_records"] = [f"bwb:9780{draws.below(10**9):09}"]
    return record | _tail("/type/edition", edition.revision, edition.last_modified, draws)


def older_edition_record(world: World, edition: SampleEdition) -> Record:
    """The revision before, as a dump that holds a key twice has it: another title, no cover, no year."""
    record = edition_record(world, edition)
    for absent in ("covers", "publish_date", "latest_revision"):
        record.pop(absent, None)
    revision = edition.revision - 1
    modified = {"type": "/type/datetime", "value": "2008-04-30T09:38:13.731961"}
    return record | {"title": edition.title.upper(), "revision": revision, "last_modified": modified}


def work_record(world: World, work: SampleWork) -> Record:
    """The record of a work, under its `record_key`."""
    draws = Draws("work record", world.seed, work.index)
    record: Record = {"title": work.title}
    # Open Library wrote the role as a bare string for some years.
    role: Any = "/type/author_role" if draws.chance(0.1) else {"key": "/type/author_role"}
    record["authors"] = [{"type": role, "author": {"key": author_key(author)}} for author in work.authors]
    record["key"] = work.record_key
    if draws.chance(0.3):
        record["covers"] = [-1] if draws.chance(0.05) else [FIRST_COVER + COVERS_PER_EDITION * work.index]
    record |= _work_subjects(world, work, draws)
    if draws.chance(0.15):
        record["description"] = _text(_description(work.title, draws), draws)
    return record | _tail("/type/work", draws.between(1, 12), _modified(draws), draws)


def redirect_record(world: World, work: SampleWork) -> Record:
    """The redirect that stands under the key of a merged work."""
    draws = Draws("redirect", world.seed, work.index)
    record: Record = {"key": work.key, "location": work.record_key}
    return record | _tail("/type/redirect", draws.between(2, 5), _modified(draws), draws)


def author_record(world: World, author: int) -> Record:
    """The record of an author."""
    draws = Draws("author record", world.seed, author)
    name = world.author_name(author)
    record: Record = {"name": name, "key": author_key(author)}
    if draws.chance(0.8):
        record["personal_name"] = name
    if draws.chance(0.26):
        record["birth_date"] = draws.choice((str(draws.between(1850, 1995)), "c. 1920", "5 May 1961"))
    if draws.chance(0.03):
        record["bio"] = _text(f"{name} was born by the sea\tand writes.", draws)
    return record | _tail("/type/author", draws.between(1, 6), _modified(draws), draws)


def author_key(author: int) -> str:
    return f"/authors/OL{FIRST_AUTHOR + author}A"


def isbns(index: int, draws: Draws) -> Record:
    """The ISBN fields of a record: both kinds, one, or none; valid check digits; some with hyphens."""
    body = f"{(index * 387_420_489 + 155_921_023) % 10**9:09}"  # the factor is coprime to 10: no body twice
    ten, thirteen = body + _check_digit_10(body), "978" + body + _check_digit_13("978" + body)
    if draws.chance(0.02):
        ten = f"{ten[0]}-{ten[1:5]}-{ten[5:9]}-{ten[9]}"
        thirteen = f"978-{body[0]}-{body[1:5]}-{body[5:9]}-{thirteen[12]}"
    style = draws.below(100)
    if style < 8:
        return {}
    return ({"isbn_10": [ten]} if style < 70 else {}) | (
        {"isbn_13": [thirteen]} if not 20 <= style < 35 else {}
    )


def _check_digit_10(body: str) -> str:
    rest = -sum(map(mul, range(10, 1, -1), map(int, body))) % 11
    return "X" if rest == 10 else str(rest)


def _check_digit_13(body: str) -> str:
    return str(-(sum(map(int, body)) + 2 * sum(map(int, body[1::2]))) % 10)


def _format(draws: Draws) -> Record:
    record: Record = {}
    if draws.chance(0.6):
        record["physical_format"] = draws.choice(
            ("Paperback", "Hardcover", "Mass Market Paperback", "E-book", "paperback")
        )
    if draws.chance(0.05):
        record["identifiers"] = {"goodreads": [str(draws.below(10**7))]}
    return record


def _title(title: str, draws: Draws) -> Record:
    """The title field, now and then with a tab or a newline inside or without its leading article."""
    style = draws.below(1000)
    if style < 4:
        return {"title": title.replace(" ", "\t", 1)}
    if style < 8:
        return {"title": title.replace(" ", "\n", 1)}
    if style < 14 and title.startswith("The "):
        return {"title_prefix": "The ", "title": title.removeprefix("The ")}
    if style < 200:
        return {
            "title": title,
            "subtitle": draws.choice(("a novel", "A Novel", "a story in three parts", "book one")),
        }
    return {"title": title}


def _edition_subjects(world: World, work: SampleWork, draws: Draws) -> Record:
    if work.kind is Kind.SILENT or work.subject_place is SubjectPlace.WORK:
        return {}
    if work.subject_place is SubjectPlace.GENRES:
        return {"genres": [_GENRES[work.kind]]}
    record: Record = {"subjects": subjects(world, work, draws)}
    return record | ({"genres": [_GENRES[work.kind]]} if draws.chance(0.05) else {})


def _work_subjects(world: World, work: SampleWork, draws: Draws) -> Record:
    if work.kind is Kind.SILENT:
        return {}
    if work.subject_place in (SubjectPlace.WORK, SubjectPlace.BOTH):
        record: Record = {"subjects": subjects(world, work, draws)}
        return record | ({"subject_places": ["New York (N.Y.)"]} if draws.chance(0.1) else {})
    return {"subjects": [draws.choice(NOISE_SUBJECTS[:3])]} if draws.chance(0.3) else {}


def subjects(world: World, work: SampleWork, draws: Draws) -> list[str]:
    """Subject headings of a work as catalogues write them; fiction is told by one of them at least."""
    if work.kind is Kind.FICTION:
        return _fiction_subjects(world, work, draws)
    if work.kind is Kind.JUVENILE:
        found = [
            draws.choice(("Juvenile fiction", "Children's fiction", "Juvenile Fiction / General")),
            draws.choice(
                ("Schools -- Juvenile fiction.", "Children: Grades 4-6", "Toddlers -- Juvenile fiction")
            ),
        ]
    elif work.kind is Kind.CRITICISM:
        found = [
            "Fiction--History and criticism",
            draws.choice(
                (
                    "Russian fiction -- History and criticism",
                    "Criticism and interpretation",
                    "Fiction -- 20th century -- History and criticism",
                )
            ),
        ]
    else:
        topic = draws.choice(PLAIN_TOPICS)
        found = [topic[0], topic[2]] + (["Nonfiction"] if work.kind is Kind.NONFICTION else [])
    return found + ([draws.choice(NOISE_SUBJECTS[:4])] if draws.chance(0.2) else [])


def _fiction_subjects(world: World, work: SampleWork, draws: Draws) -> list[str]:
    scene = world.scene_of_work(work.index)
    topic, genres = HEADINGS[scene.motif]
    dot = "." if draws.chance(0.15) else ""
    heading = f"{topic}{' -- ' if draws.chance(0.7) else '--'}Fiction{dot}"
    found = [topic, draws.choice(genres), "Fiction"] if draws.chance(0.4) else [heading, draws.choice(genres)]
    if scene.companion and draws.chance(0.3):
        found.append(f"{HEADINGS[scene.companion].topic} -- Fiction{dot}")
    if scene.setting in SETTING_TOPICS and draws.chance(0.4):
        found.append(f"{SETTING_TOPICS[scene.setting]} -- Fiction")
    if draws.chance(0.02):
        found.append("Children of immigrants")
    if draws.chance(0.3):
        found.append(draws.choice(NOISE_SUBJECTS))
    return found


_GENRES = {
    Kind.FICTION: "Fiction.",
    Kind.JUVENILE: "Juvenile fiction.",
    Kind.CRITICISM: "Bibliography.",
    Kind.NONFICTION: "Biography.",
    Kind.PLAIN: "Dictionaries.",
}


def _description(title: str, draws: Draws) -> str:
    opening = draws.choice(
        (
            "A stranger comes to town.",
            "Nobody believed her.\r\n\r\nThen the letters came.",
            "“Unforgettable” — everyone",
        )
    )
    return f"{opening}\n\nIn {title}, two lives meet\tand part."


def _text(value: str, draws: Draws) -> Any:
    """Long text, which records hold either bare or as a typed value."""
    return value if draws.chance(0.4) else {"type": "/type/text", "value": value}


def _modified(draws: Draws) -> str:
    return timestamp(draws, draws.between(2009, 2025), draws.between(1, 12))


def _tail(kind: str, revision: int, modified: str, draws: Draws) -> Record:
    record: Record = {"type": {"key": kind}, "latest_revision": revision, "revision": revision}
    if draws.chance(0.7):
        record["created"] = {"type": "/type/datetime", "value": _CREATED}
    return record | {"last_modified": {"type": "/type/datetime", "value": modified}}
