"""The contracts of the `books/` catalogue's tables, from parsed editions to cover vectors.

Belongs here: columns, types, units, keys. Does not: the rules that fill them (`openlibrary`, `compute`), what is the
same for the pictures of any catalogue (`tables.images`).
"""

from __future__ import annotations

import pyarrow as pa

from booksearch_assets.tables.contract import Column, Table, rejections, strings
from booksearch_assets.tables.images import PictureTables, known_items

EDITION_KEY = Column("edition_key", pa.string(), "Open Library edition id, such as OL7353617M.")
COVER_ID = Column(
    "cover_id", pa.int64(), "Id of the cover at the covers service. A cover id never changes its picture."
)
WORK_KEY = Column(
    "work_key",
    pa.string(),
    "Open Library work id, such as OL45804W, redirects followed; null for an orphan.",
    nullable=True,
)
TITLE = Column(
    "title",
    pa.string(),
    "Title as catalogued, white space folded; null where the record has none.",
    nullable=True,
)
SUBTITLE = Column("subtitle", pa.string(), "Subtitle as catalogued.", nullable=True)
AUTHORS = strings(
    "authors", "Author names, from the work or else from the edition, in catalogue order; empty when unknown."
)
LANGUAGES = strings(
    "languages", "MARC codes of the languages, such as eng; empty where the record names none."
)
PUBLISH_YEAR = Column(
    "publish_year",
    pa.int32(),
    "Year read from the free-text date (openlibrary.dates.publish_year); null where it holds no plausible year.",
    unit="year",
    nullable=True,
)
PAGES = Column(
    "pages",
    pa.int32(),
    "number_of_pages, or else the largest number in `pagination`; null where neither says.",
    unit="pages",
    nullable=True,
)

EDITIONS = Table(
    name="books/editions",
    description="Every edition of the dump: typed, the highest revision of each key, joined to its work and authors.",
    columns=(
        EDITION_KEY,
        WORK_KEY,
        TITLE,
        SUBTITLE,
        AUTHORS,
        LANGUAGES,
        strings("edition_subjects", "Subjects on the edition record."),
        strings("work_subjects", "Subjects on the work record, where most of them are; empty for an orphan."),
        strings("genres", "Genres on the edition record."),
        Column("publish_date", pa.string(), "Free-text publication date, untouched.", nullable=True),
        PUBLISH_YEAR,
        Column(
            "first_four_digits",
            pa.int32(),
            "The first run of four digits in the date: how the prototype read a year.",
            unit="year",
            nullable=True,
        ),
        PAGES,
        Column(
            "number_of_pages",
            pa.int32(),
            "The field number_of_pages alone, where it is a whole number.",
            unit="pages",
            nullable=True,
        ),
        strings("isbn_10", "ISBN-10s, hyphens and spaces removed."),
        strings("isbn_13", "ISBN-13s, hyphens and spaces removed."),
        Column(
            "cover_id",
            pa.int64(),
            "First cover id above zero; null where there is none (-1, 0 and null mean none).",
            nullable=True,
        ),
        Column("revision", pa.int32(), "Revision of the record: the highest in the dump."),
        Column(
            "last_modified", pa.string(), "When the record last changed, ISO 8601, no zone, as in the dump."
        ),
    ),
    key=("edition_key",),
)

QUARANTINE = Table(
    name="books/editions_quarantine",
    description="Lines of the dump that could not be read, each with its reason and its raw bytes.",
    columns=(
        Column("source", pa.string(), "Which dump file: editions, works or authors."),
        Column("chunk", pa.string(), "Name of the landed chunk that holds the line."),
        Column("line", pa.int64(), "Number of the line in the chunk, from 1."),
        Column("reason", pa.string(), "Why it could not be read (openlibrary.records.RejectReason)."),
        Column("raw", pa.binary(), "The line as it came, without its newline."),
    ),
    key=("source", "chunk", "line"),
)

FILTERED_FICTION = Table(
    name="books/filtered_fiction",
    description="Editions that pass the filter profile: English fiction, long enough, recent enough.",
    columns=(
        EDITION_KEY,
        WORK_KEY,
        TITLE,
        SUBTITLE,
        AUTHORS,
        LANGUAGES,
        strings(
            "subjects", "Union of the work's and the edition's subjects, in that order, without repeats."
        ),
        Column("publish_year", pa.int32(), "Year by the profile's rule.", unit="year"),
        Column("pages", pa.int32(), "Pages by the profile's rule.", unit="pages"),
        Column("cover_id", pa.int64(), "First cover id above zero; null where there is none.", nullable=True),
        Column("fiction_rule", pa.string(), "Which rule of the profile said fiction."),
    ),
    key=("edition_key",),
)
FILTER_REJECTIONS = rejections("books/filter_rejections", "the fiction filter", (EDITION_KEY,))

COVER_URLS = Table(
    name="books/cover_urls",
    description="One row for each cover id that the filtered editions want.",
    columns=(
        COVER_ID,
        Column("url", pa.string(), "Where the covers service has it."),
        Column(
            "width",
            pa.int32(),
            "Width of the original, from covers_metadata; null where that does not list it.",
            unit="px",
            nullable=True,
        ),
        Column("height", pa.int32(), "Height of the original, likewise.", unit="px", nullable=True),
        strings("edition_keys", "The editions of this year that show this cover, sorted."),
    ),
    key=("cover_id",),
)
COVER_URL_REJECTIONS = rejections("books/cover_url_rejections", "the choice of covers", (EDITION_KEY,))

COVERS = PictureTables(
    catalogue="books",
    key=COVER_ID,
    noun="covers",
    images_name="cover_images",
    embeddings_name="cover_embeddings",
    cache="cover",
)
COVER_IMAGES = COVERS.images
KNOWN_ITEMS = known_items("books", COVER_ID)
