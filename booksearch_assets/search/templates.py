"""Prompts that frame a reader's words as the captions that CLIP was trained on.

Belongs here: the prompts. Does not: encoding them.

Averaging the vectors of several prompts is the ensemble of Radford et al. 2021 (https://arxiv.org/abs/2103.00020, 3.1.4).
"""

from __future__ import annotations

from booksearch_assets.search.query import Template

PROMPTS: dict[Template, tuple[str, ...]] = {
    Template.NONE: ("{}",),
    Template.COVER: (
        "a book cover of {}",
        "the cover of a novel about {}",
        "a paperback with {} on the cover",
        "{}, book cover art",
    ),
    Template.PHOTO: ("a photo of {}", "a photograph of {}", "a close-up photo of {}", "{}, photography"),
    Template.ILLUSTRATION: (
        "an illustration of {}",
        "a drawing of {}",
        "a painting of {}",
        "{}, digital art",
    ),
}


def prompts(text: str, template: Template) -> list[str]:
    """`text` in every prompt of `template`. Braces in the text stand for themselves."""
    return [prompt.replace("{}", text) for prompt in PROMPTS[template]]
