"""Every gradient of the suite against one written out by hand, in float64.

The reference below knows nothing of the suite: one task after the other, one step after the
other, ``torch.autograd.grad`` on each.
"""

import math
import weakref

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from bench.algorithms.item_mean import ItemMean
from bench.algorithms.maml import MAML
from bench.algorithms.no_adaptation import NoAdaptation
from bench.algorithms.random_init import RandomInit
from bench.base import registry
from bench.base.errors import BenchError
from bench.learning.batch_norm import SupportBatchNorm
from bench.learning.gradient_based import GradientBased
from bench.learning.networks import build_model
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.questions import ITEM

TASKS, SUPPORT, QUERY, STEPS, RATE = 3, 6, 5, 3, 0.1


pytestmark = pytest.mark.usefixtures("double")


# The reference ------------------------------------------------------------------------------


def reference_loss(kind, outputs, y, w=None):
    """Mean loss of one task."""
    if kind == "classification":
        rows = -outputs.log_softmax(-1)[torch.arange(len(y)), y]
    elif kind == "answers":
        p = outputs[:, 0].sigmoid()
        rows = -(y * p.log() + (1 - y) * (1 - p).log())
    else:
        rows = ((outputs - y) ** 2).mean(-1)
    return rows.mean() if w is None else (rows * w).sum() / w.sum()


def plain_forward(net, parameters, support_x, query_x=None):
    """Outputs of the rows asked for; each set is normalised by itself."""
    return functional_call(net, parameters, (support_x if query_x is None else query_x,))


def reference(net, kind, episode, order, steps=STEPS, forward=plain_forward, frozen=None):
    """Mean meta-objective and its gradient; every inner gradient is appended to ``frozen``."""
    theta = {n: p for n, p in net.named_parameters() if p.requires_grad}
    adapts = getattr(net, "adapts", theta)
    losses = []
    for t in range(len(episode.support_x)):
        sx, sy, qx, qy, sw, qw = (None if v is None else v[t] for v in episode[:6])
        phi = {n: p for n, p in theta.items() if n in adapts}
        for _ in range(steps):
            loss = reference_loss(kind, forward(net, phi, sx), sy, sw)
            gradients = torch.autograd.grad(
                loss, list(phi.values()), create_graph=True, allow_unused=True
            )
            if order == 1:
                gradients = [None if g is None else g.detach() for g in gradients]
            if frozen is not None:
                frozen.append((t, gradients))
            phi = {n: v if g is None else v - RATE * g for (n, v), g in zip(phi.items(), gradients)}
        losses.append(reference_loss(kind, forward(net, phi, sx, qx), qy, qw))
    loss = torch.stack(losses).mean()
    return loss, torch.autograd.grad(loss, list(theta.values()), allow_unused=True)


