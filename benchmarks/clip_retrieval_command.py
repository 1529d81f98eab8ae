"""`clip-retrieval`'s own command, in the peers' environment, where torch may be a build without CUDA.

torchvision's wheel on PyPI is built for CUDA: beside a torch without it, its operators of detection are missing and it
refuses to be imported. clip-retrieval uses its transforms of pictures only, which are Python, so that naming the two
operators it looks for is enough.
"""

from __future__ import annotations

import torch

if torch.version.cuda is None:
    _library = torch.library.Library("torchvision", "DEF")
    _library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _library.define(
        "qnms(Tensor dets, Tensor scores, Tensor scales, Tensor zero_points, float iou_threshold) -> Tensor"
    )

from clip_retrieval.cli import main

if __name__ == "__main__":
    main()
