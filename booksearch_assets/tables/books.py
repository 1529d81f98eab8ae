"""The contracts of the `books/` catalogue's tables, from parsed editions to cover vectors.

Belongs here: columns, types, units, keys. Does not: the rules that fill them (`openlibrary`, `compute`).
"""

from __future__ import annotations

import pyarrow as pa

from booksearch_assets.tables.contract import Column, Table, rejections, strings

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

ATTEMPT = pa.struct(
    [
        pa.field("at", pa.timestamp("ms", tz="UTC")),
        pa.field("status", pa.string()),
        pa.field("http_status", pa.int32()),
        pa.field("error", pa.string()),
        pa.field("seconds", pa.float32()),
    ]
)

_IMAGE_FACTS = (
    COVER_ID,
    Column("url", pa.string(), "What was asked for."),
    Column(
        "status",
        pa.string(),
        "ok, missing, throttled, server_error, network_error, undecodable, too_large or refused (compute.fetch.FetchStatus).",
    ),
    Column("http_status", pa.int32(), "Status of the last answer; null where none came.", nullable=True),
    Column("content_type", pa.string(), "As answered.", nullable=True),
    Column("etag", pa.string(), "As answered.", nullable=True),
    Column("sha256", pa.string(), "Of the original bytes, hexadecimal; null unless ok.", nullable=True),
    Column("size", pa.int64(), "Length of the original bytes; null unless ok.", unit="bytes", nullable=True),
    Column("width", pa.int32(), "Of the picture received.", unit="px", nullable=True),
    Column("height", pa.int32(), "Of the picture received.", unit="px", nullable=True),
    Column("attempts", pa.list_(ATTEMPT), "Every request made for this cover in the run that settled it."),
    Column("fetched_at", pa.timestamp("ms", tz="UTC"), "When the last answer came."),
)
COVER_BYTES = Table(
    name="books/cover_bytes",
    description="The covers cache: the original bytes once for each cover id, kept across dumps, filters and models.",
    columns=(
        *_IMAGE_FACTS,
        Column("content", pa.binary(), "The original bytes; null unless ok.", nullable=True),
    ),
    key=("cover_id",),
)
COVER_IMAGES = Table(
    name="books/cover_images",
    description="What became of each wanted cover, and the cache shard that holds its bytes.",
    columns=(
        *_IMAGE_FACTS,
        Column("shard", pa.string(), "Shard of the covers cache that holds this row's bytes."),
    ),
    key=("cover_id",),
    # When and how often a cover was asked for changes nothing of what it shows.
    content=("cover_id", "status", "sha256"),
)

MODEL_ID = Column("model_id", pa.string(), "The model that made the vector, as its publisher names it.")
BUNDLE_ID = Column(
    "bundle_id",
    pa.string(),
    "The exact bundle: weights, tokenizer and preprocessing. Vectors of two bundles never mix.",
)


def cover_vectors(dimension: int) -> Table:
    """The contract of cover vectors `dimension` wide, in the vectors cache and in `cover_embeddings` alike."""
    return Table(
        name="books/cover_embeddings",
        description="One L2-normalised vector for each cover that could be read.",
        columns=(
            COVER_ID,
            Column("vector", pa.list_(pa.float32(), dimension), "L2-normalised image embedding."),
            MODEL_ID,
            Column("revision", pa.string(), "Revision of the model, as its publisher names it."),
            Column(
                "preprocessing_version",
                pa.string(),
                "Version of the preprocessing code that made the pixels.",
            ),
            BUNDLE_ID,
        ),
        key=("cover_id",),
    )


EMBEDDING_REJECTIONS = rejections("books/embedding_rejections", "embedding", (COVER_ID,))

KNOWN_ITEMS = Table(
    name="books/known_items",
    description="Queries whose right answer is known: what search quality is measured with.",
    columns=(
        COVER_ID,
        Column("query", pa.string(), "What is asked."),
        Column(
            "kind",
            pa.string(),
            "caption (a true description of the cover) or title (of a book that shows it).",
        ),
    ),
    key=("cover_id", "kind"),
)