def flat(gradients, like):
    return torch.cat(
        [(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(gradients, like)]
    )


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


# The cases ----------------------------------------------------------------------------------


def user_net(norm, outputs, channels=3):
    """A smooth network such as a user may bring, on images of 6x6."""
    norms = {
        "batch": lambda: nn.BatchNorm2d(channels, track_running_stats=False),
        "layer": lambda: nn.LayerNorm([channels, 6, 6]),
        "instance": lambda: nn.InstanceNorm2d(channels, affine=True),
        "group": lambda: nn.GroupNorm(1, channels),
    }
    return nn.Sequential(
        nn.Conv2d(2, channels, 3, padding=1),
        norms[norm](),
        nn.Tanh(),
        nn.Conv2d(channels, channels, 3, padding=1),
        norms[norm](),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(channels * 36, outputs),
    )


IMAGES = TaskSpec("classification", (1, 8, 8), 3)
STUDENTS = TaskSpec("answers", (4,), 1, items=9, skills=1)
MODELS = {
    "conv4-stride": (IMAGES, "conv4", {"filters": 4, "downsample": "stride"}),
    "conv4-max-pool": (
        IMAGES._replace(input_shape=(2, 17, 16)),
        "conv4",
        {"filters": 3, "downsample": "max_pool"},
    ),
    "resnet12": (
        IMAGES._replace(input_shape=(2, 16, 17)),
        "resnet12",
        {"widths": (2, 3, 3, 4)},
    ),
    "mlp-vectors": (TaskSpec("classification", (4,), 3), "mlp", {"hidden": (7, 5)}),
    "mlp-regression": (TaskSpec("regression", (1,), 2), "mlp", {"hidden": (8,)}),
    "mlp-items": (STUDENTS, "mlp", {"hidden": (6,), "embedding": 4}),
    "irt": (STUDENTS, "irt", {"dimensions": 2, "growth": True}),
    "bayesian-irt": (STUDENTS, "bayesian_irt", {"dimensions": 2, "growth": True}),
    "bayesian-mlp": (STUDENTS, "bayesian_mlp", {"hidden": (6,), "embedding": 4}),
    "film-images": (IMAGES, "film", {"filters": 4, "context": 3}),
    "film-vectors": (TaskSpec("regression", (1,), 2), "film", {"hidden": (8,)}),
}
OUTPUTS = {"classification": 3, "answers": 1, "regression": 2}
SMOOTH = [f"{norm}-{kind}" for norm in ("batch", "layer", "instance", "group") for kind in OUTPUTS]


def case(name):
    """Spec and network."""
    torch.manual_seed(1)
    if name in MODELS:
        spec, model, options = MODELS[name]
        net = build_model(model, spec, options)
    else:
        norm, kind = name.split("-")
        spec = TaskSpec(kind, (2, 6, 6), OUTPUTS[kind])
        net = user_net(norm, spec.outputs)
    with torch.no_grad():  # affine parameters of norms are not left at one and zero
        for p in net.parameters():
            p += 0.1 * torch.randn_like(p)
    return spec, net


def questions(spec, tasks, rows):
    """Item, position, a skill or not, and an estimate of difficulty."""
    item, skill = (torch.randint(n, (tasks, rows)).double() for n in (spec.items, 2))
    position = torch.rand(tasks, rows).argsort(1).double()
    return torch.stack([item, position, skill, torch.randn(tasks, rows)], -1)


def draw(spec, tasks=TASKS, weights=False):
    """A batch of random tasks."""
    torch.manual_seed(2)

    def part(rows):
        if spec.items:
            x = questions(spec, tasks, rows)
        else:
            x = torch.randn(tasks, rows, *spec.input_shape)
        if spec.kind == "regression":
            return x, torch.randn(tasks, rows, spec.outputs)
        y = torch.randint(max(spec.outputs, 2), (tasks, rows))
        return x, y if spec.kind == "classification" else y.double()

    def weight(rows):  # the first row of every task counts
        return torch.cat([torch.ones(tasks, 1), torch.randint(2, (tasks, rows - 1)).double()], 1)

    w = (weight(SUPPORT), weight(QUERY)) if weights else (None, None)
    return Episode(*part(SUPPORT), *part(QUERY), *w, index=torch.arange(tasks))


def learner(spec, net, order=2, cls=MAML, **options):
    options = {"inner_steps": STEPS, "inner_lr": RATE, "order": order} | options
    if not issubclass(cls, GradientBased):
        options = {}
    model = cls(model=net, spec=spec, **options)
    model.configure_model()
    return model


def ours(model, episode):
    loss = model.loss(episode).mean()
    parameters = [p for p in model.net.parameters() if p.requires_grad]
    return loss, torch.autograd.grad(loss, parameters, allow_unused=True)


def test_every_model_is_covered():
    assert {model for _, model, _ in MODELS.values()} == set(registry.names("models")) - {
        "torchvision"
    }


# Meta-gradients -----------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", [*MODELS, *SMOOTH])
def test_meta_gradient_equals_a_plain_loop(name, order):
    spec, net = case(name)
    episode = draw(spec)
    loss, gradients = ours(learner(spec, net, order), episode)
    wanted_loss, wanted = reference(net, spec.kind, episode, order)
    parameters = list(net.parameters())
    assert loss.item() == pytest.approx(wanted_loss.item(), rel=1e-12)
    assert relative(flat(gradients, parameters), flat(wanted, parameters)) < 1e-10


@pytest.mark.parametrize("name", [*MODELS, *SMOOTH])
def test_orders_differ(name):
    spec, net = case(name)
    parameters = list(net.parameters())
    first, second = (flat(ours(learner(spec, net, k), draw(spec))[1], parameters) for k in (1, 2))
    assert relative(first, second) > 1e-3


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", [*SMOOTH, "irt"])
def test_meta_gradient_equals_finite_differences(name, order):
    spec, net = case(name)
    episode = draw(spec)
    parameters = list(net.parameters())
    model = learner(spec, net, order)
    gradient = flat(ours(model, episode)[1], parameters)
    frozen = []
    reference(net, spec.kind, episode, order, frozen=frozen)

    def value():
        """The meta-objective; of order 1, with the inner gradients as they were."""
        if order == 2:
            return model.loss(episode).mean().item()
        losses = []
        for t in range(TASKS):
            named = {n: p for n, p in net.named_parameters() if n in getattr(net, "adapts", [n])}
            phi = {n: p.detach().clone() for n, p in named.items()}
            for task, gradients in frozen:
                if task == t:
                    phi = {n: v - RATE * g for (n, v), g in zip(phi.items(), gradients)}
            outputs = plain_forward(net, phi, episode.query_x[t])
            losses.append(reference_loss(spec.kind, outputs, episode.query_y[t]))
        return torch.stack(losses).mean().item()

    for _ in range(3):
        direction = [torch.randn_like(p) for p in parameters]
        values = []
        for size in (1e-5, -2e-5):
            with torch.no_grad():
                for p, d in zip(parameters, direction):
                    p += size * d
            values.append(value())
        with torch.no_grad():
            for p, d in zip(parameters, direction):
                p += 1e-5 * d
        difference = (values[0] - values[1]) / 2e-5
        along = (gradient @ flat(direction, parameters)).item()
        assert difference == pytest.approx(along, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_closed_form_of_linear_regression(order, steps):
    # support loss |Xw - y|^2 / S has the gradient Aw - b, so w_K is linear in w: its Jacobian is
    # (1 - rate A)^K for order 2 and the identity for order 1
    torch.manual_seed(0)
    spec = TaskSpec("regression", (4,), 1)
    net = nn.Linear(4, 1, bias=False)
    episode = draw(spec)
    gradient = ours(learner(spec, net, order, inner_steps=steps), episode)[1][0][0]
    wanted = torch.zeros(4)
    for t in range(TASKS):
        x, y = episode.support_x[t], episode.support_y[t][:, 0]
        a, b = 2 * x.T @ x / SUPPORT, 2 * x.T @ y / SUPPORT
        w = net.weight.detach()[0]
        for _ in range(steps):
            w = w - RATE * (a @ w - b)
        x, y = episode.query_x[t], episode.query_y[t][:, 0]
        outer = 2 * x.T @ (x @ w - y) / QUERY
        jacobian = torch.eye(4) - RATE * a if order == 2 else torch.eye(4)
        wanted += torch.linalg.matrix_power(jacobian, steps).T @ outer / TASKS
    torch.testing.assert_close(gradient, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "name", ["conv4-max-pool", "resnet12", "mlp-items", "irt", "batch-classification"]
)
def test_loop_over_tasks_equals_the_vectorised_forward(name, order):
    spec, net = case(name)
    episode, parameters = draw(spec), list(net.parameters())
    model = learner(spec, net, order)
    vectorised = flat(ours(model, episode)[1], parameters)
    assert model.forward_tasks.vectorised
    model.forward_tasks.vectorised = False
    assert relative(flat(ours(model, episode)[1], parameters), vectorised) < 1e-12


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", ["mlp-items", "irt", "mlp-regression", "group-classification"])
def test_weighted_rows(name, order):
    spec, net = case(name)
    episode, parameters = draw(spec, weights=True), list(net.parameters())
    model = learner(spec, net, order)
    gradient = flat(ours(model, episode)[1], parameters)
    wanted = flat(reference(net, spec.kind, episode, order)[1], parameters)
    assert relative(gradient, wanted) < 1e-10

    def scrambled(x, w):  # other contents where the weight is zero
        shape = (*w.shape, *[1] * (x.dim() - 2))
        return torch.where(w.view(shape) > 0, x, x.flip(0).roll(1, 1))

    other = episode._replace(
        support_x=scrambled(episode.support_x, episode.support_w),
        support_y=scrambled(episode.support_y, episode.support_w),
        query_x=scrambled(episode.query_x, episode.query_w),
        query_y=scrambled(episode.query_y, episode.query_w),
    )
    assert relative(flat(ours(model, other)[1], parameters), gradient) < 1e-12


@pytest.mark.parametrize("mode", ["transductive", "support"])
def test_padding_and_batch_norm_do_not_mix(mode):
    spec, net = case("batch-classification")
    with pytest.raises(BenchError, match="padding"):
        learner(spec, net, batch_norm=mode).loss(draw(spec, weights=True))


# Batch norm by the support rows -------------------------------------------------------------


def support_forward(net, parameters, support_x, query_x=None):
    """A network in a row, batch norm by the mean and variance of the support rows."""
    rows = len(support_x)
    x = support_x if query_x is None else torch.cat([support_x, query_x])
    for name, layer in net.named_modules():
        own = {n.split(".")[-1]: p for n, p in parameters.items() if n.rpartition(".")[0] == name}
        if isinstance(layer, nn.BatchNorm2d | SupportBatchNorm):
            mean = x[:rows].mean((0, 2, 3), keepdim=True)
            variance = ((x[:rows] - mean) ** 2).mean((0, 2, 3), keepdim=True)
            weight, bias = (own[n][:, None, None] for n in ("weight", "bias"))
            x = weight * (x - mean) / (variance + layer.eps).sqrt() + bias
        elif not list(layer.children()):
            x = functional_call(layer, own, (x,))
    return x if query_x is None else x[rows:]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", ["conv4-stride", "conv4-max-pool", "batch-regression"])
def test_support_mode_equals_a_plain_loop(name, order):
    spec, net = case(name)
    episode, parameters = draw(spec), list(net.parameters())
    wanted_loss, wanted = reference(net, spec.kind, episode, order, forward=support_forward)
    loss, gradients = ours(learner(spec, net, order, batch_norm="support"), episode)
    assert loss.item() == pytest.approx(wanted_loss.item(), rel=1e-12)
    assert relative(flat(gradients, parameters), flat(wanted, parameters)) < 1e-10


@pytest.mark.parametrize("mode", ["transductive", "support"])
def test_only_transductive_predictions_depend_on_other_queries(mode):
    spec, net = case("conv4-stride")
    episode = draw(spec)
    model = learner(spec, net, batch_norm=mode)
    other = episode.query_x.clone()
    other[:, 1:] += 1
    before, after = (model.predict(e)[:, :, 0] for e in (episode, episode._replace(query_x=other)))
    if mode == "support":
        torch.testing.assert_close(before, after, rtol=1e-12, atol=1e-12)
    else:
        assert (before - after).abs().min(-1).values.max() > 1e-3


def test_support_mode_is_native_batch_norm_where_query_is_support():
    spec, net = case("conv4-stride")
    episode = draw(spec)
    episode = episode._replace(query_x=episode.support_x, query_y=episode.support_y)
    native = learner(spec, net).predict(episode)
    support = learner(spec, net, batch_norm="support").predict(episode)
    torch.testing.assert_close(support, native, rtol=1e-9, atol=1e-9)


def test_a_batch_norm_layer_under_two_names_is_converted_in_both():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = self.second = nn.BatchNorm1d(4, track_running_stats=False)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.second(torch.tanh(self.first(x))))

    spec = TaskSpec("classification", (4,), 3)
    model = learner(spec, Net(), batch_norm="support")
    episode = draw(spec)
    other = episode.query_x.clone()
    other[:, 1:] += 1
    before, after = (model.predict(e)[:, :, 0] for e in (episode, episode._replace(query_x=other)))
    torch.testing.assert_close(before, after)


def test_support_mode_refuses_rows_folded_into_others():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(2, track_running_stats=False)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.norm(x.reshape(-1, 2)).reshape(-1, 4))

    spec = TaskSpec("classification", (4,), 3)
    with pytest.raises(BenchError, match="one row per example"):
        learner(spec, Net(), batch_norm="support").loss(draw(spec))


