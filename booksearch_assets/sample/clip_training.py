"""Training of the small CLIP on painted covers: the losses, the loop, and the report.

Belongs here: how the weights are found. Does not: the data (`clip_data`), the network (`clip_model`), or how good
it is on covers it never saw (`clip_evaluation`).
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from booksearch_assets.sample.clip_data import (
    ATTRIBUTES,
    DRAFT_HEIGHT,
    UNSAID,
    Batch,
    as_delivered,
    batches,
    describe,
    held_out_scene,
    paint_training_covers,
    squash,
    training_scene,
)
from booksearch_assets.sample.clip_evaluation import encode_pixels, encode_texts, ranks_of_own
from booksearch_assets.sample.clip_model import (
    IMAGE_MEAN,
    IMAGE_STD,
    ClipShape,
    build_model,
    build_tokenizer,
    save_bundle,
)
from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.scenes import stable_rng

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer

_MAX_LOGIT_SCALE = math.log(100)
# Colour, place and weather are learnt within a hundred steps and suffice to tell most covers apart, which leaves
# little reason to learn what the picture shows: that is given the most weight.
_WEIGHTS = {"motif": 1.2, "companion": 0.6}
_OTHER_WEIGHT = 0.3
_TOKENIZER_TEXTS = 20_000


@dataclass(frozen=True)
class TrainingConfig:
    """What a training run depends on. The defaults make the shipped bundle."""

    seed: int = 7
    covers: int = 60_000
    steps: int = 1_400
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    probe_covers: int = 300
    probe_every: int = 100
    processes: int = 2
    shape: ClipShape = field(default_factory=ClipShape)


class Phase(Enum):
    PAINTING = "painting covers"
    TRAINING = "training"


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `total` covers painted or samples seen. Loss and recall are the latest known."""

    phase: Phase
    done: int
    total: int
    loss: float | None = None
    probe_recall: float | None = None


@dataclass(frozen=True)
class TrainingReport:
    """What a run did. `probe_recall` is recall@10 among `probe_covers` held-out covers, draft size."""

    folder: Path
    parameters: int
    samples: int
    losses: tuple[float, ...]
    probe_recall: float
    painting_seconds: float
    training_seconds: float


class AttributeHeads(nn.Module):
    """Classifiers of the scene's attributes that both towers share, and that are thrown away after training.

    A caption and a cover of one class are pulled to one direction by one weight vector, which teaches the towers to
    agree from the first step on: contrastive learning alone needs several times the samples.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sizes = [len(values) for values in ATTRIBUTES.values()]
        self.classify = nn.Linear(width, sum(self.sizes))
        self.scale = nn.Parameter(torch.tensor(16.0))

    def forward(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """Weighted cross-entropy of unit `vectors` (n, width) over the attributes of `labels` (n, attributes)."""
        logits = self.classify(vectors * self.scale).split(self.sizes, dim=-1)
        losses = [
            _WEIGHTS.get(name, _OTHER_WEIGHT) * F.cross_entropy(logit, labels[:, i])
            for i, (name, logit) in enumerate(zip(ATTRIBUTES, logits, strict=True))
            if (labels[:, i] != UNSAID).any()
        ]
        return torch.stack(losses).sum()


def contrastive_loss(texts: Tensor, images: Tensor, scale: Tensor, said: Tensor, labels: Tensor) -> Tensor:
    """CLIP's symmetric loss, where a caption belongs to every cover of the batch of which it is true.

    "A dragon" is true of all dragons: counting only its own cover as right would punish the model for being right.
    """
    unsaid = said == UNSAID
    true = (unsaid[:, None] | (said[:, None] == labels[None, :])).all(dim=-1).float()
    logits = scale * texts @ images.T
    by_text = -(true / true.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()
    by_image = -(true / true.sum(0, keepdim=True) * logits.log_softmax(0)).sum(0).mean()
    return (by_text + by_image) / 2


def normalise(pixels: NDArray[np.uint8]) -> Tensor:
    """(n, size, size, 3) uint8 to the (n, 3, size, size) float32 that the preprocessor config stands for."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return (images - torch.tensor(IMAGE_MEAN).view(3, 1, 1)) / torch.tensor(IMAGE_STD).view(3, 1, 1)


