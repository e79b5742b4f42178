"""Every layer of torch.nn in a small network: by each engine as by a plain loop, in float64.

A layer whose derivatives ``vmap`` gets wrong, or that torch cannot differentiate twice, shows here.
"""

import copy
import shutil
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from bench.algorithms.maml import MAML
from bench.base.errors import BenchError
from bench.tasks.episode import Episode, TaskSpec

WORDS = 7  # that embeddings know

pytestmark = pytest.mark.usefixtures("double")


class Net(nn.Module):
    """A layer between two linear ones; or, if it takes numbers of words, before one."""

    def __init__(self, layer, shape, use, words):
        super().__init__()
        self.shape, self.use, self.words = shape, use, words
        size = torch.Size(shape).numel()
        self.first = None if words else nn.Linear(4, size)
        self.layer, self.head = layer, nn.LazyLinear(2)

    def forward(self, x):
        h = (x.abs() * 3).long() % WORDS if self.words else self.first(x).reshape(-1, *self.shape)
        y = self.use(self.layer, h)
        y = y[0] if isinstance(y, tuple) else y
        return self.head(y.flatten(1).tanh())


CASES = {}


def case(name, make, shape=(), use=lambda layer, h: layer(h), words=False):
    CASES[name] = make, shape, use, words


def one(cls, shape, *args, **options):
    """A layer that takes what the one before it gives, and no more."""
    name = " ".join([cls.__name__, *(f"{k}={v}" for k, v in options.items())])
    assert name not in CASES
    case(name, lambda: cls(*args, **options), shape)


def by_dimension(name, extent, *args, channels=2, **options):
    for dimensions in (1, 2, 3):
        cls = getattr(nn, f"{name}{dimensions}d", None)
        if cls is not None:
            one(cls, (channels, *[extent] * dimensions), *args, **options)


by_dimension("Conv", 5, 2, 3, 3)
by_dimension("Conv", 5, 2, 4, 3, padding=1, stride=2, groups=2, bias=False)
by_dimension("Conv", 5, 2, 2, 2, dilation=2, padding="same", padding_mode="circular")
by_dimension("ConvTranspose", 4, 2, 3, 3, stride=2, output_padding=1)
by_dimension("ConvTranspose", 4, 2, 2, 2, groups=2)
for kind in ("MaxPool", "AvgPool", "AdaptiveAvgPool", "AdaptiveMaxPool"):
    by_dimension(kind, 6, 2)
by_dimension("AdaptiveAvgPool", 6, output_size=1)
by_dimension("LPPool", 6, 2, kernel_size=2)
one(nn.MaxPool2d, (2, 6, 6), 3, stride=1, padding=1, ceil_mode=True)
for kind in ("ReflectionPad", "ReplicationPad", "ZeroPad", "CircularPad"):
    by_dimension(kind, 4, 1)
by_dimension("ConstantPad", 4, 1, 0.5)
by_dimension("BatchNorm", 4, 2, track_running_stats=False)
by_dimension("BatchNorm", 4, 2, track_running_stats=False, affine=False)
by_dimension("InstanceNorm", 4, 2)
by_dimension("InstanceNorm", 4, 2, affine=True)
for dimensions in (1, 2, 3):
    pool, unpool = (getattr(nn, f"{kind}{dimensions}d") for kind in ("MaxPool", "MaxUnpool"))
    case(
        unpool.__name__,
        lambda pool=pool, unpool=unpool: nn.ModuleList([pool(2, return_indices=True), unpool(2)]),
        (2, *[4] * dimensions),
        lambda layers, h: layers[1](*layers[0](h)),
    )
for activation in (
    nn.CELU, nn.ELU, nn.Flatten, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh,
    nn.Identity, nn.LeakyReLU, nn.LogSigmoid, nn.Mish, nn.PReLU, nn.ReLU, nn.ReLU6, nn.SELU,
    nn.SiLU, nn.Sigmoid, nn.Softmax2d, nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh,
    nn.Tanhshrink,
):  # fmt: skip
    one(activation, (4, 3, 3))
for activation in (nn.GLU, nn.LogSoftmax, nn.Softmax, nn.Softmin):
    one(activation, (4, 3), dim=1)