# What must not be simplified ----------------------------------------------------------------


def test_vmap_over_grad_is_wrong_where_this_suite_is_right():
    # Vectorising a function that calls torch.func.grad is shorter, and silently wrong through
    # native batch norm (pytorch/functorch#534).
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(144, 3),
    )
    x, y = torch.randn(2, 6, 1, 8, 8), torch.arange(3).repeat(2).expand(2, -1)
    theta = dict(net.named_parameters())

    def outer(x, y):
        g = grad(lambda p: F.cross_entropy(functional_call(net, p, (x,)), y))(theta)
        adapted = {k: theta[k] - RATE * g[k] for k in g}
        return F.cross_entropy(functional_call(net, adapted, (x.flip(-1),)), y)

    def meta_gradient(loss):
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(theta.values()))])

    spec, episode = TaskSpec("classification", (1, 8, 8), 3), Episode(x, y, x.flip(-1), y)
    right = flat(reference(net, spec.kind, episode, 2, steps=1)[1], list(net.parameters()))
    gradient = meta_gradient(learner(spec, net, inner_steps=1).loss(episode).mean())
    assert (gradient - right).abs().max() < 1e-15
    wrong = meta_gradient(vmap(outer)(x, y).mean())
    if (wrong - right).abs().max() < 1e-12:
        pytest.skip("this torch no longer has the fault")
    assert (wrong - right).abs().max() > 1e-5


