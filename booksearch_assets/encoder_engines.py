"""`booksearch model engines`: which engines run on this machine, how fast, and which would embed.

Belongs here: drawing the pictures to measure with, asking ahead of a build, and showing what was found. Does not:
measuring (`clip.probe`) and deciding (`clip.choosing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.engines import AUTO, Capabilities, EngineName, wished_choice
from booksearch_assets.settings import Settings

if TYPE_CHECKING:
    from booksearch_assets.clip.choosing import Decision

_REAL_HEIGHT = 750
"""Of Open Library's large covers: the effect of a reduced decode depends on it."""


def show_engines(settings: Settings, measure: bool, pictures: Path | None, count: int, as_json: bool) -> None:
    """Print what runs here and what is decided; measure it first where that is asked for."""
    from booksearch_assets.clip.choosing import decide, engine_folder, read_decision, readable_pictures

    bundle, machine = Bundle.open(settings.bundle), Capabilities.of_this_machine()
    folder = engine_folder(settings.engines, bundle)
    decision = read_decision(folder, bundle, machine)
    if measure:
        contents = _files(pictures, count) if pictures else _painted(settings, count)
        decision = decide(bundle, folder, readable_pictures(contents), _say)
    if as_json:
        click.echo(decision.model_dump_json(indent=1) if decision else "null")
        return
    _print(settings, bundle, machine, decision)


def engine_of_large_builds(settings: Settings) -> str:
    """The engine that a build of many covers takes here: what is asked for by name, or what `auto` has found or finds now."""
    from booksearch_assets.clip.choosing import PROBE_FROM, choose_engine, engine_folder

    bundle = Bundle.open(settings.bundle)
    folder = engine_folder(settings.engines, bundle)
    chosen = choose_engine(
        settings.engine, bundle, folder, PROBE_FROM, lambda count: _painted(settings, count), _say
    )
    return str(chosen.choice)


def _say(message: str) -> None:
    click.echo(message, err=True)


def _print(settings: Settings, bundle: Bundle, machine: Capabilities, decision: Decision | None) -> None:
    click.echo(f"{bundle.bundle_id} on {machine.processor}" + (f" with {machine.gpu}" if machine.gpu else ""))
    measured = {m.choice: m for m in decision.measured} if decision else {}
    for engine in EngineName:
        lacking = machine.lacks(engine)
        click.echo(f"  {engine:<18} {lacking or 'runs here'}")
    for measurement in measured.values():
        kept = "" if measurement.keeps_neighbours else ", refused"
        click.echo(f"  {measurement}{kept}")
    if settings.engine != AUTO:
        choice = wished_choice(settings.engine, machine)
        click.echo(f"BOOKSEARCH_ENGINE is {settings.engine}: {choice} embeds")
    elif decision:
        click.echo(f"auto: {decision.why}")
    else:
        click.echo(
            "auto: not measured yet: the first large embedding run does it, or `booksearch model engines --measure`"
        )


def _files(folder: Path, count: int) -> Sequence[bytes]:
    paths = [path for path in sorted(folder.iterdir()) if path.is_file()]
    # From the whole folder, since neighbours in a list are often of one kind.
    step = max(1, len(paths) // count)
    return [path.read_bytes() for path in paths[::step][:count]]


def _painted(settings: Settings, count: int) -> Sequence[bytes]:
    """Covers of the sample world as large as Open Library's."""
    from booksearch_assets.sample.painter import cover_jpeg
    from booksearch_assets.sample.scenes import scene_of
    from booksearch_assets.sample.world import World

    world = World(
        seed=settings.sample_seed, editions=settings.sample_editions, release=settings.sample_release
    )
    click.echo(f"painting {count} covers", err=True)
    return [
        cover_jpeg(scene_of(cover, world.seed), *world.title_of_cover(cover), height=_REAL_HEIGHT)
        for cover in range(1, count + 1)
    ]
