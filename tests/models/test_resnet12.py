import pytest
import torch

from bench.base.errors import BenchError
from bench.models.resnet12 import ResNet12
from bench.tasks.episode import TaskSpec

MINI = TaskSpec("classification", (3, 84, 84), 5)


def test_with_the_widths_of_metaoptnet_it_has_as_many_parameters():
    net = ResNet12(MINI, widths=(64, 160, 320, 640))
    count = sum(p.numel() for p in net.features.parameters())
    assert count == pytest.approx(12.42e6, rel=1e-3)  # as is quoted for it
    assert net.head.in_features == 640


@pytest.mark.parametrize("side", [16, 28, 31])
def test_it_takes_images_of_any_size_from_16_on(side):
    net = ResNet12(MINI._replace(input_shape=(3, side, side + 1)), widths=(2, 3, 4, 5))
    x = torch.randn(4, 3, side, side + 1)
    assert net.features(x).shape == (4, 5)
    assert net(x).shape == (4, 5)


def test_no_statistics_are_kept():
    net = ResNet12(MINI, widths=(2, 3, 4, 5))
    assert not list(net.buffers())


@pytest.mark.parametrize(
    ("spec", "widths", "words"),
    [
        (MINI._replace(input_shape=(3, 15, 84)), (2, 3, 4, 5), "16x16 or larger"),
        (MINI._replace(input_shape=(4,)), (2, 3, 4, 5), "16x16 or larger"),
        (MINI, (2, 3), r"widths=\(2, 3\): give one number for each of 4 blocks"),
    ],
)
def test_what_does_not_fit_is_named(spec, widths, words):
    with pytest.raises(BenchError, match=words):
        ResNet12(spec, widths)
