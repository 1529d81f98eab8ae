"""What `booksearch sample ...` does, with progress for a person at a terminal.

Belongs here: calling the sample world's functions and showing how far they are. Does not: options (`cli`).
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from booksearch_assets.sample.world import World
from booksearch_assets.settings import Settings

SAMPLE_MODEL_ID = "booksearch/sample-clip"
REQUIRED_RECALL = 0.90
"""Recall@10 among 1,000 held-out covers that the shipped model must reach."""


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )


def write_world(folder: Path, editions: int, seed: int, release: int) -> None:
    """Write the four dump files of a world, and its queries with known answers."""
    from booksearch_assets.sample.dumps import DumpFile, write_dump
    from booksearch_assets.sample.service import write_queries

    world = World(seed=seed, editions=editions, release=release)
    with _bar() as bar:
        tasks = {file: bar.add_task(file.value, total=None) for file in DumpFile}
        files = write_dump(
            world,
            folder,
            progress=lambda file, done, total: bar.update(tasks[file], completed=done, total=total),
        )
    for file in DumpFile:
        Console().print(str(files.path(file)), highlight=False)
    Console().print(str(write_queries(world, folder)), highlight=False)


def write_products(folder: Path, listings: int, seed: int, originals: bool) -> None:
    """Write a release of products as ABO publishes them, and its queries with known answers."""
    from booksearch_assets.abo.images import ImageSize
    from booksearch_assets.sample.product_release import write_release
    from booksearch_assets.sample.products import ProductWorld
    from booksearch_assets.sample.service import write_product_queries

    world = ProductWorld(seed=seed, listings=listings)
    sizes = (ImageSize.SMALL, ImageSize.ORIGINAL) if originals else (ImageSize.SMALL,)
    with _bar() as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=total)

        release = write_release(world, folder, sizes, show)
    for path, lines in release.counts.items():
        Console().print(f"{folder / path}: {lines.total():,} lines", highlight=False)
    Console().print(str(write_product_queries(world, folder)), highlight=False)


def serve_world(settings: Settings, port: int | None) -> None:
    """Serve the settings' world until stopped."""
    from booksearch_assets.sample.product_site import ServedProducts
    from booksearch_assets.sample.products import ProductWorld
    from booksearch_assets.sample.server import ServerOptions, serve

    world = World(
        seed=settings.sample_seed, editions=settings.sample_editions, release=settings.sample_release
    )
    products = ProductWorld(seed=settings.sample_seed, listings=settings.sample_products)
    options = ServerOptions(
        releases=tuple(range(world.release + 1)),
        products=ServedProducts(products, settings.sample_products_folder),
    )
    serve(world, settings.sample_folder, settings.sample_port if port is None else port, options)


def paint_cover(settings: Settings, cover_id: int, file: Path) -> str:
    """Paint one cover into a file; returns its true caption."""
    from booksearch_assets.sample.painter import cover_jpeg
    from booksearch_assets.sample.scenes import scene_of

    world = World(
        seed=settings.sample_seed, editions=settings.sample_editions, release=settings.sample_release
    )
    scene = scene_of(cover_id, world.seed)
    title, author = world.title_of_cover(cover_id)
    file.write_bytes(cover_jpeg(scene, title, author))
    return scene.caption


def train_clip(into: Path) -> None:
    """Train the sample model, measure it, and make the folder a bundle with its model card."""
    from booksearch_assets.clip.bundle import write_manifest
    from booksearch_assets.sample.clip_evaluation import evaluate
    from booksearch_assets.sample.clip_training import Phase, TrainingConfig, train
    from booksearch_assets.sample.clip_training import Progress as Step
    from booksearch_assets.sample.model_card import model_card

    config = TrainingConfig()
    with _bar() as bar:
        tasks: dict[Phase, TaskID] = {}

        def show(step: Step) -> None:
            if step.phase not in tasks:
                tasks[step.phase] = bar.add_task(step.phase.value, total=step.total)
            words = [step.phase.value]
            words += [f"loss {step.loss:.3f}"] if step.loss is not None else []
            words += [f"recall@10 {step.probe_recall:.2f}"] if step.probe_recall is not None else []
            bar.update(tasks[step.phase], completed=step.done, description=" ".join(words))

        report = train(into, config, show)
    Console().print("measuring it on held-out covers")
    (into / "README.md").write_text(model_card(config, report.parameters, evaluate(into)))
    manifest = write_manifest(into, SAMPLE_MODEL_ID, f"seed-{config.seed}")
    Console().print(
        f"{manifest.bundle_id} in {into}: {report.parameters:,} parameters, {report.samples:,} samples, "
        f"{report.painting_seconds:.0f} s painting, {report.training_seconds:.0f} s training",
        highlight=False,
    )


def evaluate_clip(settings: Settings, covers: int) -> int:
    """Print the model's recall on held-out covers. Returns 1 when recall@10 of true captions is below the bar."""
    from booksearch_assets.sample.clip_evaluation import evaluate

    console = Console(highlight=False)
    console.print(f"painting and searching {covers:,} held-out covers with {settings.bundle}")
    report = evaluate(Path(settings.bundle), covers)
    for kind, found in (("true captions", report.true_captions), ("free captions", report.free_captions)):
        console.print(
            f"{kind}: recall@1 {found.recall_at_1:.3f}  recall@5 {found.recall_at_5:.3f}  "
            f"recall@10 {found.recall_at_10:.3f}  MRR {found.mrr:.3f}"
        )
    console.print(f'"a MOTIF": precision@10 {report.motif_precision:.3f}, lowest: {report.worst_motifs}')
    return 0 if report.true_captions.recall_at_10 >= REQUIRED_RECALL else 1
