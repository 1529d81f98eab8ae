"""`clip-retrieval inference` in the peers' environment, again and again in one process, where torch may be without CUDA.

torchvision's wheel on PyPI is built for CUDA: beside a torch without it, its operators of detection are missing and it
refuses to be imported. clip-retrieval uses its transforms of pictures only, which are Python, so that naming the two
operators it looks for is enough.
"""

from __future__ import annotations

import functools
import json
import os
import sys

import torch

if torch.version.cuda is None:
    _library = torch.library.Library("torchvision", "DEF")
    _library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _library.define(
        "qnms(Tensor dets, Tensor scores, Tensor scales, Tensor zero_points, float iou_threshold) -> Tensor"
    )

from clip_retrieval.clip_inference import clip_inference, worker

# Its command loads the model for the reader and for the mapper; here for all rounds.
worker.load_clip = functools.cache(worker.load_clip)


def main() -> None:
    """Run an inference for each line of its settings as JSON, and answer each with an empty line."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # What it prints itself goes where errors go.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        clip_inference(**json.loads(line))
        print(file=answers, flush=True)


if __name__ == "__main__":
    main()