for activation in (nn.ELU, nn.Hardtanh, nn.LeakyReLU, nn.ReLU, nn.SELU, nn.SiLU):
    one(activation, (4,), inplace=True)
one(nn.GELU, (4,), approximate="tanh")
one(nn.PReLU, (4, 3), num_parameters=4)
one(nn.Threshold, (4,), 0.1, 0.2)
one(nn.LayerNorm, (4, 3), (4, 3))
one(nn.LayerNorm, (4, 3), 3, elementwise_affine=False)
one(nn.RMSNorm, (4, 3), 3)
one(nn.GroupNorm, (4, 3, 3), 2, 4)
one(nn.GroupNorm, (4, 3, 3), 2, 4, affine=False)
one(nn.LocalResponseNorm, (4, 3, 3), 2)
one(nn.CrossMapLRN2d, (4, 3, 3), 2)
one(nn.Linear, (4,), 4, 3)
one(nn.Linear, (4, 3), 3, 3, bias=False)
case("Bilinear", lambda: nn.Bilinear(3, 3, 2), (2, 3), lambda layer, h: layer(h[:, 0], h[:, 1]))
for recurrent in (nn.RNN, nn.LSTM, nn.GRU):
    one(recurrent, (4, 3), 3, 2, batch_first=True)
    one(recurrent, (4, 3), 3, 2, batch_first=True, num_layers=2, bidirectional=True)
one(nn.RNN, (4, 3), 3, 2, batch_first=True, nonlinearity="relu")
one(nn.LSTM, (4, 3), 3, 2, batch_first=True, proj_size=1)
for cell in (nn.RNNCell, nn.GRUCell, nn.LSTMCell):
    one(cell, (3,), 3, 2)
one(nn.PixelShuffle, (4, 3, 3), 2)
one(nn.PixelUnshuffle, (2, 4, 4), 2)
one(nn.ChannelShuffle, (4, 3, 3), 2)
for mode in ("nearest", "bilinear", "bicubic"):
    one(nn.Upsample, (2, 3, 3), scale_factor=2, mode=mode)
one(nn.UpsamplingNearest2d, (2, 3, 3), 2)
one(nn.UpsamplingBilinear2d, (2, 3, 3), scale_factor=2)
one(nn.Fold, (8, 4), (4, 4), 2, stride=2)
one(nn.Unfold, (2, 4, 4), 2)
one(nn.Unflatten, (4, 3), 1, (2, 2))
case(
    "CosineSimilarity",
    lambda: nn.CosineSimilarity(dim=2),
    (3, 4),
    lambda layer, h: layer(h, h.roll(1, 1).tanh()),
)
case(
    "PairwiseDistance",
    nn.PairwiseDistance,
    (2, 4),
    lambda layer, h: layer(h[:, 0], h[:, 1])[:, None],
)
case(
    "AdaptiveLogSoftmaxWithLoss",
    lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 6, [2, 4], div_value=2.0),
    (4,),
    lambda layer, h: layer.log_prob(h),
)


def attention(**options):
    return nn.MultiheadAttention(4, 2, batch_first=True, **options)


def encoder(**options):
    return nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True, **options)


def decoder():
    return nn.TransformerDecoderLayer(4, 2, 6, dropout=0.0, batch_first=True)


def two(layer, h):
    return layer(h, h.tanh())


case("MultiheadAttention", attention, (3, 4), lambda layer, h: layer(h, h, h))
case(
    "MultiheadAttention without weights",
    lambda: attention(add_bias_kv=True, add_zero_attn=True, kdim=3, vdim=3),
    (3, 4),
    lambda layer, h: layer(h, h[..., :3], h[..., :3], need_weights=False),
)
case("TransformerEncoderLayer", encoder, (3, 4))
case("TransformerEncoderLayer norm first", lambda: encoder(norm_first=True), (3, 4))
case("TransformerEncoder", lambda: nn.TransformerEncoder(encoder(), 2), (3, 4))
case("TransformerDecoderLayer", decoder, (3, 4), two)
case("TransformerDecoder", lambda: nn.TransformerDecoder(decoder(), 2), (3, 4), two)
case(
    "Transformer",
    lambda: nn.Transformer(4, 2, 1, 1, 6, dropout=0.0, batch_first=True),
    (3, 4),
    two,
)
case(
    "scaled_dot_product_attention",
    nn.Identity,
    (2, 3, 4),
    lambda _, h: F.scaled_dot_product_attention(h, h.tanh(), h.sin(), is_causal=True),
)
case("Embedding", lambda: nn.Embedding(WORDS, 3), words=True)
for padding in (2, -1):
    case(
        f"Embedding padding_idx={padding}",
        lambda padding=padding: nn.Embedding(WORDS, 3, padding_idx=padding),
        words=True,
    )
