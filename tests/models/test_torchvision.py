"""Every network of classes that torchvision has: it adapts exactly, or is refused by name."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torchvision import models
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.maxvit import MaxVit
from torchvision.models.swin_transformer import (
    PatchMerging,
    PatchMergingV2,
    SwinTransformer,
    SwinTransformerBlock,
    SwinTransformerBlockV2,
)
from torchvision.models.vision_transformer import VisionTransformer

from bench.algorithms.anil import ANIL
from bench.algorithms.maml import MAML
from bench.algorithms.proto_net import ProtoNet
from bench.algorithms.r2d2 import R2D2
from bench.base.errors import BenchError
from bench.cli.commands._grid import setting
from bench.learning import second_derivatives
from bench.learning.networks import build_model
from bench.learning.second_derivatives import missing_are_named
from bench.learning.task_forward import check_adaptable
from bench.models import torchvision as torchvision_networks
from bench.models.torchvision import make_adaptable
from bench.running.suites.quick import SUITE
from bench.tasks.episode import Episode, TaskSpec

SIDES = {"alexnet": 63, "inception_v3": 75, "maxvit_t": 224, "vit_h_14": 28}
LIGHT = (  # the others are larger ones of the same kinds, or have a small relative below
    *("densenet121", "efficientnet_b0", "googlenet", "mnasnet0_5", "mobilenet_v2"),
    *("mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18"),
    *("shufflenet_v2_x0_5", "squeezenet1_0"),
)
HARD_SIGMOID = ("mobilenet_v3_small",)  # which torch cannot differentiate twice
ALL = models.list_models(module=models)


def spec_of(name, channels=3):
    side = SIDES.get(name, 32 if name.startswith("vit") else 64)
    return TaskSpec("classification", (channels, side, side), 2)


def quick(tensor, *args, **kwargs):
    """Stands for torch's initialisations, of which those of large networks take a minute."""
    with torch.no_grad():
        noise = torch.randn(min(tensor.numel(), 997), generator=torch.Generator().manual_seed(0))
        noise *= (len(tensor) / tensor.numel()) ** 0.5
        flat = tensor.view(-1)
        flat[:] = noise.repeat(-(-len(flat) // len(noise)))[: len(flat)]
    return tensor


def starting_by(monkeypatch, start):
    for name in dir(nn.init):
        if name.endswith(("normal_", "uniform_")) and not name.startswith("_"):
            monkeypatch.setattr(nn.init, name, start)


def episode_of(spec):
    made = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, *spec.input_shape, generator=made, dtype=torch.get_default_dtype())
    y = torch.tensor([[0, 1]])
    return Episode(x[:, :2], y, x[:, 2:], y)


def by_hand(net, episode, rate, order):
    """Loss on the query after one step, and its gradient, with torch's own means."""
    start = dict(net.named_parameters())
    error = nn.functional.cross_entropy
    loss = error(functional_call(net, start, (episode.support_x[0],)), episode.support_y[0])
    gradients = torch.autograd.grad(loss, list(start.values()), create_graph=order == 2)
    fast = {n: p - rate * g for (n, p), g in zip(start.items(), gradients)}
    loss = error(functional_call(net, fast, (episode.query_x[0],)), episode.query_y[0])
    return loss.detach(), torch.autograd.grad(loss, list(start.values()))


def difference(learner, order):
    """Of loss and gradient, relative to those by hand."""
    learner.configure_model()
    episode, parameters = episode_of(learner.spec), list(learner.net.parameters())
    loss = learner.loss(episode).sum()
    found = torch.autograd.grad(loss, parameters)
    expected_loss, expected = by_hand(learner.net, episode, learner.hparams["inner_lr"], order)
    size = sum(g.square().sum() for g in expected).sqrt()
    apart = sum((a - b).square().sum() for a, b in zip(found, expected)).sqrt()
    assert size > 0
    return float(max((loss.detach() - expected_loss).abs() / expected_loss, apart / size))


def maml(model, spec, order, **options):
    return MAML(
        model=model, spec=spec, order=order, inner_lr=0.01, engine="batched", model_options=options
    )


# Exact ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("name", "norm"),
    [*((name, "batch") for name in LIGHT), ("resnet18", "group"), ("densenet121", "group")],
)
def test_light_networks_adapt_exactly(name, norm, monkeypatch):
    starting_by(monkeypatch, quick)
    order = 1 if norm == "group" or name in HARD_SIGMOID else 2
    model = maml(f"torchvision:{name}", spec_of(name), order, norm=norm)
    assert difference(model, order) < 1e-7  # batch norm of few rows makes much of rounding
    assert model.forward_tasks.vectorised


def test_what_has_no_second_derivative_is_said():
    learner = maml("torchvision:mobilenet_v3_small", spec_of(""), 2)
    learner.configure_model()
    refused = pytest.raises(BenchError, match="no second derivative of hard.*use order=1")
    with refused, missing_are_named():
        learner.loss(episode_of(learner.spec)).sum().backward()


def swin(block, merging):
    return SwinTransformer(
        [4, 4], 4, [1, 1], [1, 2], [2, 2], num_classes=2, block=block, downsample_layer=merging,
        dropout=0.1, attention_dropout=0.1, stochastic_depth_prob=0.2,
    )  # fmt: skip


