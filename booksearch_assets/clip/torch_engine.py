"""Running the two towers with torch: in float32 on the processor, which is the reference, and in half precision.

What belongs here: loading weights into Hugging Face's models. What does not: other libraries, pixels and tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from booksearch_assets.clip.bundle import CONFIG, WEIGHTS, Architecture, Bundle, BundleError
from booksearch_assets.clip.engines import EngineName, EngineUnavailable

if TYPE_CHECKING:
    from torch import Tensor, nn


class TorchEngine:
    """The reference engine: the whole Hugging Face model, in float32 on the processor."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        from transformers import AutoModel

        _set_threads(threads)
        self._model = _load(AutoModel, bundle)

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """See ``Engine``."""
        import torch

        with torch.inference_mode():
            return _features(self._model.get_image_features(pixel_values=torch.from_numpy(pixels)))

    def encode_tokens(self, input_ids: np.ndarray, attention_mask: np.ndarray | None) -> np.ndarray:
        """See ``Engine``."""
        import torch

        tokens = {"input_ids": torch.from_numpy(input_ids)}
        if attention_mask is not None:
            tokens["attention_mask"] = torch.from_numpy(attention_mask)
        with torch.inference_mode():
            return _features(self._model.get_text_features(**tokens))


class TorchImageEngine:
    """The vision tower alone: float32 or bfloat16 on the processor, float16 on a GPU."""

    def __init__(
        self, bundle: Bundle, engine: EngineName = EngineName.TORCH_FLOAT32, threads: int | None = None
    ) -> None:
        import torch

        _set_threads(threads)
        self._dtype, self._device = {
            EngineName.TORCH_FLOAT32: (torch.float32, "cpu"),
            EngineName.TORCH_BFLOAT16: (torch.bfloat16, "cpu"),
            EngineName.TORCH_FLOAT16: (torch.float16, "cuda"),
        }[engine]
        if self._device == "cuda" and not torch.cuda.is_available():
            raise EngineUnavailable(f"the engine {engine} needs a GPU that torch's CUDA can use")
        # On a GPU the patches' convolution is fastest with channels last; on a processor there is no difference.
        self._layout = torch.channels_last if self._device == "cuda" else torch.contiguous_format
        tower = image_tower(bundle).to(self._device, self._dtype)
        self._tower = tower.to(memory_format=self._layout)  # type: ignore[call-overload]

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """See ``ImageEngine``."""
        import torch

        batch = torch.from_numpy(pixels).to(self._device, self._dtype, memory_format=self._layout)
        with torch.inference_mode():
            return self._tower(batch).float().cpu().numpy()


def image_tower(bundle: Bundle) -> nn.Module:
    """The vision tower in float32: (n, 3, height, width) pixels to (n, dimension) features, not normalised.

    Raises ``BundleError`` where the weights lack a part of it.
    """
    from torch import nn
    from transformers import AutoConfig, CLIPVisionModelWithProjection, SiglipVisionModel

    kind, output = {
        Architecture.CLIP: (CLIPVisionModelWithProjection, "image_embeds"),
        Architecture.SIGLIP: (SiglipVisionModel, "pooler_output"),
    }[bundle.architecture]
    whole = AutoConfig.from_pretrained(bundle.folder, local_files_only=True)
    config = whole.vision_config
    if bundle.architecture is Architecture.CLIP:
        # The tower alone looks for it in its own part, where many files leave it out.
        config.projection_dim = whole.projection_dim

    class ImageTower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = _load(kind, bundle, config=config)

        def forward(self, pixel_values: Tensor) -> Tensor:
            return getattr(self.model(pixel_values=pixel_values), output)

    return ImageTower().eval()


def _load(kind: Any, bundle: Bundle, **more: Any) -> Any:
    import torch

    with quietly():
        model, report = kind.from_pretrained(
            bundle.folder,
            dtype=torch.float32,
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **more,
        )
    if report["missing_keys"]:
        # transformers fills them with random numbers and goes on: each process would differ.
        missing = ", ".join(sorted(report["missing_keys"]))
        problem = f"{WEIGHTS} lacks what {CONFIG} asks for: {missing}"
        raise BundleError(bundle.folder, problem, "Choose a model whose weights are complete.")
    return model.eval()


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers' bar of a tenth of a second, and its table of the other tower, out of every worker's log."""
    from transformers.utils import logging

    enabled, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if enabled:
            logging.enable_progress_bar()


def _set_threads(threads: int | None) -> None:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def _features(output: Any) -> np.ndarray:
    # transformers 4 returns the tensor, transformers 5 an output object that holds it.
    tensor = getattr(output, "pooler_output", output)
    return tensor.numpy()
