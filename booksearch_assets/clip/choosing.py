"""Which engine embeds: what was wished for, what was measured before, or what is measured now.

What belongs here: the decision of one run, and the file that remembers it. What does not: measuring (``probe``).

One process decides for a run and passes the choice to every worker, so that all of them do the same. What ``auto``
found is kept in the manifest of a bundle that this deployment fetched. The bundle of others, as the one that is shipped,
is not written to: there it is kept in ``decision.json`` beside the converted models. Either is true of one kind of machine,
and no part of the bundle's identity.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from booksearch_assets.clip.bundle import MANIFEST, PREPROCESSOR, Bundle, record_engine
from booksearch_assets.clip.engines import (
    AUTO,
    REFERENCE,
    Capabilities,
    EngineChoice,
    EngineName,
    wished_choice,
)
from booksearch_assets.clip.preprocess import Preprocessing, UndecodableImage, decode_image
from booksearch_assets.clip.probe import NEIGHBOURS, Measurement, Probe, Say, choose, measure_engines

DECISION = "decision.json"
PROBE_PICTURES = 256
PROBE_FROM = 5_000
"""Pictures to embed from which on measuring pays: it embeds 256 of them some four times, on one thread."""

_MODELS = "models"
"""Where `booksearch model fetch` puts bundles in a deployment's home."""

Pictures = Callable[[int], Sequence[bytes]]
"""Draws up to so many pictures of what is to be embedded."""


class Decision(BaseModel):
    """What ``auto`` found for one bundle on one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    bundle_id: str
    machine: Capabilities
    choice: str
    why: str
    pictures: int
    measured: list[Measurement]
    decided: datetime


@dataclass(frozen=True)
class Chosen:
    """The engine of a run, and why it is that one: a sentence for the log and the metadata."""

    choice: EngineChoice
    why: str


def engine_folder(home: str | Path, bundle: Bundle) -> Path:
    """Where a bundle's decision and its converted models lie."""
    return Path(home) / bundle.bundle_id


def choose_engine(
    wish: str, bundle: Bundle, folder: Path, rows: int, draw: Pictures, say: Say = lambda message: None
) -> Chosen:
    """The engine for embedding `rows` pictures, by the `wish` that ``check_wish`` lets pass.

    ``auto`` takes what was decided on such a machine before. Else it measures with pictures that `draw` gives, and
    writes the decision into `folder`; below `PROBE_FROM` pictures it takes the reference, at no cost. Models are
    converted here, before any worker needs them. Raises ``EngineUnavailable`` for a wish that cannot run here.
    """
    capabilities = Capabilities.of_this_machine()
    if wish != AUTO:
        return _wished(wish, bundle, folder, capabilities, draw, say)
    known = read_decision(folder, bundle, capabilities)
    if known is None and rows < PROBE_FROM:
        return Chosen(
            REFERENCE, f"engines are not measured for {rows:,} pictures, which is less than {PROBE_FROM:,}"
        )
    decision = known
    if decision is None:
        readable = readable_pictures(draw(PROBE_PICTURES))
        if len(readable) <= NEIGHBOURS:
            return Chosen(REFERENCE, f"{len(readable)} readable pictures are too few to measure engines with")
        decision = decide(bundle, folder, readable, say)
    choice = EngineChoice.parse(decision.choice)
    _prepare(choice, bundle, folder)
    return Chosen(choice, f"{decision.why} (measured on {decision.decided:%Y-%m-%d})")


def decide(bundle: Bundle, folder: Path, contents: Sequence[bytes], say: Say) -> Decision:
    """Measure with readable pictures what runs here, and write down which is the fastest that keeps the neighbours."""
    capabilities = Capabilities.of_this_machine()
    measured = measure_engines(bundle, contents, capabilities, folder, say)
    choice, why = choose(measured)
    lacking = capabilities.lacks(EngineName.OPENVINO_FLOAT32)
    if lacking and capabilities.gpu is None:
        why += f"; often faster, but {lacking}"
    decision = Decision(
        bundle_id=bundle.bundle_id,
        machine=capabilities,
        choice=str(choice),
        why=why,
        pictures=len(contents),
        measured=measured,
        decided=datetime.now(UTC).replace(microsecond=0),
    )
    _record(decision, bundle, folder)
    return decision


def _record(decision: Decision, bundle: Bundle, folder: Path) -> None:
    if _is_own(bundle, folder):
        record_engine(bundle.folder, decision.model_dump(mode="json"))
        return
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{DECISION}-{os.getpid()}"
    unfinished.write_text(decision.model_dump_json(indent=1) + "\n", encoding="utf-8")
    unfinished.replace(folder / DECISION)


def _is_own(bundle: Bundle, folder: Path) -> bool:
    """Whether the bundle is one of the deployment's own `models`, beside its `engines`, and may be written to."""
    models = folder.resolve().parent.parent / _MODELS
    return models in bundle.folder.resolve().parents and os.access(bundle.folder / MANIFEST, os.W_OK)


def read_decision(folder: Path, bundle: Bundle, capabilities: Capabilities) -> Decision | None:
    """What was decided for this bundle on such a machine. None where there is nothing, or it is of another machine."""
    try:
        beside = [json.loads((folder / DECISION).read_bytes())]
    except (FileNotFoundError, ValueError):
        beside = []
    for record in (*bundle.recorded_engines(), *beside):
        try:
            decision = Decision.model_validate(record)
        except ValidationError:
            # One of another release is measured anew.
            continue
        if decision.machine == capabilities and decision.bundle_id == bundle.bundle_id:
            return decision
    return None


def _wished(
    wish: str, bundle: Bundle, folder: Path, capabilities: Capabilities, draw: Pictures, say: Say
) -> Chosen:
    choice = wished_choice(wish, capabilities)
    why = f"BOOKSEARCH_ENGINE asks for {wish}"
    if choice.engine is EngineName.OPENVINO_INT8:
        why += "; " + _quantise(choice, bundle, folder, draw, say)
    _prepare(choice, bundle, folder)
    return Chosen(choice, why)


def _quantise(choice: EngineChoice, bundle: Bundle, folder: Path, draw: Pictures, say: Say) -> str:
    """Make the eight-bit model where there is none, and say what it does to the neighbours of other pictures.

    It is used all the same: who asks for it by name has decided. Calibrated on one half of the pictures, measured on
    the other.
    """
    from booksearch_assets.clip.openvino_engine import is_quantised, quantise

    if is_quantised(folder):
        return "its eight-bit model was made before"
    readable = readable_pictures(draw(PROBE_PICTURES))
    shown, kept_back = readable[::2], readable[1::2]
    prepare = Preprocessing.from_config(bundle.folder / PREPROCESSOR)
    probe = Probe(bundle, kept_back, folder, say)
    say(f"calibrating eight-bit weights on {len(shown)} pictures")
    quantise(bundle, folder, [prepare(decode_image(content)) for content in shown])
    probe.measure(REFERENCE)
    kept = probe.measure(choice).overlap
    return f"its eight-bit model keeps {kept:.1%} of the neighbours among {len(kept_back)} pictures"


def _prepare(choice: EngineChoice, bundle: Bundle, folder: Path) -> None:
    if choice.engine.is_openvino:
        from booksearch_assets.clip.openvino_engine import convert

        convert(bundle, folder)


def readable_pictures(contents: Sequence[bytes]) -> list[bytes]:
    """Those that can be decoded; what cannot is counted where it is embedded."""
    readable = []
    for content in contents:
        try:
            decode_image(content)
        except UndecodableImage:
            continue
        readable.append(content)
    return readable