SMALL = {
    "convnext": lambda: ConvNeXt([CNBlockConfig(4, 6, 1), CNBlockConfig(6, None, 1)], 0.2, 1e-6, 2),
    "maxvit": lambda: MaxVit((32, 32), 4, 2, [8, 8], [1, 1], 4, 0.2, num_classes=2),
    "swin": lambda: swin(SwinTransformerBlock, PatchMerging),
    "swin_v2": lambda: swin(SwinTransformerBlockV2, PatchMergingV2),
    "vit": lambda: VisionTransformer(32, 16, 1, 2, 8, 8, 0.1, 0.1, num_classes=2),
}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", SMALL)
def test_small_relatives_of_large_networks_adapt_exactly(kind, order):
    torch.manual_seed(0)
    net = SMALL[kind]().double()
    make_adaptable(net, "batch")
    nn.init.normal_(
        [m for m in net.modules() if isinstance(m, nn.Linear)][-1].weight
    )  # zero in vit
    with second_derivatives.chosen(net):
        assert difference(maml(net, spec_of("vit"), order), order) < 1e-9


# Every name -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("letters", ["ac", "de", "g", "im", "r", "s", "v", "w"])
def test_every_name_is_built_adaptable(letters, monkeypatch):
    starting_by(monkeypatch, lambda tensor, *args, **kwargs: tensor)  # gigabytes of zeros
    monkeypatch.setattr(torchvision_networks, "_check_takes", lambda net, spec: None)
    names = [n for n in ALL if n[0] in letters]
    assert names
    for name in names:
        net = build_model(f"torchvision:{name}", spec_of(name), {})
        check_adaptable(net)
        assert isinstance(getattr(net, "head", None), nn.Linear) != name.startswith("squeeze")
        assert not any(getattr(m, "inplace", False) for m in net.modules())
        rates = [getattr(m, r, 0) for m in net.modules() for r in torchvision_networks.RATES]
        assert not any(isinstance(rate, float) and rate for rate in rates)


def test_no_name_is_left_out():
    assert {name[0] for name in ALL} <= set("acdegimrsvw")


# As the suite's own networks --------------------------------------------------------------------


def test_group_norm_keeps_scale_and_shift():
    net = build_model("torchvision:shufflenet_v2_x0_5", spec_of(""), {"norm": "group"})
    kinds = {type(m).__name__ for m in net.modules()}
    assert "GroupNorm" in kinds
    assert not any("BatchNorm" in kind for kind in kinds)
    assert all(
        m.num_channels % m.num_groups == 0 for m in net.modules() if hasattr(m, "num_groups")
    )


@pytest.mark.parametrize("cls", [ProtoNet, ANIL, R2D2])
def test_grey_images_and_methods_with_features(cls):
    spec = spec_of("", channels=1)
    learner = cls(model="torchvision:shufflenet_v2_x0_5", spec=spec)
    learner.configure_model()
    loss = learner.loss(episode_of(spec)).sum()
    loss.backward()
    assert loss.isfinite()
    predict = learner.adapt(torch.rand(4, *spec.input_shape), torch.tensor([0, 1, 0, 1]))
    assert predict(torch.rand(3, *spec.input_shape)).shape == (3, 2)


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
def test_torchvisions_own_weights_load(norm, batch_norm, tmp_path):
    theirs = models.shufflenet_v2_x0_5(num_classes=10)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    options = {"norm": norm, "weights": str(tmp_path / "theirs.pth")}
    learner = MAML(
        model="torchvision:shufflenet_v2_x0_5", spec=spec_of(""), model_options=options,
        batch_norm=batch_norm,
    )  # fmt: skip
    learner.configure_model()
    own, given = learner.net.features.state_dict(), theirs.state_dict()
    assert all(torch.equal(v, given[n]) for n, v in own.items())
    assert learner.pretrained.left == ["head.bias", "head.weight"]
    assert {n.rpartition(".")[2] for n in learner.pretrained.unused if not n.startswith("fc")} == {
        "running_mean", "running_var", "num_batches_tracked",
    }  # fmt: skip


def test_it_is_the_network_of_torchvision():
    """With their weights the outputs are theirs in training, when nothing is dropped."""
    theirs = models.resnet18(num_classes=2)
    ours = build_model("torchvision:resnet18", spec_of(""), {})
    ours.features.load_state_dict(theirs.state_dict(), strict=False)
    ours.head.load_state_dict(theirs.fc.state_dict())
    x = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(x), theirs.train()(x), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("resnet19", (3, 64, 64), "no network of classes 'resnet19': did you mean resnet1"),
        ("fasterrcnn_resnet50_fpn", (3, 64, 64), "no network of classes"),
        ("alexnet", (3, 28, 28), "alexnet does not take images of 28x28 .*give larger ones"),
        ("vit_b_16", (3, 84, 84), "vit_b_16 does not take images of 84x84 .*indivisible"),
        ("maxvit_t", (3, 64, 64), "maxvit_t does not take images of 64x64"),
        ("resnet18", (4, 64, 64), "images of one or three channels"),
        ("resnet18", (7,), "images of one or three channels"),
    ],
)
def test_what_does_not_fit_is_said(name, shape, words):
    with pytest.raises(BenchError, match=words):
        build_model(f"torchvision:{name}", TaskSpec("classification", shape, 2), {})


def test_squeezenet_has_no_features_to_embed_by():
    with pytest.raises(BenchError, match="needs a network with .features"):
        ProtoNet(model="torchvision:squeezenet1_1", spec=spec_of("")).configure_model()


def test_set_names_it_and_a_record_can_hold_it():
    settings = dict([setting("model=torchvision:resnet18"), setting("model_options.norm=group")])
    (experiment,) = SUITE.experiments(["maml"], ["glyphs"], settings=settings)
    learner = experiment.fields["learner"]
    assert learner["model"] == "torchvision:resnet18"
    assert learner["model_options"] == {"filters": 16, "norm": "group"}
    assert "code" not in experiment.fields
