import pytest
import torch

from bench.base import registry
from bench.base.errors import BenchError
from bench.models.conv4 import Conv4
from bench.tasks.episode import TaskSpec

MINI = TaskSpec("classification", (3, 84, 84), 5)


def test_each_block_may_have_its_own_number_of_filters():
    net = Conv4(MINI, filters=(96, 192, 384, 512))
    widths = [m.out_channels for m in net.features if isinstance(m, torch.nn.Conv2d)]
    assert widths == [96, 192, 384, 512]
    assert net.head.in_features == 512 * 5 * 5


def test_one_number_is_the_same_for_all():
    nets = []
    for filters in (6, [6] * 4):
        torch.manual_seed(0)
        nets.append(Conv4(MINI, filters=filters))
    states = [net.state_dict() for net in nets]
    assert all(torch.equal(states[0][n], states[1][n]) for n in states[0])


def test_the_head_may_get_the_mean_over_the_image():
    omniglot = TaskSpec("classification", (1, 28, 28), 5)
    whole, mean = Conv4(omniglot), Conv4(omniglot, average=True)
    assert (whole.head.in_features, mean.head.in_features) == (256, 64)  # 64 in the paper
    x = torch.rand(3, 1, 28, 28)
    mean.load_state_dict(whole.state_dict() | {"head.weight": mean.head.weight}, strict=True)
    features = whole.features(x).view(3, 64, 4).mean(2)
    torch.testing.assert_close(mean(x), mean.head(features))


def test_wrong_numbers_are_named():
    with pytest.raises(BenchError, match="one for each of 4 blocks"):
        Conv4(MINI, filters=[8, 8])
    with pytest.raises(BenchError, match="filters=0: give a whole number of at least 1"):
        Conv4(MINI, filters=0)
    with pytest.raises(BenchError, match=r"filters='wide'.*a whole number or a list of whole"):
        registry.create("models", "conv4", MINI, filters="wide")
