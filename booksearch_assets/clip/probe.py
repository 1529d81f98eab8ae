"""How fast each engine is on this machine, and how near its vectors come to the reference's.

What belongs here: measuring, and the rule that picks one from what was measured. What does not: which engines there
are (``engines``), when it is worth measuring, and where the result is kept (``choosing``).

CLIP's vectors share a large mean: of a random ViT-B/32 the cosine of two different pictures is 0.97. So plain cosine
says nothing, and vectors are compared by what is searched for: the ten nearest pictures, and the cosine after the
reference's mean was taken from both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.encoder import IMAGE_BATCH_SIZE, DegenerateVectorError, Encoder
from booksearch_assets.clip.engines import REFERENCE, Capabilities, Decode, EngineChoice, EngineName

NEIGHBOURS = 10
MIN_OVERLAP = 0.98
"""Of the ten nearest, the share that must stay the same on average."""
MIN_CENTRED_COSINE = 0.98
"""Of every single picture: an engine that is right on average may be wrong on white pages."""
MIN_GAIN = 1.1
"""Times the reference's rate from which on another engine is worth its differences."""

Say = Callable[[str], None]


class Measurement(BaseModel):
    """What one choice did with the pictures of the probe, on one thread."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choice: str
    images_per_second: float
    """Decoding, preprocessing and the model, of one thread's processor time; on a GPU of time."""
    overlap: float
    """Mean share of the ten nearest that are the reference's, the lower of its own and of a mixed collection."""
    centred_cosine: float
    """The lowest of all pictures."""
    failed: str = ""
    """Why there are no vectors: an engine that cannot run a model must not stop what another can embed."""

    @property
    def keeps_neighbours(self) -> bool:
        return self.overlap >= MIN_OVERLAP and self.centred_cosine >= MIN_CENTRED_COSINE

    def __str__(self) -> str:
        if self.failed:
            return f"{self.choice} failed: {self.failed}"
        return (
            f"{self.choice}: {self.images_per_second:.3g} images/s, overlap@{NEIGHBOURS} {self.overlap:.3f}, "
            f"centred cosine {self.centred_cosine:.4f}"
        )


def measure_engines(
    bundle: Bundle, contents: Sequence[bytes], capabilities: Capabilities, folder: Path, say: Say
) -> list[Measurement]:
    """The reference, every engine that may be faster here, and the best of them with JPEGs decoded at a reduced size.

    float32 of another library is measured only where nothing of half precision keeps the neighbours.
    """
    probe = Probe(bundle, contents, folder, say)
    measured = [probe.measure(REFERENCE)]
    for engine in capabilities.candidates():
        if engine is not EngineName.OPENVINO_FLOAT32 or not any(m.keeps_neighbours for m in measured[1:]):
            measured.append(probe.measure(EngineChoice(engine)))
    best, _ = choose(measured)
    measured.append(probe.measure(EngineChoice(best.engine, Decode.REDUCED)))
    return measured


def choose(measured: Sequence[Measurement]) -> tuple[EngineChoice, str]:
    """The fastest of those that keep the neighbours, and why. The first measurement is the reference's.

    The reference stays where nothing is `MIN_GAIN` times as fast, and the full decode where the reduced gains less.
    """
    reference = measured[0]
    best = reference
    kept = [m for m in measured[1:] if m.keeps_neighbours]
    for decode in Decode:
        fastest = max(
            (m for m in kept if EngineChoice.parse(m.choice).decode is decode),
            key=lambda m: m.images_per_second,
            default=None,
        )
        if fastest and fastest.images_per_second >= MIN_GAIN * best.images_per_second:
            best = fastest
    gain = best.images_per_second / reference.images_per_second
    why = (
        f"{best.choice} is {gain:.1f} times as fast as {reference.choice} and keeps {best.overlap:.1%} of the neighbours"
        if best is not reference
        else f"{reference.choice}, since nothing that keeps the neighbours is {MIN_GAIN} times as fast as {reference.choice}"
    )
    refused = [m for m in measured if not m.keeps_neighbours and m.images_per_second > best.images_per_second]
    why += "".join(f"; {m.choice} is faster, but keeps {m.overlap:.1%} of them" for m in refused)
    why += "".join(f"; {m}" for m in measured if m.failed)
    return EngineChoice.parse(best.choice), why


