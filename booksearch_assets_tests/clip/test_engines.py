"""Which engines there are, what each needs of a machine, and what a wish stands for."""

from __future__ import annotations

import pytest

from booksearch_assets.aws_settings import SettingsError
from booksearch_assets.clip.engines import (
    REFERENCE,
    Capabilities,
    Decode,
    EngineChoice,
    EngineName,
    EngineUnavailable,
    _processor,
    check_wish,
    wished_choice,
)
from booksearch_assets.settings import Settings

XEON = """processor\t: 0
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu sse avx2 avx512f avx512_bf16 amx_tile

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
GRAVITON = "processor\t: 0\nFeatures\t: fp asimd sve bf16\nCPU part\t: 0xd40\n"


def machine(**changes: object) -> Capabilities:
    """A processor with bfloat16, no GPU, and everything installed."""
    found: dict[str, object] = {
        "processor": "a processor",
        "torch_bfloat16": True,
        "openvino_bfloat16": True,
        "gpu": None,
        "torch": "2",
        "openvino": "2026",
        "nncf": "3",
    }
    return Capabilities.model_validate(found | changes)


def test_features_are_those_of_the_first_processor() -> None:
    name, features = _processor(XEON)
    assert name == "Intel(R) Xeon(R) Processor"
    assert {"avx512_bf16", "amx_tile"} <= features
    assert _processor(GRAVITON) == ("", frozenset({"fp", "asimd", "sve", "bf16"}))
    assert _processor("") == ("", frozenset())


def test_this_machine_is_described_the_same_each_time() -> None:
    here = Capabilities.of_this_machine()
    assert here == Capabilities.model_validate_json(Capabilities.of_this_machine().model_dump_json())
    assert here.processor and here.torch
    assert here.lacks(EngineName.TORCH_FLOAT32) is None
    assert here.lacks(EngineName.OPENVINO_INT8) is None, "the tests' environment has OpenVINO and NNCF"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["openvino-bfloat16", "torch-bfloat16", "openvino-float32"]),
        ({"torch_bfloat16": False, "openvino_bfloat16": False}, ["openvino-float32"]),
        ({"openvino_bfloat16": False}, ["torch-bfloat16", "openvino-float32"]),
        ({"openvino": None}, ["torch-bfloat16"]),
        ({"openvino": None, "torch_bfloat16": False}, []),
        ({"gpu": "A10G", "openvino": None}, ["torch-float16", "torch-bfloat16"]),
    ],
)
def test_candidates_are_what_runs_natively_and_never_eight_bits(
    changes: dict[str, object], expected: list[str]
) -> None:
    assert machine(**changes).candidates() == expected


def test_what_is_lacking_says_what_to_do() -> None:
    bare = machine(openvino=None, nncf=None)
    for engine in ("openvino", "openvino-float32", "openvino-int8"):
        with pytest.raises(EngineUnavailable, match=r"pip install 'booksearch_assets\[fast\]'"):
            wished_choice(engine, bare)
    with pytest.raises(EngineUnavailable, match="NNCF.* pip install"):
        wished_choice("openvino-int8", machine(nncf=None))
    with pytest.raises(EngineUnavailable, match="no GPU .* torch-bfloat16"):
        wished_choice("torch-float16", machine())


def test_wishes() -> None:
    assert wished_choice("torch", machine(gpu="A10G")) == REFERENCE, "the same on every machine"
    assert str(wished_choice("openvino", machine())) == "openvino-bfloat16"
    assert str(wished_choice("openvino", machine(openvino_bfloat16=False))) == "openvino-float32"
    assert wished_choice("torch-bfloat16+reduced", machine()) == EngineChoice(
        EngineName.TORCH_BFLOAT16, Decode.REDUCED
    )
    for engine in EngineName:
        for decode in Decode:
            choice = EngineChoice(engine, decode)
            assert EngineChoice.parse(str(choice)) == choice
            assert check_wish(str(choice)) == str(choice)


@pytest.mark.parametrize("wish", ["", "onnx", "openvino-int4", "torch+reduced", "+reduced", "AUTO"])
def test_unknown_wish_is_refused_with_the_list(wish: str) -> None:
    with pytest.raises(ValueError, match="auto, torch, openvino, torch-float32.*openvino-int8"):
        check_wish(wish)


def test_setting_is_auto_unless_workers_are_elsewhere() -> None:
    emr = {
        "BOOKSEARCH_PROFILE": "emr",
        "BOOKSEARCH_LAKE": "s3://bucket/lake",
        "BOOKSEARCH_EMR_STAGING": "s3://bucket/staging",
        "BOOKSEARCH_EMR_APPLICATION_ID": "00f1",
        "BOOKSEARCH_EMR_ROLE_ARN": "arn:aws:iam::123456789012:role/jobs",
        "BOOKSEARCH_EMR_REGION": "eu-west-1",
        "BOOKSEARCH_MILVUS_URI": "/milvus",
        "BOOKSEARCH_CONTACT": "a@b.example",
    }
    assert Settings.from_environment({}).engine == "auto"
    assert Settings.from_environment({"BOOKSEARCH_ENGINE": "openvino-int8"}).engine == "openvino-int8"
    assert Settings.from_environment(emr).engine == "torch"
    with pytest.raises(SettingsError, match="BOOKSEARCH_ENGINE: 'fast' is no engine"):
        Settings.from_environment({"BOOKSEARCH_ENGINE": "fast"})
    with pytest.raises(SettingsError, match="package of jobs holds torch alone"):
        Settings.from_environment(emr | {"BOOKSEARCH_ENGINE": "auto"})
