"""The small CLIP that the sample world ships: its shape, its tokenizer, and how it is saved as a bundle.

Belongs here: what a reader of the bundle must agree on. Does not: how the weights are found (`clip_training`) or judged
(`clip_evaluation`). The network is Hugging Face's own CLIPModel, so the bundle loads with `from_pretrained` alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer

START_OF_TEXT, END_OF_TEXT = "<|startoftext|>", "<|endoftext|>"
IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)
"""The channel statistics of the published CLIP models, kept so that one preprocessing serves them all."""

_BICUBIC = 3
_END_OF_WORD = "</w>"


@dataclass(frozen=True)
class ClipShape:
    """Sizes of both towers. `image_size` and `patch_size` are pixels, `context_length` tokens, the rest units."""

    image_size: int = 64
    patch_size: int = 8
    image_width: int = 192
    image_layers: int = 6
    image_heads: int = 3
    text_width: int = 128
    text_layers: int = 3
    text_heads: int = 2
    context_length: int = 48
    vocabulary: int = 1200
    projection: int = 128


def build_tokenizer(texts: Iterable[str], shape: ClipShape) -> CLIPTokenizer:
    """A CLIP tokenizer whose merges are learnt from `texts`.

    Byte-level, and every byte is in the vocabulary both inside and at the end of a word, so that no text is unknown.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    template = CLIPTokenizer().backend_tokenizer
    learner = Tokenizer(models.BPE(end_of_word_suffix=_END_OF_WORD))
    learner.normalizer, learner.pre_tokenizer = template.normalizer, template.pre_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*alphabet, *(byte + _END_OF_WORD for byte in alphabet)]
    learner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=shape.vocabulary, end_of_word_suffix=_END_OF_WORD, show_progress=False
        ),
    )
    merges = [tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]]
    merges = merges[: shape.vocabulary - len(pieces) - 2]
    # The end of text comes last: CLIPTextModel pools at eos_token_id, except that an id of 2 means "the highest id",
    # and with the last place in the vocabulary both readings find the same token.
    tokens = [*pieces, *("".join(merge) for merge in merges), START_OF_TEXT, END_OF_TEXT]
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=merges,  # type: ignore[arg-type]  # annotated for merges files only, documented for pairs too
        model_max_length=shape.context_length,
    )


def build_model(shape: ClipShape, tokenizer: CLIPTokenizer) -> CLIPModel:
    """An untrained CLIPModel of this shape, float32."""
    from transformers import CLIPConfig, CLIPModel

    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": shape.text_width,
        "intermediate_size": 4 * shape.text_width,
        "num_hidden_layers": shape.text_layers,
        "num_attention_heads": shape.text_heads,
        "max_position_embeddings": shape.context_length,
        "projection_dim": shape.projection,
        "hidden_act": "gelu",
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "hidden_size": shape.image_width,
        "intermediate_size": 4 * shape.image_width,
        "num_hidden_layers": shape.image_layers,
        "num_attention_heads": shape.image_heads,
        "image_size": shape.image_size,
        "patch_size": shape.patch_size,
        "projection_dim": shape.projection,
        "hidden_act": "gelu",
    }
    # On a CPU the backward pass of torch's fused attention takes twice the time of a whole step without it.
    config = CLIPConfig(
        text_config=text,
        vision_config=vision,
        projection_dim=shape.projection,
        attn_implementation="eager",  # type: ignore[call-arg]  # taken by the base class
    )
    return CLIPModel(config)


def save_bundle(model: CLIPModel, tokenizer: CLIPTokenizer, shape: ClipShape, folder: Path) -> None:
    """Write weights (float16 safetensors), configs and tokenizer: what `from_pretrained` needs, and nothing else."""
    import copy

    folder.mkdir(parents=True, exist_ok=True)
    copy.deepcopy(model).half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": shape.image_size, "width": shape.image_size},
        "resample": _BICUBIC,
        # Covers are 2:3: a centre crop would cut a third of the picture away, so the whole cover is squashed instead.
        "do_center_crop": False,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": IMAGE_MEAN,
        "image_std": IMAGE_STD,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
