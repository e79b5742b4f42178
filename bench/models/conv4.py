"""The four-block convolutional network of the MAML paper."""

from typing import Literal

from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.tasks.episode import TaskSpec


class Conv4(nn.Module):
    """Four blocks of 3x3 convolution, batch norm and ReLU, then a linear head.

    Finn et al. 2017, section 5.2: Omniglot with strided convolutions, miniImageNet (84x84) with
    2x2 max-pooling. Batch norm always uses the statistics of the rows at hand.

    Args:
        spec: tasks with inputs ``(channels, height, width)``.
        filters: channels of each block: 64 for Omniglot and 32 for miniImageNet in the paper.
        downsample: ``"stride"``, ``"max_pool"``, or ``"auto"``: stride for images of up to 32
            pixels.
    """

    recordable = True

    def __init__(
        self,
        spec: TaskSpec,
        filters: int = 64,
        downsample: Literal["auto", "stride", "max_pool"] = "auto",
    ):
        super().__init__()
        if len(spec.input_shape) != 3:
            raise BenchError(f"conv4 takes images, not inputs of shape {spec.input_shape}")
        channels, height, width = spec.input_shape
        stride = downsample == "stride" or (downsample == "auto" and height <= 32)
        blocks = []
        for _ in range(4):
            blocks += [
                nn.Conv2d(channels, filters, 3, stride=2 if stride else 1, padding=1),
                nn.BatchNorm2d(filters, track_running_stats=False),
                nn.ReLU(),
            ]
            blocks += [] if stride else [nn.MaxPool2d(2)]
            channels = filters
            height, width = [(n + 1) // 2 if stride else n // 2 for n in (height, width)]
        if not height or not width:
            raise BenchError(
                f"images of {spec.input_shape[1]}x{spec.input_shape[2]} are too small for conv4 "
                "with max-pooling: use downsample='stride'"
            )
        self.features = nn.Sequential(*blocks, nn.Flatten())
        self.head = nn.Linear(filters * height * width, spec.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, channels, height, width]`` to ``[rows, outputs]``."""
        return self.head(self.features(x))
