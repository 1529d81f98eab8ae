"""The model card of the sample CLIP: what it was trained on, what it can do, what it is not for.

Belongs here: the text. Does not: training (`clip_training`) and measuring (`clip_evaluation`).
"""

from __future__ import annotations

from booksearch_assets.sample.clip_evaluation import EvaluationReport, Retrieval
from booksearch_assets.sample.clip_training import TrainingConfig


def model_card(config: TrainingConfig, parameters: int, report: EvaluationReport) -> str:
    """The card as Markdown with the metadata block that the Hugging Face hub reads."""
    shape = config.shape
    worst = ", ".join(f"{motif} {precision:.1f}" for motif, precision in report.worst_motifs)
    return f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: zero-shot-image-classification
tags: [clip, synthetic]
---
# Sample CLIP

A small dual encoder of Hugging Face's `CLIPModel` architecture, which puts painted book covers and English captions
into one space of {shape.projection} dimensions. It ships with `booksearch_assets` so that the whole graph runs, and its
searches mean something, with no network. It knows the sample world and nothing else: for real covers use
`booksearch model fetch`.

| | |
| --- | --- |
| parameters | {parameters:,}, stored as float16 |
| image tower | {shape.image_size} px, patches of {shape.patch_size} px, {shape.image_layers} layers, {shape.image_width} wide |
| text tower | {shape.text_layers} layers, {shape.text_width} wide, {shape.context_length} tokens, byte-level BPE of {shape.vocabulary} |
| training data | {config.covers:,} covers painted by `booksearch_assets.sample.painter`, captions by `sample.clip_data` |
| held out | one in ten combinations of motif, companion and colour |
| steps | {config.steps:,} of {config.batch_size} covers, AdamW, seed {config.seed} |

Trained with CLIP's contrastive loss, in which a caption counts as true of every cover that it describes, and with
classifiers of the scene's attributes that are thrown away afterwards. `booksearch sample train-clip` makes such a model
again; the figures below are of the weights in this folder on covers as they are painted today.

## Quality

Measured by `booksearch sample evaluate-clip` among {report.covers:,} covers at full size (500 px, JPEG 90), all of
combinations that training never showed.

| query | recall@1 | recall@5 | recall@10 | MRR |
| --- | --- | --- | --- | --- |
| {_row("true caption", report.true_captions)} |
| {_row("free caption, parts left out", report.free_captions)} |

A free caption may be as true of other covers as of the one that counts. "a MOTIF": precision@10
{report.motif_precision:.3f}; lowest: {worst}.

## Limits

Fifty motifs, ten colours, six settings, six kinds of weather, English. A word that it never saw means nothing to it.
Scores order the results of one query and say nothing across queries. Not for photographs, people, or decisions.
"""


def _row(name: str, found: Retrieval) -> str:
    return f"{name} | {found.recall_at_1:.3f} | {found.recall_at_5:.3f} | {found.recall_at_10:.3f} | {found.mrr:.3f}"
