"""Embedding pictures with Spark and ViT-B/32: beside the prototype, clip-retrieval, and the engine alone; and the neighbours.

Times are seconds for each further picture once everything is loaded; what a whole run took for each is in the JSON. Slow
contestants embed few pictures. Whether an engine keeps the neighbours is measured with the trained sample model, since random
weights have none to keep.

Belongs here: inputs and rows. Does not: the work of the contestants (`embed_contestants`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import embed_contestants as contestants
import peers
from harness import Contestant, Measured, compare
from pictures import picture
from rows import At, Row, faster
from vit_b32 import openai_checkpoint, vit_b32

if TYPE_CHECKING:
    import numpy as np

    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.engines import EngineChoice

_BARS = {"float": (35.0, 6.0, 3.0), "int8": (55.0, None, None)}
"""How many times as fast as the prototype, the prototype with its model kept, and clip-retrieval."""

_CALIBRATED_ON = 32
_REAL_HEIGHT = 750
"""Of Open Library's large covers: what a reduced decode changes depends on it."""
_FEW = 32
_ENGINES = ("openvino-bfloat16+reduced", "openvino-int8+reduced")
"""What `auto` finds for the sample model on a processor with bfloat16, and the eight bits that are asked for by name."""


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--engine", action="append", help=f"{' and '.join(_ENGINES)}, if no other is given.")
    parser.add_argument("--embedded", type=int, default=128, help="Pictures that our stage embeds.")
    parser.add_argument(
        "--neighbours-among", type=int, default=300, help="Covers of the sample world, for the overlap."
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    from booksearch_assets.clip.engines import Capabilities, EngineUnavailable, wished_choice

    count, prepared = (64, 32) if options.quick else (options.embedded, 24)
    chosen = []
    for wish in options.engine or _ENGINES:
        try:
            chosen.append(wished_choice(wish, Capabilities.of_this_machine()))
        except EngineUnavailable as error:
            yield Row.missing(f"embed, {wish}", "the prototype", str(error))
    if not chosen:
        return
    world = _World(options.scratch, count, prepared)
    for choice in chosen:
        _prepare(world.bundle, choice, world.engines)
    measured = compare(
        _contestants(world, chosen, quick=options.quick), options.repetitions, contestants.agree
    )
    for choice in chosen:
        yield from _speed(str(choice), measured)
    yield from _quality(
        chosen, options.scratch / "sample-engines", 40 if options.quick else options.neighbours_among
    )


def _speed(engine: str, measured: dict[str, Measured]) -> Iterator[Row]:
    ours = measured[f"booksearch {engine}"]
    coded, cached, batched = _BARS["int8" if "int8" in engine else "float"]
    told = f"{1 / ours.seconds:,.1f} pictures a second"
    prototypes = measured["prototypes"]
    as_coded, kept = (
        replace(prototypes.by(way), name=f"prototype, {way}")
        for way in (contestants.AS_CODED, contestants.MODEL_KEPT)
    )
    yield faster(f"embed, {engine}", ours, as_coded, at_least=coded, note=told)
    yield faster(f"embed, {engine}", ours, kept, at_least=cached)
    if "clip-retrieval" in measured:
        yield faster(f"embed, {engine}", ours, measured["clip-retrieval"], at_least=batched)
    else:
        yield Row.missing(f"embed, {engine}", "clip-retrieval", peers.HOW)
    alone = measured[f"engine alone {engine}"]
    yield faster(
        f"embed, {engine}",
        ours,
        alone,
        at_least=0.85,
        limit_seconds=alone.seconds,
        note="ours decodes, prepares, encodes and keeps; the engine alone has its pixels ready",
    )


class _World:
    """Pictures in every form that a contestant reads, and the model."""

    def __init__(self, scratch: Path, count: int, files: int) -> None:
        self.scratch, self.files = scratch / "embed", files
        self.lake, self.engines = str(self.scratch / "lake"), self.scratch / "engines"
        self.scratch.mkdir(exist_ok=True)
        self.bundle = vit_b32(scratch)
        self.checkpoint = openai_checkpoint(scratch)
        self.pixels = self._prepared()
        self.many = self._listed(range(count))
        self.warm_up, self.few = (self._listed(range(n, n + _FEW)) for n in (count, count + _FEW))

    def table(self, keys: range) -> str:
        """A Parquet file of keys and bytes, one row group for each two, so that two tasks have something to do."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.scratch / f"pictures-{keys.start}-{keys.stop}.parquet"
        rows = {"key": list(keys), "content": [picture(n) for n in keys]}
        pq.write_table(pa.table(rows), path)
        return str(path)

    def folder(self) -> str:
        """Files, as clip-retrieval reads them, in the order of their numbers."""
        folder = self.scratch / "files"
        folder.mkdir(exist_ok=True)
        for number in range(self.files):
            (folder / f"{number:05d}.jpg").write_bytes(picture(number))
        return str(folder)

    def _listed(self, keys: range) -> str:
        """A work list of pictures in the lake's cache."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        from booksearch_assets.tables.books import COVERS

        rows = [_fetched(number) for number in keys]
        shard = COVERS.bytes_cache(self.lake, contestants.SOURCE).append(
            pa.Table.from_pylist(rows, COVERS.bytes.schema)
        )
        path = f"{self.lake}/work-{keys.start}.parquet"
        listed = [{"cover_id": number, "shard": shard} for number in keys]
        pq.write_table(pa.Table.from_pylist(listed, COVERS.work), path)
        return path

    def _prepared(self) -> str:
        """Pixels of the first batch, as the bundle's own preprocessing makes them."""
        import numpy as np

        from booksearch_assets.clip.bundle import PREPROCESSOR
        from booksearch_assets.clip.preprocess import Preprocessing, decode_image

        prepare = Preprocessing.from_config(self.bundle.folder / PREPROCESSOR)
        path = self.scratch / "pixels.npy"
        np.save(path, np.stack([prepare(decode_image(picture(n))) for n in range(contestants.BATCH)]))
        return str(path)


def _fetched(number: int) -> dict[str, Any]:
    from booksearch_assets.tables.books import COVERS

    row = dict.fromkeys(COVERS.bytes.column_names)
    filled = {"cover_id": number, "url": "http://127.0.0.1/x", "status": "ok", "attempts": []}
    return row | filled | {"fetched_at": datetime.now(UTC), "content": picture(number)}


def _contestants(world: _World, chosen: Sequence[EngineChoice], quick: bool) -> list[Contestant]:
    bundle = str(world.bundle.folder)
    few = world.table(range(2))
    coded, kept = (world.table(range(n)) for n in ((6, 10) if quick else (6, 14)))
    asked = [
        Contestant(
            "prototypes",
            contestants.prototypes,
            {"few": few, "coded": coded, "kept": kept, "bundle": bundle},
        )
    ]
    for choice in chosen:
        engine = {"bundle": bundle, "engine": str(choice), "engines": str(world.engines)}
        stage = engine | {"lake": world.lake, "warm_up": world.warm_up, "few": world.few, "many": world.many}
        alone = engine | {"pixels": world.pixels, "batches": 2 if quick else 4}
        asked += [
            Contestant(f"booksearch {choice}", contestants.spark_stage, stage),
            Contestant(f"engine alone {choice}", contestants.engine_alone, alone),
        ]
    if peers.installed():
        files = {"pictures": world.folder(), "checkpoint": str(world.checkpoint)}
        asked.append(Contestant("clip-retrieval", contestants.clip_retrieval, files))
    return asked


def _prepare(bundle: Bundle, choice: EngineChoice, folder: Path) -> None:
    """Convert the model where the engine needs it, as the process that starts the workers does."""
    from booksearch_assets.clip.bundle import PREPROCESSOR
    from booksearch_assets.clip.engines import EngineName
    from booksearch_assets.clip.preprocess import Preprocessing, decode_image

    if not choice.engine.is_openvino:
        return
    from booksearch_assets.clip.openvino_engine import convert, quantise

    convert(bundle, folder)
    if choice.engine is EngineName.OPENVINO_INT8:
        prepare = Preprocessing.from_config(bundle.folder / PREPROCESSOR)
        quantise(bundle, folder, [prepare(decode_image(picture(n))) for n in range(_CALIBRATED_ON)])


def _quality(chosen: Sequence[EngineChoice], folder: Path, count: int) -> Iterator[Row]:
    """Of the trained sample model: how many of the ten nearest covers stay, and how many captions find their cover."""
    from booksearch_assets.clip.bundle import PREPROCESSOR, Bundle
    from booksearch_assets.clip.encoder import Encoder
    from booksearch_assets.clip.engines import EngineName
    from booksearch_assets.clip.preprocess import Preprocessing, decode_image
    from booksearch_assets.clip.probe import overlap
    from booksearch_assets.sample.clip_data import held_out_scene
    from booksearch_assets.sample.painter import cover_jpeg
    from booksearch_assets.settings import PACKAGE

    bundle = Bundle.open(PACKAGE / "sample" / "model")
    scenes = [held_out_scene(1, number) for number in range(count + _CALIBRATED_ON)]
    covers = [cover_jpeg(scene, "", "", height=_REAL_HEIGHT) for scene in scenes]
    shown, covers = covers[count:], covers[:count]
    reference = Encoder.load(bundle)
    truth = reference.encode_images([decode_image(cover) for cover in covers])
    captions = reference.encode_texts([scene.caption for scene in scenes[:count]])
    found = _finds_own(captions, truth)
    for choice in chosen:
        if choice.engine is EngineName.OPENVINO_INT8:
            from booksearch_assets.clip.openvino_engine import quantise

            prepare = Preprocessing.from_config(bundle.folder / PREPROCESSOR)
            quantise(bundle, folder, [prepare(decode_image(cover)) for cover in shown])
        encoder = Encoder.load_for_images(bundle, choice, folder=folder)
        vectors = encoder.encode_images([encoder.decode(cover) for cover in covers])
        kept = overlap(truth, vectors)
        yield Row(
            f"neighbours@10 kept, {choice}",
            f"{kept:.1%}",
            "float32",
            kept,
            At.LEAST,
            # Eight bits are for those who ask: their bar is that captions find as much.
            None if choice.engine is EngineName.OPENVINO_INT8 else 0.98,
            note=_AMONG % count,
        )
        yield _recall(str(choice), found, _finds_own(captions, vectors))


_AMONG = "of the trained sample model, among %d covers that it never saw"


def _recall(engine: str, reference: np.ndarray, found: np.ndarray) -> Row:
    """No worse than what chance explains: the lower end of the 95 % interval of the paired difference's own spread."""
    import numpy as np

    difference = found.astype(float) - reference
    interval = 1.96 * float(np.std(difference)) / np.sqrt(len(difference))
    before, after = float(reference.mean()), float(found.mean())
    return Row(
        f"recall@10 kept, {engine}",
        f"{after:.3f}",
        f"float32 {before:.3f}",
        after / before,
        At.LEAST,
        round(1 - interval / before, 4),
        note=f"captions of {len(found)} covers; the bar is the 95 % interval of the paired difference",
    )


def _finds_own(captions: np.ndarray, covers: np.ndarray) -> np.ndarray:
    """For each caption, whether its own cover is among the ten nearest."""
    scores = captions @ covers.T
    better = (scores > scores.diagonal()[:, None]).sum(axis=1)
    return better < 10