def graph_bytes(model, episode):
    """Bytes that the graph of the meta-objective keeps alive for its backward pass."""

    class Saved:
        def __init__(self, tensor):
            self.tensor = tensor

    alive = weakref.WeakSet()

    def pack(tensor):
        saved = Saved(tensor)
        alive.add(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
        loss = model.loss(episode).mean()
    assert loss.requires_grad
    return sum(s.tensor.nbytes for s in alive)


@pytest.mark.parametrize("name", ["conv4-stride", "mlp-items"])
def test_only_order_2_keeps_a_graph_of_the_inner_steps(name):
    spec, net = case(name)
    first, second = (
        [graph_bytes(learner(spec, net, k, inner_steps=n), draw(spec)) for n in (0, 1, 6)]
        for k in (1, 2)
    )
    assert first[0] == first[1] == first[2] > 0
    assert second[2] > second[1] + 3 * (second[1] - second[0]) > second[0]


def test_evaluation_keeps_no_graph():
    spec, net = case("conv4-stride")
    assert not learner(spec, net).predict(draw(spec)).requires_grad


# The floors ---------------------------------------------------------------------------------


def test_random_init_has_a_zero_gradient_and_adapts_as_maml():
    spec, net = case("mlp-items")
    episode = draw(spec)
    model = learner(spec, net, cls=RandomInit)
    gradients = torch.autograd.grad(model.meta_step(episode), list(model.parameters()))
    assert all((g == 0).all() for g in gradients)
    assert torch.equal(model.predict(episode), learner(spec, net).predict(episode))


@pytest.mark.parametrize("name", ["conv4-stride", "mlp-items", "irt", "batch-regression"])
def test_no_adaptation_is_joint_training_on_the_query(name):
    spec, net = case(name)
    episode, parameters = draw(spec), list(net.parameters())
    loss, gradients = ours(learner(spec, net, cls=NoAdaptation), episode)
    wanted_loss, wanted = reference(net, spec.kind, episode, 2, steps=0)
    assert loss.item() == pytest.approx(wanted_loss.item(), rel=1e-12)
    assert relative(flat(gradients, parameters), flat(wanted, parameters)) < 1e-10


@pytest.mark.parametrize("weights", [False, True])
def test_item_mean_converges_to_the_item_means(weights):
    spec, _ = case("mlp-items")
    torch.manual_seed(0)
    episode = draw(spec, tasks=40, weights=weights)
    model = ItemMean(spec=spec)
    model.configure_model()
    optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = model.loss(episode).mean()
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    items = torch.cat([episode.support_x, episode.query_x], 1)[..., ITEM].flatten()
    answers = torch.cat([episode.support_y, episode.query_y], 1).flatten()
    w = torch.ones_like(answers)
    if weights:
        w = torch.cat([episode.support_w, episode.query_w], 1).flatten()
    for item in range(spec.items):
        here = items == item
        mean = (answers * w)[here].sum() / w[here].sum()
        odds = model.predict(episode._replace(query_x=torch.tensor([[[item, 0.0, 0.0, 0.0]]])))
        assert odds.shape == (1, 1, 1, 1)
        assert odds.sigmoid().item() == pytest.approx(mean.item(), abs=1e-4)


def test_item_mean_gradient_is_answers_minus_expected():
    spec, _ = case("mlp-items")
    episode = draw(spec, tasks=1)
    model = ItemMean(spec=spec)
    model.configure_model()
    gradient = torch.autograd.grad(model.loss(episode).mean(), model.net.log_odds)[0][:, 0]
    wanted = torch.zeros(spec.items)
    for item, answer in zip(
        torch.cat([episode.support_x, episode.query_x], 1)[0, :, ITEM].long(),
        [*episode.support_y[0], *episode.query_y[0]],
    ):
        wanted[item] += 0.5 - answer
    torch.testing.assert_close(gradient, wanted)
    assert model.loss(episode).item() == pytest.approx((SUPPORT + QUERY) * math.log(2))
