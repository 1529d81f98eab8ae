"""Pictures a second of every engine that runs here, as one worker of two threads and as two workers of one.

ViT-B/32 with random weights, for its size, and the trained sample model, which has neighbours to keep. JPEG bytes to
vectors: decoding, preprocessing and the model, as an embedding worker does, timed once all of it is loaded.

    python benchmarks/engines.py                    both models, five repetitions: about 25 minutes on two cores
    python benchmarks/engines.py --quick            a smoke run
    python benchmarks/engines.py --model sample     only the trained sample model: about 10 minutes

Writes `benchmarks/results/engines.json` and `engines.png`. Too long for `run.py`, which embeds by the best of them.

Belongs here: these comparisons. Does not: Spark, and the peers (`embed_pictures`).
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import Contestant, Done, compare
from report import table, write_results
from rows import At, Row, faster
from vit_b32 import vit_b32

if TYPE_CHECKING:
    import numpy as np

    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.engines import EngineChoice

_BATCH = 16
"""The embedding stage's own."""
_LAYOUTS = ((1, 2), (2, 1))
"""(workers, threads of each): both fill two cores."""
_CALIBRATED_ON = 64
_HEIGHT = 750
"""Of Open Library's large covers, 500 wide."""


_RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="Few pictures, one repetition: a smoke run.")
    parser.add_argument("--model", choices=["vit-b32", "sample"], help="Only this one.")
    parser.add_argument("--repetitions", type=int, default=5, help="Of each engine and layout.")
    parser.add_argument("--pictures", type=int, default=96, help="That each worker embeds.")
    parser.add_argument("--neighbours", type=int, default=400, help="Covers, for the neighbours that stay.")
    options = parser.parse_args()
    if options.quick:
        options.repetitions, options.pictures, options.neighbours = 1, 16, 40
    found = []
    with tempfile.TemporaryDirectory(prefix="bench-engines-") as scratch:
        for row in rows(options, Path(scratch)):
            print(f"{row.stage}: {row.note}", flush=True)
            found.append(row)
    print(table(found))
    name = "engines-quick" if options.quick else "engines"
    write_results(found, _RESULTS, name, vars(options))
    _draw([row for row in found if row.measured], _RESULTS / f"{name}.png")


def _draw(rows: list[Row], path: Path) -> None:
    """Pictures a second of each engine and layout, from the slowest to the fastest repetition."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 0.3 * len(rows) + 1.2), layout="constrained")
    for place, row in enumerate(rows):
        rates = [1 / run.seconds for run in row.measured[0].runs]
        axes.barh(place, 1 / row.measured[0].seconds, color="#3b6fa0")
        axes.plot([min(rates), max(rates)], [place, place], color="black")
    axes.set_yticks(range(len(rows)), [row.stage for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("pictures a second: the median, and the spread")
    figure.savefig(path, dpi=110)


def rows(options: argparse.Namespace, scratch: Path) -> Iterator[Row]:
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.settings import PACKAGE

    pictures = _painted(scratch / "pictures", max(options.pictures, options.neighbours))
    choices = _choices()
    if options.model != "sample":
        yield from _speeds("ViT-B/32", vit_b32(scratch), choices, pictures, options, rounds=1)
    if options.model != "vit-b32":
        sample = Bundle.open(PACKAGE / "sample" / "model")
        # Some fifteen times as fast: as many pictures again, for a time worth measuring.
        rounds = 1 if options.quick else 10
        yield from _speeds("sample model", sample, choices, pictures, options, rounds)
        folder = _engines(pictures, sample)
        yield from _neighbours(sample, choices, folder, pictures, options.neighbours)


def _speeds(
    name: str,
    bundle: Bundle,
    choices: list[EngineChoice],
    pictures: Path,
    options: argparse.Namespace,
    rounds: int,
) -> Iterator[Row]:
    """Each engine beside the reference in the same layout."""
    folder = _engines(pictures, bundle)
    _prepare(bundle, choices, pictures, folder)
    paths = str(bundle.folder), str(folder), str(pictures)
    layouts = [
        _Layout(choice, *layout, *paths, options.pictures, rounds)
        for choice in choices
        for layout in _LAYOUTS
    ]
    # That vectors are near enough is measured below; those of eight bits are not, picture by picture.
    measured = compare([layout.contestant() for layout in layouts], options.repetitions, lambda a, b: True)
    for layout in layouts:
        ours = measured[layout.name]
        reference = measured[f"torch-float32, {layout.workers} x {layout.threads}"]
        yield faster(
            f"{name}: {layout.name}", ours, reference, note=f"{1 / ours.seconds:,.1f} pictures a second"
        )


def _engines(pictures: Path, bundle: Bundle) -> Path:
    return pictures.parent / f"engines-{bundle.bundle_id}"


def embed(
    bundle: str, engine: str, engines: str, pictures: str, count: int, rounds: int, workers: int, threads: int
) -> Done:
    """Seconds for each picture of so many workers at once, none of which begins before all are ready."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(workers), context.Queue()
    asked = (bundle, engine, engines, pictures, count, rounds, threads, barrier, results)
    started = [context.Process(target=_work, args=asked) for _ in range(workers)]
    for process in started:
        process.start()
    # Each tells its own seconds: on a busy machine they end at different times.
    rate = sum(count * rounds / results.get(timeout=1200) for _ in started)
    for process in started:
        process.join()
    return Done(seconds=1 / rate, figures={"images_per_second": rate})