case("Embedding by frequency", lambda: nn.Embedding(WORDS, 3, scale_grad_by_freq=True), words=True)
for mode in ("sum", "mean", "max"):
    case(
        f"EmbeddingBag {mode}",
        lambda mode=mode: nn.EmbeddingBag(WORDS, 3, mode=mode, padding_idx=2),
        words=True,
    )
case("weight_norm", lambda: parametrizations.weight_norm(nn.Conv2d(2, 3, 3)), (2, 5, 5))
case("orthogonal", lambda: parametrizations.orthogonal(nn.Linear(4, 4)), (4,))
case("ParameterList", lambda: nn.ParameterList([torch.ones(4)]), (4,), lambda own, h: h * own[0])
case("ParameterDict", lambda: nn.ParameterDict({"a": torch.ones(4)}), (4,), lambda a, h: h * a["a"])
case("Sequential", lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh()), (4,))
case(
    "ModuleDict of a layer under two names",
    lambda: nn.ModuleDict(dict.fromkeys("ab", nn.Linear(4, 4))),
    (4,),
    lambda layers, h: layers["b"](layers["a"](h).tanh()),
)

# What torch itself cannot differentiate twice
FIRST_ORDER_ONLY = {"Hardsigmoid", "CrossMapLRN2d", *(n for n in CASES if "EmbeddingBag" in n)}
# What vmap cannot do, so that the tasks are worked on one after the other, which is said
LOOPED = ("CrossMapLRN2d", "RNN ", "LSTM ", "GRU ", "LSTMCell")
REFUSED = {
    "Dropout": (nn.Dropout, (4,)),
    "Dropout1d": (nn.Dropout1d, (2, 4)),
    "Dropout2d": (nn.Dropout2d, (2, 4, 4)),
    "Dropout3d": (nn.Dropout3d, (2, 3, 3, 3)),
    "AlphaDropout": (nn.AlphaDropout, (4,)),
    "FeatureAlphaDropout": (nn.FeatureAlphaDropout, (2, 4)),
    "RReLU": (nn.RReLU, (4,)),
    "FractionalMaxPool2d": (lambda: nn.FractionalMaxPool2d(2, output_size=3), (2, 6, 6)),
    "FractionalMaxPool3d": (lambda: nn.FractionalMaxPool3d(2, output_size=3), (2, 6, 6, 6)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), (4,)),
    "SyncBatchNorm": (lambda: nn.SyncBatchNorm(4, track_running_stats=False), (4,)),
    "spectral_norm": (lambda: parametrizations.spectral_norm(nn.Linear(4, 3)), (4,)),
    "DataParallel": (lambda: nn.DataParallel(nn.Linear(4, 3)), (4,)),
}
NO_LAYERS = {"Module", "Container", "ModuleList", "ModuleDict", "RNNBase", "RNNCellBase"}
SHORT = [
    "Conv2d", "Conv1d padding=1 stride=2 groups=2 bias=False", "ConvTranspose2d groups=2",
    "AdaptiveAvgPool2d output_size=1", "BatchNorm2d track_running_stats=False", "LayerNorm",
    "Bilinear", "Hardsigmoid", "LSTM batch_first=True", "GRUCell",
    "MultiheadAttention without weights", "TransformerEncoderLayer",
    "scaled_dot_product_attention", "Embedding padding_idx=2", "Embedding padding_idx=-1",
    "EmbeddingBag mean", "weight_norm", "ModuleDict of a layer under two names",
]  # fmt: skip


def made(name, adapts=None):
    make, shape, use, words = CASES[name]
    torch.manual_seed(1)
    net = Net(make(), shape, use, words)
    if adapts is not None:
        net.adapts = adapts
    net(torch.randn(2, 4))  # LazyLinear
    with torch.no_grad():  # so that nothing is left at one or zero
        for p in net.parameters():
            p += 0.1 * torch.randn_like(p)
    return net


