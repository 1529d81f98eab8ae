"""Books that never were, with vectors made for the purpose, published as a deployment publishes its own.

Belongs here: vectors, rows and a model of any width. Does not: measuring (`search_load`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from safetensors.numpy import load_file, save_file

from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.fetch import import_model
from booksearch_assets.search.books_collection import BOOKS, books_collection
from booksearch_assets.search.folding import folded
from booksearch_assets.settings import PACKAGE
from booksearch_assets.vectorstores.contract import VectorStore

COLLECTION = f"{BOOKS.name}_20260131T000000000000_bench1"
FIRST_YEAR, YEARS = 1925, 100
"""Years are spread evenly, so that a range of n years keeps n % of the books."""

_ADJECTIVES = [
    "red",
    "quiet",
    "lost",
    "golden",
    "broken",
    "hidden",
    "last",
    "silver",
    "burning",
    "distant",
    "frozen",
    "empty",
    "wild",
    "secret",
    "pale",
]
_NOUNS = [
    "ship",
    "house",
    "dragon",
    "sea",
    "night",
    "castle",
    "forest",
    "owl",
    "train",
    "river",
    "mountain",
    "city",
    "garden",
    "letter",
    "moon",
    "storm",
]
_SUBJECTS = ("Fiction", "Sea stories", "Fantasy", "Detective and mystery stories", "Love stories")
_BATCH = 10_000
_CLUSTER = 40
_SPREAD = 0.7


def wide_model(folder: Path, dimension: int) -> Bundle:
    """The sample model with vectors of another width: what it says of a text stays, in more directions."""
    source = PACKAGE / "sample" / "model"
    width = json.loads((source / "config.json").read_text())["projection_dim"]
    if dimension == width:
        return Bundle.open(source)
    widened = folder / "widened"
    shutil.copytree(source, widened, ignore=shutil.ignore_patterns("manifest.json", "README.md"))
    config = json.loads((widened / "config.json").read_text())
    for part in (config, config["text_config"], config["vision_config"]):
        part["projection_dim"] = dimension
    (widened / "config.json").write_text(json.dumps(config))
    weights = load_file(widened / "model.safetensors")
    directions = np.linalg.qr(np.random.default_rng(1).normal(size=(dimension, width)))[0]
    for name in ("text_projection.weight", "visual_projection.weight"):
        weights[name] = (directions @ weights[name].astype(np.float32)).astype(np.float16)
    save_file(weights, widened / "model.safetensors", metadata={"format": "pt"})
    return import_model(widened, folder / "bundle", "booksearch/load-benchmark", str(dimension))


def unit_vectors(rows: int, dimension: int, seed: int = 0) -> np.ndarray:
    """(rows, dimension) float32, L2-normalised: in clusters of about forty, as covers of one kind are."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, rows // _CLUSTER), dimension), np.float32)
    vectors = np.empty((rows, dimension), np.float32)
    for start in range(0, rows, _BATCH):
        part = vectors[start : start + _BATCH]
        part[:] = centres[rng.integers(0, len(centres), len(part))]
        part += _SPREAD * rng.standard_normal(part.shape, np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return vectors


def years_of(rows: int) -> np.ndarray:
    return FIRST_YEAR + np.random.default_rng(2).integers(0, YEARS, rows)


def edition_key(row: int) -> str:
    return f"OL{row + 1}M"


def text(number: int) -> str:
    """One of some thousand texts that people might search for."""
    first, second = divmod(number, len(_NOUNS))
    words = (_ADJECTIVES[first % len(_ADJECTIVES)], _NOUNS[second], _NOUNS[first // 7 % len(_NOUNS)])
    return f"a {words[0]} {words[1]} and a {words[2]}"


def publish_books(store: VectorStore, vectors: np.ndarray, bundle: Bundle) -> None:
    """Load, seal and publish one book for each vector."""
    spec = books_collection(
        COLLECTION, vectors.shape[1], {"bundle_id": bundle.bundle_id, "model_id": bundle.manifest.model_id}
    )
    store.create(spec)
    store.load(
        COLLECTION, book_rows(vectors, spec.schema), lambda done: print(f"  {done:,} loaded", flush=True)
    )
    store.seal(COLLECTION)
    store.publish(BOOKS.name, COLLECTION)


def book_rows(vectors: np.ndarray, schema: pa.Schema) -> Iterator[pa.Table]:
    """Rows of the books' collection, one for each vector, some thousand at a time."""
    years = years_of(len(vectors))
    for start in range(0, len(vectors), _BATCH):
        numbers = range(start, min(start + _BATCH, len(vectors)))
        authors = [[f"{_ADJECTIVES[n % 15].title()} {_NOUNS[n // 15 % 16].title()}"] for n in numbers]
        subjects = [["Fiction", _SUBJECTS[1 + n % 4]] for n in numbers]
        columns = {
            "edition_key": [edition_key(n) for n in numbers],
            "cover_id": [n + 1 for n in numbers],
            "picture_id": [n + 1 for n in numbers],
            "work_key": [f"OL{n + 1}W" for n in numbers],
            "title": [f"The {_ADJECTIVES[n // 16 % 15]} {_NOUNS[n % 16]} {n}" for n in numbers],
            "authors": authors,
            "authors_folded": [[folded(name) for name in names] for names in authors],
            "publish_year": years[numbers.start : numbers.stop],
            "pages": [100 + n % 400 for n in numbers],
            "subjects": subjects,
            "subjects_folded": [[folded(name) for name in names] for names in subjects],
            "languages": [["eng"]] * len(numbers),
            "url": [f"http://127.0.0.1/b/id/{n + 1}-L.jpg" for n in numbers],
            "vector": pa.FixedSizeListArray.from_arrays(
                pa.array(vectors[numbers.start : numbers.stop].ravel()), vectors.shape[1]
            ),
        }
        yield pa.table(
            {name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema
        )