def _work(
    bundle: str,
    engine: str,
    engines: str,
    pictures: str,
    count: int,
    rounds: int,
    threads: int,
    barrier: Any,
    results: Any,
) -> None:
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.encoder import Encoder
    from booksearch_assets.clip.engines import EngineChoice

    encoder = Encoder.load_for_images(
        Bundle.open(bundle, verify="size"), EngineChoice.parse(engine), threads, engines
    )
    contents = _contents(Path(pictures))[:count]
    encoder.encode_images([encoder.decode(content) for content in contents[:_BATCH]])
    barrier.wait()
    started = time.perf_counter()
    for _ in range(rounds):
        for start in range(0, len(contents), _BATCH):
            decoded = [encoder.decode(content) for content in contents[start : start + _BATCH]]
            encoder.encode_images(decoded, batch_size=_BATCH)
    results.put(time.perf_counter() - started)


@dataclass(frozen=True)
class _Layout:
    choice: EngineChoice
    workers: int
    threads: int
    bundle: str
    folder: str
    pictures: str
    count: int
    rounds: int

    @property
    def name(self) -> str:
        return f"{self.choice}, {self.workers} x {self.threads}"

    def contestant(self) -> Contestant:
        arguments = {
            "bundle": self.bundle,
            "engine": str(self.choice),
            "engines": self.folder,
            "pictures": self.pictures,
            "count": self.count,
            "rounds": self.rounds,
            "workers": self.workers,
            "threads": self.threads,
        }
        return Contestant(self.name, embed, arguments)


def _choices() -> list[EngineChoice]:
    """What runs natively here, with int8; and the reference's reduced decode, to tell its part from the model's."""
    from booksearch_assets.clip.engines import REFERENCE, Capabilities, Decode, EngineChoice, EngineName

    machine = Capabilities.of_this_machine()
    engines = machine.candidates()
    if machine.lacks(EngineName.OPENVINO_INT8) is None:
        engines.append(EngineName.OPENVINO_INT8)
    reduced = [EngineChoice(engine, Decode.REDUCED) for engine in engines[:1]]
    return [REFERENCE, *map(EngineChoice, engines), *reduced]


def _prepare(bundle: Bundle, choices: list[EngineChoice], pictures: Path, folder: Path) -> None:
    """Convert and calibrate before anything is timed, as the process that starts the workers does."""
    from booksearch_assets.clip.bundle import PREPROCESSOR
    from booksearch_assets.clip.engines import EngineName
    from booksearch_assets.clip.preprocess import Preprocessing, decode_image

    if not any(choice.engine.is_openvino for choice in choices):
        return
    from booksearch_assets.clip.openvino_engine import convert, quantise

    convert(bundle, folder)
    if any(choice.engine is EngineName.OPENVINO_INT8 for choice in choices):
        prepare = Preprocessing.from_config(bundle.folder / PREPROCESSOR)
        # The last ones: the neighbours are looked for among the first.
        shown = _contents(pictures)[-_CALIBRATED_ON:]
        quantise(bundle, folder, [prepare(decode_image(content)) for content in shown])


def _neighbours(
    bundle: Bundle, choices: list[EngineChoice], folder: Path, pictures: Path, count: int
) -> Iterator[Row]:
    from booksearch_assets.clip.encoder import Encoder
    from booksearch_assets.clip.engines import REFERENCE, EngineName
    from booksearch_assets.clip.probe import centred_cosines, overlap

    contents = _contents(pictures)[:count]

    def vectors(choice: EngineChoice) -> np.ndarray:
        encoder = Encoder.load_for_images(bundle, choice, folder=folder)
        return encoder.encode_images([encoder.decode(content) for content in contents])

    truth = vectors(REFERENCE)
    for choice in choices:
        if choice == REFERENCE:
            continue
        found = vectors(choice)
        kept, lowest = overlap(truth, found), float(centred_cosines(truth, found).min())
        # Eight bits are asked for by name, and held to recall instead (`embed_pictures`).
        bar = None if choice.engine is EngineName.OPENVINO_INT8 else 0.98
        yield Row(
            f"neighbours@10 kept, {choice}",
            f"{kept:.1%}",
            "torch-float32",
            kept,
            At.LEAST,
            bar,
            note=f"among {count} painted covers; lowest centred cosine {lowest:.4f}",
        )


def _painted(folder: Path, count: int) -> Path:
    """Painted covers as large as real ones, more than `count` by those that eight bits are calibrated on."""
    from booksearch_assets.sample.painter import cover_jpeg
    from booksearch_assets.sample.scenes import scene_of

    folder.mkdir(exist_ok=True)
    for number in range(count + _CALIBRATED_ON):
        content = cover_jpeg(scene_of(number, 0), f"Title {number}", "An Author", height=_HEIGHT)
        (folder / f"{number:05d}.jpg").write_bytes(content)
    return folder


def _contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


if __name__ == "__main__":
    main()
