"""Pictures and words to vectors in one space, by the model of a bundle.

What belongs here: batching and normalisation. What does not: the engines that run the two towers
(``engines``), decoding and pixels (``preprocess``), files (``bundle``), and who asks: Spark, search and tests all do.

``Encoder.load`` gives the reference: float32 whatever the precision of the stored weights, and equal to
Hugging Face's ``get_image_features`` and ``get_text_features``, whatever the batch size, the order or the
number of threads. ``Encoder.load_for_images`` gives an engine that was chosen for speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np
from PIL import Image

from booksearch_assets.clip.bundle import PREPROCESSOR, Architecture, Bundle
from booksearch_assets.clip.engines import REFERENCE, Decode, EngineChoice, load_image_engine
from booksearch_assets.clip.preprocess import Preprocessing, decode_image

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IMAGE_BATCH_SIZE = 8
"""Measured for ViT-B/32 on a CPU: more does not fit the cache and is slower, less wastes the matrix units."""

TEXT_BATCH_SIZE = 256
"""Short texts are little work each: measured six times the rate of batches of eight."""

KNOWN_TEXTS = 10_000
"""Texts whose vectors are kept: the same queries measure one collection after another, and people ask the same."""

_Item = TypeVar("_Item")


class DegenerateVectorError(ValueError):
    """The model gave a vector that has no direction: its length is zero, infinite or not a number."""


class ImageEngine(Protocol):
    """Runs the vision tower of a bundle's model; what it returns is not normalised yet."""

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """(n, 3, height, width) float32 to (n, dimension) float32."""


@runtime_checkable
class Engine(ImageEngine, Protocol):
    """Runs the text tower too."""

    def encode_tokens(self, input_ids: np.ndarray, attention_mask: np.ndarray | None) -> np.ndarray:
        """(n, length) int64, with a mask of the same shape or None, to (n, dimension) float32."""


