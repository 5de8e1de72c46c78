"""The function through which skal first imports torchvision."""

from typing import Any

import torch


def import_torchvision() -> Any:
    """Import `torchvision`, even if its compiled operators cannot be loaded.

    Modules of torchvision can be imported as usual afterwards. The import takes a second, so call this only where it is
    needed.
    """
    try:
        import torchvision
    except RuntimeError:
        # torchvision tells torch.compile about its operators, and torch knows none where the library did not load.
        for name in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, name):
                schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                torch.library.define(f"torchvision::{name}", schema)
        import torchvision
    return torchvision
