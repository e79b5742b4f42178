"""The residual network of twelve convolutions that larger few-shot experiments use."""

from collections.abc import Sequence

from torch import Tensor, nn

from bench.base import arguments
from bench.base.errors import BenchError
from bench.tasks.episode import TaskSpec

SLOPE = 0.1  # of leaky ReLU below zero


class ResNet12(nn.Module):
    """Four residual blocks of three 3x3 convolutions, the mean over places, then a linear head.

    The network of Lee et al., "Meta-Learning with Differentiable Convex Optimization", CVPR 2019
    (arXiv:1904.03758), section 4.1, whose widths are ``(64, 160, 320, 640)``; the default ones are
    those of Oreshkin et al. 2018 (arXiv:1805.10123). Without their DropBlock, as an adapted network
    must be a fixed function of its parameters, and with the mean over places of which they speak as
    an option. Batch norm always uses the statistics of the rows at hand.

    Args:
        spec: tasks with inputs ``(channels, height, width)``, 16x16 or larger; 84x84 in the paper.
        widths: channels of the four blocks.
    """

    recordable = True

    def __init__(self, spec: TaskSpec, widths: Sequence[int] = (64, 128, 256, 512)):
        super().__init__()
        if len(spec.input_shape) != 3 or min(spec.input_shape[1:]) < 16:
            raise BenchError(
                f"resnet12 takes images of 16x16 or larger, not inputs of shape {spec.input_shape}"
            )
        if len(widths) != 4:
            raise BenchError(f"widths={widths!r}: give one number for each of 4 blocks")
        arguments.require_at_least(1, widths=widths)
        channels = [spec.input_shape[0], *widths]
        blocks = [Block(*pair) for pair in zip(channels, widths)]
        self.features = nn.Sequential(*blocks, PlaceMean())
        self.head = nn.Linear(widths[-1], spec.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, channels, height, width]`` to ``[rows, outputs]``."""
        return self.head(self.features(x))


class Block(nn.Module):
    """Three convolutions beside one of 1x1, added, then 2x2 max-pooling.

    Args:
        channels: of the input.
        width: channels of the output.
    """

    recordable = True

    def __init__(self, channels: int, width: int):
        super().__init__()
        layers: list[nn.Module] = []
        for before in (channels, width, width):
            layers += [*_convolution(before, width, 3), nn.LeakyReLU(SLOPE)]
        self.long = nn.Sequential(*layers[:-1])
        self.short = nn.Sequential(*_convolution(channels, width, 1))
        self.end = nn.Sequential(nn.LeakyReLU(SLOPE), nn.MaxPool2d(2))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, channels, height, width]`` to half the height and width."""
        return self.end(self.long(x) + self.short(x))


class PlaceMean(nn.Module):
    """The mean over height and width; unlike ``nn.AdaptiveAvgPool2d``, it can be vectorised."""

    recordable = True

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, channels, height, width]`` to ``[rows, channels]``."""
        return x.mean((2, 3))


def _convolution(channels: int, width: int, kernel: int) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="leaky_relu")
    return convolution, nn.BatchNorm2d(width, track_running_stats=False)