class Encoder:
    """Encodes pictures and words with one bundle; its vectors belong to ``bundle_id`` and no other."""

    def __init__(self, bundle: Bundle, engine: ImageEngine, choice: EngineChoice = REFERENCE) -> None:
        self.choice = choice
        self._bundle = bundle
        self._engine = engine
        self._preprocessing = Preprocessing.from_config(bundle.folder / PREPROCESSOR)
        self._known_texts: dict[str, np.ndarray] = {}
        self._lock = Lock()

    @classmethod
    def load(cls, bundle: Bundle, threads: int | None = None) -> Encoder:
        """Load the model into memory with the reference engine; ``BundleError`` if its weights are incomplete.

        ``threads`` is for the whole process (``torch.set_num_threads``), so it is left alone unless given.
        A Spark worker asks for 1: there is a worker for each core already.
        """
        from booksearch_assets.clip.torch_engine import TorchEngine

        return cls(bundle, TorchEngine(bundle, threads))

    @classmethod
    def load_for_images(
        cls,
        bundle: Bundle,
        choice: EngineChoice = REFERENCE,
        threads: int | None = None,
        folder: str | Path | None = None,
    ) -> Encoder:
        """Load the vision tower alone, with the engine of `choice`: texts raise ``TypeError``.

        `folder` is where the bundle's converted models lie, see ``openvino_engine``. Raises
        ``EngineUnavailable`` where this machine cannot run the engine, and ``BundleError`` as ``load`` does.
        """
        engine = load_image_engine(bundle, choice.engine, threads, Path(folder) if folder else None)
        return cls(bundle, engine, choice)

    @property
    def bundle(self) -> Bundle:
        """The bundle that is loaded, whatever lies in its folder by now."""
        return self._bundle

    @property
    def bundle_id(self) -> str:
        """The vector space of everything that this encoder returns."""
        return self._bundle.bundle_id

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._bundle.dimension

    def decode(self, data: bytes) -> Image.Image:
        """As ``decode_image``, of a JPEG no more pixels than the choice of this encoder asks for."""
        if self.choice.decode is Decode.FULL:
            return decode_image(data)
        return decode_image(data, reduce_to=self._preprocessing.enough)

    def encode_images(self, images: Sequence[Image.Image], batch_size: int = IMAGE_BATCH_SIZE) -> np.ndarray:
        """Vectors (n, dimension) float32, L2-normalised, one for each picture, in order.

        Pixels are made batch by batch, so memory does not grow with the number of pictures. Raises
        ``DegenerateVectorError`` that names the row of a picture whose vector has no direction.
        """
        return self._encode(images, batch_size, self._encode_image_batch)

    def encode_texts(self, texts: Sequence[str], batch_size: int = TEXT_BATCH_SIZE) -> np.ndarray:
        """Vectors (n, dimension) float32, L2-normalised, one for each text, in order.

        A text longer than the model's context is cut, keeping the end-of-text token that CLIP reads the
        vector from. Raises ``ValueError`` that names the row of an empty text, and
        ``DegenerateVectorError`` as ``encode_images`` does.
        """
        if isinstance(texts, str):
            raise TypeError(f"expected a sequence of texts, got one text: {texts!r}. Put it in a list")
        for row, text in enumerate(texts):
            if not text.strip():
                message = (
                    f"text {row} of {len(texts)} is empty ({text!r}), expected at least one word to encode"
                )
                raise ValueError(message)
        with self._lock:
            unknown = [text for text in dict.fromkeys(texts) if text not in self._known_texts]
            vectors = self._encode(unknown, batch_size, self._encode_text_batch)
            self._known_texts.update(zip(unknown, vectors, strict=True))
            encoded = np.array([self._known_texts[text] for text in texts], np.float32)
            while len(self._known_texts) > KNOWN_TEXTS:
                del self._known_texts[next(iter(self._known_texts))]
        return encoded.reshape(len(texts), self.dimension)

    def raw_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """As ``encode_images``, of the length that the model gives them: only for measuring what that costs."""
        return self._raw(images, IMAGE_BATCH_SIZE, self._encode_image_batch)

    def raw_texts(self, texts: Sequence[str]) -> np.ndarray:
        """As ``encode_texts``, of the length that the model gives them; they are not remembered."""
        return self._raw(texts, TEXT_BATCH_SIZE, self._encode_text_batch)

    def _encode(
        self, items: Sequence[_Item], batch_size: int, encode: Callable[[Sequence[_Item]], np.ndarray]
    ) -> np.ndarray:
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size}, expected at least 1")
        return _normalise(self._raw(items, batch_size, encode), self.bundle_id)

    def _raw(
        self, items: Sequence[_Item], batch_size: int, encode: Callable[[Sequence[_Item]], np.ndarray]
    ) -> np.ndarray:
        vectors = np.empty((len(items), self.dimension), np.float32)
        for start in range(0, len(items), batch_size):
            features = encode(items[start : start + batch_size])
            vectors[start : start + len(features)] = features
        return vectors

    def _encode_image_batch(self, images: Sequence[Image.Image]) -> np.ndarray:
        centre_only = self.choice.decode is Decode.REDUCED
        return self._engine.encode_pixels(
            np.stack([self._preprocessing(image, centre_only) for image in images])
        )

    def _encode_text_batch(self, texts: Sequence[str]) -> np.ndarray:
        if not isinstance(self._engine, Engine):
            raise TypeError(
                f"this encoder of {self.bundle_id} was loaded for images; load one with Encoder.load"
            )
        # SigLIP was trained on texts padded to the full context without a mask; its vectors depend on it.
        pads_to_context = self._bundle.architecture is Architecture.SIGLIP
        tokens = self._tokenizer(
            list(texts),
            padding="max_length" if pads_to_context else "longest",
            truncation=True,
            max_length=self._context_length,
            return_tensors="np",
        )
        mask = None if pads_to_context else tokens["attention_mask"].astype(np.int64)
        return self._engine.encode_tokens(tokens["input_ids"].astype(np.int64), mask)

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        # Loaded with the first text: workers that embed covers never need it.
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self._bundle.folder, local_files_only=True)

    @cached_property
    def _context_length(self) -> int:
        # Not the tokenizer's model_max_length: many tokenizer files say 10^30.
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(self._bundle.folder, local_files_only=True)
        return int(config.text_config.max_position_embeddings)


def _normalise(features: np.ndarray, bundle_id: str) -> np.ndarray:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    degenerate = np.flatnonzero(~np.isfinite(norms[:, 0]) | (norms[:, 0] == 0))
    if degenerate.size:
        row = int(degenerate[0])
        raise DegenerateVectorError(
            f"model {bundle_id} gave row {row} a vector of length {norms[row, 0]}, "
            "expected a finite length above 0. The weights or the input are broken"
        )
    return features / norms