@dataclass(frozen=True)
class Probe:
    """Held-out covers of draft size with their true captions: shows during training what evaluation will find."""

    pixels: Tensor
    captions: list[str]

    @classmethod
    def paint(cls, config: TrainingConfig) -> Probe:
        scenes = [held_out_scene(config.seed, number) for number in range(config.probe_covers)]
        draws = Draws("clip-training-probe", config.seed)
        covers = [
            squash(as_delivered(scene, draws, DRAFT_HEIGHT), config.shape.image_size) for scene in scenes
        ]
        return cls(normalise(np.stack(covers)), [scene.caption for scene in scenes])

    def recall_at_10(self, model: CLIPModel, tokenizer: CLIPTokenizer) -> float:
        model.eval()
        texts, images = encode_texts(model, tokenizer, self.captions), encode_pixels(model, self.pixels)
        model.train()
        return float((ranks_of_own(texts, images) <= 10).mean())


def train(
    out_dir: Path, config: TrainingConfig, progress: Callable[[Progress], None] = lambda _: None
) -> TrainingReport:
    """Paint covers, train a CLIP on them, and write it to `out_dir` as a bundle without a manifest.

    The same config gives the same weights on the same machine and torch build. Covers are painted into a temporary
    folder (0.7 GB by default), which `TMPDIR` moves elsewhere.
    """
    torch.manual_seed(config.seed)
    started = time.monotonic()
    tokenizer = build_tokenizer(_tokenizer_texts(config.seed), config.shape)
    model = build_model(config.shape, tokenizer)
    probe = Probe.paint(config)
    with tempfile.TemporaryDirectory(prefix="booksearch-covers-") as folder:
        covers = paint_training_covers(
            Path(folder) / "covers.npy",
            config.seed,
            config.covers,
            config.shape.image_size,
            config.processes,
            lambda painted: progress(Progress(Phase.PAINTING, painted, config.covers)),
        )
        painted = time.monotonic()
        losses, recall = fit(model, tokenizer, covers, probe, config, progress)
    save_bundle(model, tokenizer, config.shape, out_dir)
    return TrainingReport(
        folder=out_dir,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        samples=config.steps * config.batch_size,
        losses=tuple(losses),
        probe_recall=recall,
        painting_seconds=painted - started,
        training_seconds=time.monotonic() - painted,
    )


def fit(
    model: CLIPModel,
    tokenizer: CLIPTokenizer,
    covers: NDArray[np.uint8],
    probe: Probe,
    config: TrainingConfig,
    progress: Callable[[Progress], None],
) -> tuple[list[float], float]:
    """Train `model` in place. Returns the loss of each step and the probe's recall at the end."""
    heads = AttributeHeads(config.shape.projection)
    optimizer, schedule = _optimizer(model, heads, config)
    losses: list[float] = []
    recall = 0.0
    model.train()
    for step, batch in enumerate(batches(covers, config.seed, config.batch_size, config.steps), start=1):
        loss = _loss(model, tokenizer, heads, batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        model.logit_scale.data.clamp_(max=_MAX_LOGIT_SCALE)
        losses.append(loss.item())
        if step % config.probe_every == 0 or step == config.steps:
            recall = probe.recall_at_10(model, tokenizer)
        samples, total = step * config.batch_size, config.steps * config.batch_size
        progress(Progress(Phase.TRAINING, samples, total, losses[-1], recall))
    return losses, recall


def _loss(model: CLIPModel, tokenizer: CLIPTokenizer, heads: AttributeHeads, batch: Batch) -> Tensor:
    said, labels = torch.from_numpy(batch.said), torch.from_numpy(batch.labels)
    tokens = tokenizer(batch.captions, padding=True, truncation=True, return_tensors="pt")
    # bfloat16 is two to four times as fast where the CPU has it, and its range is float32's: nothing overflows.
    with torch.autocast("cpu", torch.bfloat16):
        images = model.get_image_features(normalise(batch.pixels)).pooler_output
        texts = model.get_text_features(**tokens).pooler_output
    images, texts = F.normalize(images.float(), dim=-1), F.normalize(texts.float(), dim=-1)
    contrast = contrastive_loss(texts, images, model.logit_scale.exp(), said, labels)
    return contrast + heads(images, labels) + heads(texts, said)


def _optimizer(
    model: nn.Module, heads: nn.Module, config: TrainingConfig
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with warm-up and cosine decay; gains, biases and the logit scale are not decayed."""
    parameters = [*model.parameters(), *heads.parameters()]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
    warmup = max(1, round(config.warmup * config.steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, config.steps - warmup)))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _tokenizer_texts(seed: int) -> list[str]:
    words = stable_rng("clip-tokenizer", seed)
    return [describe(training_scene(seed, number), words)[0] for number in range(_TOKENIZER_TEXTS)]
