"""How well a bundle finds covers that it never saw, by captions that are known to be true.

Belongs here: the measurement, and the functions that turn covers and captions into vectors for it.
Does not: training, and the quality of a published collection (`search_quality`).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from booksearch_assets.sample.clip_data import held_out_scene, prepare_held_out_cover
from booksearch_assets.sample.scenes import MOTIFS, free_caption, stable_rng

if TYPE_CHECKING:
    from transformers import CLIPModel, PreTrainedTokenizerBase

_ENCODED_AT_ONCE = 64
_MOTIF_CUTOFF = 10


@dataclass(frozen=True)
class Retrieval:
    """Caption -> cover, one right cover for each caption: shares of captions, and the mean reciprocal rank."""

    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    mrr: float

    @classmethod
    def of_ranks(cls, ranks: NDArray[np.int64]) -> Retrieval:
        """From the 1-based rank of each caption's own cover."""
        at_1, at_5, at_10 = (float((ranks <= k).mean()) for k in (1, 5, 10))
        return cls(at_1, at_5, at_10, float((1 / ranks).mean()))


@dataclass(frozen=True)
class EvaluationReport:
    """Search quality of a bundle among `covers` held-out covers of full size.

    `true_captions` say every fact of a scene, `free_captions` leave parts out (so that several covers may fit as well
    as the one that counts). `motif_precision` is, over all motifs, the mean share of the first ten covers for
    "a MOTIF" that show it, large or small; `worst_motifs` are the five lowest.
    """

    covers: int
    seed: int
    true_captions: Retrieval
    free_captions: Retrieval
    motif_precision: float
    worst_motifs: tuple[tuple[str, float], ...]


def evaluate(model_dir: Path, covers: int = 1000, seed: int = 0, processes: int = 2) -> EvaluationReport:
    """Measure the bundle in `model_dir` on covers of combinations that training never shows.

    Covers are painted at full size, pass through a JPEG of quality 90, and are prepared as the bundle's own
    preprocessor config says. Needs at least ten covers.
    """
    from transformers import AutoTokenizer, CLIPModel

    if covers < _MOTIF_CUTOFF:
        raise ValueError(f"evaluation needs at least {_MOTIF_CUTOFF} covers, got {covers}")
    model = CLIPModel.from_pretrained(model_dir, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    scenes = [held_out_scene(seed, number) for number in range(covers)]
    images = encode_pixels(model, held_out_pixels(model_dir, covers, seed, processes))
    words = stable_rng("clip-evaluation-captions", seed)
    true_captions = encode_texts(model, tokenizer, [scene.caption for scene in scenes])
    free_captions = encode_texts(model, tokenizer, [free_caption(scene, words) for scene in scenes])
    precision = {}
    queries = encode_texts(model, tokenizer, [f"a {motif}" for motif in MOTIFS])
    for motif, found in zip(MOTIFS, (queries @ images.T).topk(_MOTIF_CUTOFF).indices.tolist(), strict=True):
        precision[motif] = sum(motif in (scenes[i].motif, scenes[i].companion) for i in found) / _MOTIF_CUTOFF
    return EvaluationReport(
        covers=covers,
        seed=seed,
        true_captions=Retrieval.of_ranks(ranks_of_own(true_captions, images)),
        free_captions=Retrieval.of_ranks(ranks_of_own(free_captions, images)),
        motif_precision=sum(precision.values()) / len(precision),
        worst_motifs=tuple(sorted(precision.items(), key=lambda item: item[1])[:5]),
    )


def held_out_pixels(model_dir: Path, covers: int, seed: int, processes: int = 2) -> Tensor:
    """Held-out covers 0..covers as (covers, 3, size, size) float32, prepared by the bundle's own config."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        prepare = partial(prepare_held_out_cover, model_dir / "preprocessor_config.json", seed)
        return torch.from_numpy(np.stack(list(pool.map(prepare, range(covers), chunksize=25))))


@torch.inference_mode()
def encode_pixels(model: CLIPModel, pixels: Tensor) -> Tensor:
    """(n, 3, size, size) float32 to (n, projection) unit vectors."""
    parts = [model.get_image_features(part).pooler_output for part in pixels.split(_ENCODED_AT_ONCE)]
    return F.normalize(torch.cat(parts).float(), dim=-1)


@torch.inference_mode()
def encode_texts(model: CLIPModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Tensor:
    """n texts to (n, projection) unit vectors; what is longer than the context is cut off."""
    parts = []
    for start in range(0, len(texts), _ENCODED_AT_ONCE):
        tokens = tokenizer(
            texts[start : start + _ENCODED_AT_ONCE], padding=True, truncation=True, return_tensors="pt"
        )
        parts.append(model.get_text_features(**tokens).pooler_output)
    return F.normalize(torch.cat(parts).float(), dim=-1)


def ranks_of_own(texts: Tensor, images: Tensor) -> NDArray[np.int64]:
    """For text i, the 1-based rank of image i among all images; equal scores count against it."""
    scores = texts @ images.T
    return (scores >= scores.diagonal()[:, None]).sum(dim=1).numpy()
