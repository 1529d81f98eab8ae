"""The engines that can run a bundle's vision tower: their names, what each needs, and loading one.

What belongs here: what may be chosen and what this machine can run. What does not: running
(``torch_engine``, ``openvino_engine``), measuring which is best (``probe``), and deciding (``choosing``).

Vectors of all engines belong to one bundle id. The id names the vector space, which the weights and the
preprocessing make; an engine comes near the reference's vectors, and how near is measured before it is used.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.encoder import ImageEngine

INSTALL_OPENVINO = "pip install 'booksearch_assets[fast]'"
AUTO = "auto"

_CPUINFO = Path("/proc/cpuinfo")
_NVIDIA_DEVICE = Path("/dev/nvidiactl")
_X86_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16"})
_ARM_BFLOAT16 = "bf16"
_REDUCED = "+reduced"


class EngineUnavailable(ValueError):
    """This machine lacks what an engine needs; the message says what, and what to do."""


class EngineName(StrEnum):
    """A library and the precision in which it computes. The first is the reference for all others."""

    TORCH_FLOAT32 = "torch-float32"
    TORCH_BFLOAT16 = "torch-bfloat16"
    TORCH_FLOAT16 = "torch-float16"
    OPENVINO_FLOAT32 = "openvino-float32"
    OPENVINO_BFLOAT16 = "openvino-bfloat16"
    OPENVINO_INT8 = "openvino-int8"

    @property
    def is_openvino(self) -> bool:
        return self.value.startswith("openvino-")


class Decode(StrEnum):
    """How much of a JPEG is decoded: all of its pixels, or a half, quarter or eighth of its lines and columns."""

    FULL = "full"
    REDUCED = "reduced"


@dataclass(frozen=True)
class EngineChoice:
    """What makes the vectors of one run. As text ``openvino-bfloat16`` or ``openvino-bfloat16+reduced``."""

    engine: EngineName
    decode: Decode = Decode.FULL

    def __str__(self) -> str:
        return self.engine.value + (_REDUCED if self.decode is Decode.REDUCED else "")

    @classmethod
    def parse(cls, text: str) -> EngineChoice:
        """Raises ``ValueError`` that lists the engines for a text that names none."""
        name = text.removesuffix(_REDUCED)
        try:
            engine = EngineName(name)
        except ValueError:
            raise ValueError(f"no engine is named {name!r}; there are {', '.join(EngineName)}") from None
        return cls(engine, Decode.FULL if name == text else Decode.REDUCED)


REFERENCE = EngineChoice(EngineName.TORCH_FLOAT32)


class Capabilities(BaseModel):
    """What of a machine decides which engines run there and how fast: a measurement holds for equals only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    torch_bfloat16: bool
    """Whether the processor multiplies bfloat16 itself; torch emulates it elsewhere, slower than float32."""
    openvino_bfloat16: bool
    """The same for OpenVINO, which does so on x86 alone."""
    gpu: str | None
    torch: str
    openvino: str | None
    nncf: str | None

    @classmethod
    def of_this_machine(cls) -> Capabilities:
        """Reads what the kernel and the installed packages say; torch is loaded only where there is an NVIDIA driver."""
        processor, features = _processor(_CPUINFO.read_text() if _CPUINFO.is_file() else "")
        x86 = bool(features & _X86_BFLOAT16)
        return cls(
            processor=processor or platform.processor() or platform.machine(),
            torch_bfloat16=x86 or _ARM_BFLOAT16 in features,
            openvino_bfloat16=x86,
            gpu=_gpu() if _NVIDIA_DEVICE.exists() else None,
            torch=_version("torch") or "",
            openvino=_version("openvino"),
            nncf=_version("nncf"),
        )

    def lacks(self, engine: EngineName) -> str | None:
        """What `engine` needs and is not here, and what to do; None where it runs."""
        if engine.is_openvino and self.openvino is None:
            return f"OpenVINO is not installed: {INSTALL_OPENVINO}"
        if engine is EngineName.OPENVINO_INT8 and self.nncf is None:
            return f"NNCF, which makes weights of eight bits, is not installed: {INSTALL_OPENVINO}"
        if engine is EngineName.TORCH_FLOAT16 and self.gpu is None:
            return "there is no GPU that torch's CUDA can use; on a processor use torch-bfloat16"
        return None

    def candidates(self) -> list[EngineName]:
        """The engines that may be faster here than the reference without calibration, the likely best first."""
        native = {
            EngineName.TORCH_FLOAT16: self.gpu is not None,
            EngineName.OPENVINO_BFLOAT16: self.openvino_bfloat16,
            EngineName.TORCH_BFLOAT16: self.torch_bfloat16,
            EngineName.OPENVINO_FLOAT32: True,
        }
        return [engine for engine, fits in native.items() if fits and self.lacks(engine) is None]


def check_wish(wish: str) -> str:
    """`wish` if it is ``auto``, ``torch``, ``openvino`` or a choice as ``EngineChoice`` writes it, else ``ValueError``."""
    if wish not in (AUTO, *_SHORT_NAMES):
        try:
            EngineChoice.parse(wish)
        except ValueError:
            names = ", ".join((AUTO, *_SHORT_NAMES, *EngineName))
            raise ValueError(
                f"{wish!r} is no engine; it must be one of {names}, or an engine and {_REDUCED}"
            ) from None
    return wish


def wished_choice(wish: str, capabilities: Capabilities) -> EngineChoice:
    """The engine that a wish other than ``auto`` stands for here; ``EngineUnavailable`` where it does not run.

    ``torch`` is the reference, the same on every machine. ``openvino`` computes in bfloat16 where that is native.
    """
    if wish == "openvino":
        native = capabilities.openvino_bfloat16
        choice = EngineChoice(EngineName.OPENVINO_BFLOAT16 if native else EngineName.OPENVINO_FLOAT32)
    else:
        choice = _SHORT_NAMES.get(wish) or EngineChoice.parse(wish)
    lacking = capabilities.lacks(choice.engine)
    if lacking:
        raise EngineUnavailable(f"the engine {choice.engine} cannot run here: {lacking}")
    return choice


_SHORT_NAMES: Mapping[str, EngineChoice | None] = {"torch": REFERENCE, "openvino": None}


def load_image_engine(
    bundle: Bundle, engine: EngineName, threads: int | None = None, folder: Path | None = None
) -> ImageEngine:
    """Load the vision tower alone, which for ViT-B/32 is 88 of 151 million parameters.

    `folder` holds what was converted before (see ``openvino_engine``); without it, each call converts for itself.
    Raises ``EngineUnavailable`` where the machine cannot run it, ``BundleError`` for incomplete weights.
    """
    if engine.is_openvino:
        from booksearch_assets.clip.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(bundle, engine, threads, folder)
    from booksearch_assets.clip.torch_engine import TorchImageEngine

    return TorchImageEngine(bundle, engine, threads)


def _processor(cpuinfo: str) -> tuple[str, frozenset[str]]:
    """Name and features of the first processor in Linux's ``/proc/cpuinfo``; empty where it does not say."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields.get("model name", ""), frozenset(
        (fields.get("flags") or fields.get("Features", "")).split()
    )


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
