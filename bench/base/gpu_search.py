"""Spares small steps the search for a GPU where there is none."""

import os


def look_once() -> None:
    """Where torch finds no GPU it is told to look no further, as ``Adam.step`` does at each call.

    In torch 2.14 a build for GPUs loads the driver's library each time: .15 ms of a step of two.
    """
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
