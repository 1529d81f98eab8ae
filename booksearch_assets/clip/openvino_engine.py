"""Running the vision tower with OpenVINO, converted from the bundle's own weights, once.

What belongs here: conversion, its files, eight-bit weights, and compiling for this processor. What does not: the text
tower, which torch runs, since a query is one short text.

Converted models lie outside the bundle, in a folder of their own for each bundle, since a bundle may be read-only::

    openvino-2026.4.1-float32/model.xml, model.bin    computed in float32 or bfloat16, as it is compiled
    openvino-2026.4.1-int8/model.xml, model.bin       calibrated on pictures of the corpus
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from booksearch_assets.clip.bundle import PREPROCESSOR, Bundle
from booksearch_assets.clip.engines import INSTALL_OPENVINO, EngineName, EngineUnavailable
from booksearch_assets.clip.preprocess import Preprocessing

_MODEL = "model.xml"
_TRACED_BATCH = 2
_PRECISIONS = {
    EngineName.OPENVINO_FLOAT32: "f32",
    EngineName.OPENVINO_BFLOAT16: "bf16",
    EngineName.OPENVINO_INT8: "f32",
}
"""In which the matrices are multiplied; of an int8 model, what is left of it in floating point."""


class OpenVinoEngine:
    """The vision tower, compiled for this processor. Any batch size: measured as fast as a fixed one."""

    def __init__(
        self, bundle: Bundle, engine: EngineName, threads: int | None = None, folder: Path | None = None
    ) -> None:
        properties: dict[str, Any] = {
            # By default every process binds itself to the same first cores, and N workers share one.
            "ENABLE_CPU_PINNING": False,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": _PRECISIONS[engine],
        }
        if threads is not None:
            properties["INFERENCE_NUM_THREADS"] = threads
        core = _openvino().Core()
        self._compiled = core.compile_model(_model(core, bundle, engine, folder), "CPU", properties)

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """See ``ImageEngine``."""
        # A copy, since the next call writes into the same memory.
        return np.array(self._compiled([pixels])[0], np.float32)


def convert(bundle: Bundle, folder: Path) -> Path:
    """Convert the vision tower into `folder`, or find it there. Returns the converted model's file.

    For the one process that starts the workers; they read the file, and share its memory.
    """
    place = _place(folder, EngineName.OPENVINO_FLOAT32)
    if not place.is_file():
        _save(_converted(bundle), place)
    return place


def quantise(bundle: Bundle, folder: Path, pixels: Sequence[np.ndarray]) -> Path:
    """Make the eight-bit model in `folder`, calibrated on `pixels`, (3, height, width) float32 each, or find it there.

    Post-training quantisation of NNCF for transformers: weights and activations of the matrix products, with the
    activations' outliers moved into the weights (SmoothQuant, arXiv:2211.10438).
    """
    place = _place(folder, EngineName.OPENVINO_INT8)
    if place.is_file():
        return place
    openvino = _openvino()
    import nncf

    model = openvino.Core().read_model(convert(bundle, folder))
    batches = [picture[np.newaxis] for picture in pixels]
    smaller = nncf.quantize(
        model, nncf.Dataset(batches), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(batches)
    )
    _save(smaller, place)
    return place


def is_quantised(folder: Path) -> bool:
    """Whether the eight-bit model is in `folder`, for the installed OpenVINO."""
    return _place(folder, EngineName.OPENVINO_INT8).is_file()


def _model(core: Any, bundle: Bundle, engine: EngineName, folder: Path | None) -> Any:
    if folder is not None and _place(folder, engine).is_file():
        return core.read_model(_place(folder, engine))
    if engine is EngineName.OPENVINO_INT8:
        raise EngineUnavailable(
            f"{bundle.bundle_id} has no eight-bit model in {folder}: it is made when an embedding run asks for it, or by "
            "`booksearch model engines --engine openvino-int8`"
        )
    return core.read_model(convert(bundle, folder)) if folder else _converted(bundle)


def _converted(bundle: Bundle) -> Any:
    import torch

    from booksearch_assets.clip.torch_engine import image_tower, quietly

    openvino = _openvino()
    height, width = Preprocessing.from_config(bundle.folder / PREPROCESSOR).output_size
    with warnings.catch_warnings(), quietly(), torch.inference_mode():
        # Of tracing: the branches on a picture's size, which is always that of the preprocessing.
        warnings.simplefilter("ignore")
        return openvino.convert_model(
            image_tower(bundle),
            example_input=torch.zeros(_TRACED_BATCH, 3, height, width),
            input=[-1, 3, height, width],
        )


def _place(folder: Path, engine: EngineName) -> Path:
    kind = "int8" if engine is EngineName.OPENVINO_INT8 else "float32"
    # Another release may convert otherwise, or read no files of this one.
    return folder / f"openvino-{_version()}-{kind}" / _MODEL


def _save(model: Any, place: Path) -> None:
    """In one rename, so that no process ever reads half of a model."""
    place.parent.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=".openvino-", dir=place.parent.parent))
    try:
        written = workshop / place.parent.name
        written.mkdir()
        _openvino().save_model(model, written / place.name, compress_to_fp16=False)
        written.rename(place.parent)
    except OSError:
        # Another process was first with the same, and a folder that is not empty is not replaced.
        if not place.is_file():
            raise
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _version() -> str:
    return str(_openvino().__version__).partition("-")[0]


def _openvino() -> Any:
    """The library, without its telemetry: each import would report to Google Analytics, and it runs without the package."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise EngineUnavailable(f"OpenVINO cannot be loaded ({error}): {INSTALL_OPENVINO}") from error
    return openvino