def overlap(reference: np.ndarray, vectors: np.ndarray) -> float:
    """Mean share of the ten nearest pictures that stay the same, (n, dimension) unit vectors both.

    The lower of two: among the vectors alone, and of the reference's queries among the vectors, since a text is always
    encoded by the reference, and a collection may hold vectors of several engines.
    """
    truth = _nearest(reference, reference)
    found = (_nearest(vectors, vectors), _nearest(reference, vectors))
    return min(float(np.mean([np.isin(a, b).mean() for a, b in zip(f, truth, strict=True)])) for f in found)


def centred_cosines(reference: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(n,) cosines of each vector with the reference's, after the mean of the reference's was taken from both."""
    mean = reference.mean(axis=0)
    left, right = reference - mean, vectors - mean
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(axis=1) / np.maximum(lengths, np.finfo(np.float32).tiny)


def _nearest(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    cosine = queries @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    return np.argsort(-cosine, axis=1)[:, :NEIGHBOURS]


class Probe:
    """Some pictures, and what the reference makes of them."""

    def __init__(self, bundle: Bundle, contents: Sequence[bytes], folder: Path, say: Say) -> None:
        if len(contents) <= NEIGHBOURS:
            raise ValueError(
                f"{len(contents)} pictures to measure engines with, expected more than {NEIGHBOURS}"
            )
        self._bundle, self._contents, self._folder, self._say = bundle, contents, folder, say
        self._reference: np.ndarray | None = None

    def measure(self, choice: EngineChoice) -> Measurement:
        """Encode the pictures with one choice; the first must be the reference."""
        self._say(f"measuring {choice} with {len(self._contents)} pictures")
        try:
            found, rate = self._run(choice)
        except (RuntimeError, DegenerateVectorError) as error:
            if choice == REFERENCE:
                raise
            measured = Measurement(
                choice=str(choice), images_per_second=0, overlap=0, centred_cosine=-1, failed=str(error)
            )
        else:
            reference = self._reference = found if self._reference is None else self._reference
            measured = Measurement(
                choice=str(choice),
                images_per_second=round(rate, 2),
                overlap=round(overlap(reference, found), 4),
                centred_cosine=round(float(centred_cosines(reference, found).min()), 5),
            )
        self._say(str(measured))
        return measured

    def _run(self, choice: EngineChoice) -> tuple[np.ndarray, float]:
        """The vectors of the pictures, and how many one thread makes in a second. Leaves torch's threads as they were."""
        import torch

        threads = torch.get_num_threads()
        # A busy machine makes processor time no longer; a GPU's is none of the processor's.
        clock = time.perf_counter if choice.engine is EngineName.TORCH_FLOAT16 else time.process_time
        try:
            encoder = Encoder.load_for_images(self._bundle, choice, threads=1, folder=self._folder)
            # What is done once, such as choosing kernels for a shape, is no part of a rate.
            _encode(encoder, self._contents[:IMAGE_BATCH_SIZE])
            vectors, seconds = [], []
            for batch in _batches(self._contents):
                started = clock()
                vectors.append(_encode(encoder, batch))
                seconds.append((clock() - started) / len(batch))
        finally:
            torch.set_num_threads(threads)
        return np.concatenate(vectors), 1 / statistics.median(seconds)


def _encode(encoder: Encoder, contents: Sequence[bytes]) -> np.ndarray:
    return encoder.encode_images([encoder.decode(content) for content in contents])


def _batches(contents: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (contents[n : n + IMAGE_BATCH_SIZE] for n in range(0, len(contents), IMAGE_BATCH_SIZE))
