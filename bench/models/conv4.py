"""The four-block convolutional network of the MAML paper."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from bench.base import arguments
from bench.base.errors import BenchError
from bench.tasks.episode import TaskSpec


class Conv4(nn.Module):
    """Four blocks of 3x3 convolution, batch norm and ReLU, then a linear head.

    Finn et al. 2017, section 5.2: Omniglot with strided convolutions, miniImageNet (84x84) with
    2x2 max-pooling. Batch norm always uses the statistics of the rows at hand.

    Args:
        spec: tasks with inputs ``(channels, height, width)``.
        filters: channels of each block: 64 for Omniglot and 32 for miniImageNet in the paper; or
            of the four in turn, such as ``(96, 192, 384, 512)`` of Bertinetto et al. 2019
            (arXiv:1805.08136).
        downsample: ``"stride"``, ``"max_pool"``, or ``"auto"``: stride for images of up to 32
            pixels.
        average: whether the head gets the mean of the last block over the image, as in the authors'
            code for Omniglot (64 numbers of a 28x28 image), and not all of it (256).
    """

    recordable = True

    def __init__(
        self,
        spec: TaskSpec,
        filters: int | Sequence[int] = 64,
        downsample: Literal["auto", "stride", "max_pool"] = "auto",
        average: bool = False,
    ):
        super().__init__()
        if len(spec.input_shape) != 3:
            raise BenchError(f"conv4 takes images, not inputs of shape {spec.input_shape}")
        channels, high, wide = spec.input_shape
        stride = downsample == "stride" or (downsample == "auto" and high <= 32)
        widths = [filters] * 4 if isinstance(filters, int) else list(filters)
        if len(widths) != 4:
            raise BenchError(f"filters={filters!r}: give one number, or one for each of 4 blocks")
        arguments.require_at_least(1, filters=filters)
        blocks = []
        for width in widths:
            blocks += [
                nn.Conv2d(channels, width, 3, stride=2 if stride else 1, padding=1),
                nn.BatchNorm2d(width, track_running_stats=False),
                nn.ReLU(),
            ]
            blocks += [] if stride else [nn.MaxPool2d(2)]
            channels = width
            high, wide = [(n + 1) // 2 if stride else n // 2 for n in (high, wide)]
        if not high or not wide:
            raise BenchError(
                f"images of {spec.input_shape[1]}x{spec.input_shape[2]} are too small for conv4 "
                "with max-pooling: use downsample='stride'"
            )
        if average:
            blocks.append(nn.AvgPool2d((high, wide)))
            high = wide = 1
        self.features = nn.Sequential(*blocks, nn.Flatten())
        self.head = nn.Linear(channels * high * wide, spec.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, channels, height, width]`` to ``[rows, outputs]``."""
        return self.head(self.features(x))