def episode():
    drawn = torch.Generator().manual_seed(2)
    x, y = (torch.randn(2, 3, 5, n, generator=drawn) for n in (4, 2))
    return Episode(x[0], y[0], x[1], y[1], index=torch.arange(3))


def learner(net, engine, order, plain_loop):
    model = MAML(
        model=copy.deepcopy(net),
        order=order,
        engine=engine,
        inner_lr=plain_loop.rate,
        inner_steps=plain_loop.steps,
        spec=TaskSpec("regression", (4,), 2),
    )
    model.configure_model()
    return model


def far(found, wanted):
    return (found - wanted).norm() > 1e-10 * wanted.norm()


def check(name, engine, order, plain_loop, adapts=None):
    net, tasks = made(name, adapts), episode()
    model = learner(net, engine, order, plain_loop)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if order == 2 and name in FIRST_ORDER_ONLY and adapts != ("head",):
            with pytest.raises(BenchError, match="second derivative.*order=1"):
                model.backward(model.meta_step(tasks))
            return
        loss = model.meta_step(tasks)
        model.backward(loss)
        model.eval()
        predictions = model.evaluate(tasks)
    about_us = [str(w.message) for w in said if "deprecated" not in str(w.message)]
    looped = engine != "loop" and name.startswith(LOOPED)
    assert [("cannot be vectorised" in words) for words in about_us] == [True] * looped, about_us
    gradient = torch.cat([p.grad.flatten() for p in model.net.parameters()])
    wanted_loss, wanted = plain_loop.loss(net, tasks, order)
    assert not far(loss.detach(), wanted_loss)
    assert not far(gradient, wanted)
    assert not far(predictions, plain_loop.predictions(copy.deepcopy(net).eval(), tasks))


def test_every_layer_of_torch_is_here():
    classes = {n for n, c in vars(nn).items() if isinstance(c, type) and issubclass(c, nn.Module)}
    losses = {n for n in classes if "Loss" in n}
    lazy = {n for n in classes if n.startswith("Lazy")}
    covered = {name.split()[0] for name in CASES} | {*REFUSED} | NO_LAYERS
    assert classes - losses - lazy - covered == set()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("engine", ["loop", "batched"])
@pytest.mark.parametrize("name", SHORT)
def test_as_a_plain_loop(name, engine, order, plain_loop):
    check(name, engine, order, plain_loop)


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("engine", ["loop", "batched", "recorded"])
@pytest.mark.parametrize("name", CASES)
def test_every_layer_as_a_plain_loop(name, engine, order, plain_loop):
    check(name, engine, order, plain_loop)
    if engine != "recorded":  # then some weights differ between tasks, and some do not
        check(name, engine, order, plain_loop, adapts=("head",))
        if any(True for _ in made(name).layer.parameters()):
            check(name, engine, order, plain_loop, adapts=("layer",))


@pytest.mark.slow
@pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler"
)
@pytest.mark.parametrize(
    "name",
    [
        "Embedding padding_idx=2",
        "ModuleDict of a layer under two names",
        "scaled_dot_product_attention",
        "LayerNorm",
    ],
)
def test_compiled(name, plain_loop):
    """Compiling takes most of the time of these tests: the order that has more to compile."""
    check(name, "compiled", 2, plain_loop)


@pytest.mark.filterwarnings("ignore:.*cannot be vectorised")
@pytest.mark.parametrize("engine", ["loop", "batched"])
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, engine, plain_loop):
    make, shape = REFUSED[name]
    net = Net(make(), shape, lambda layer, h: layer(h), False)
    net(torch.randn(2, 4))
    with pytest.raises(BenchError):
        learner(net, engine, 1, plain_loop).meta_step(episode())


LAZY = sorted(n for n in vars(nn) if n.startswith("Lazy"))


@pytest.mark.parametrize("name", LAZY)
def test_without_weights_yet(name, plain_loop):
    arguments = (3,) if "Linear" in name else (3, 3) if "Conv" in name else ()
    net = nn.Sequential(getattr(nn, name)(*arguments), nn.Linear(3, 2))
    with pytest.raises(BenchError, match="call the network once"):
        MAML(model=net, spec=TaskSpec("regression", (4,), 2)).configure_model()
