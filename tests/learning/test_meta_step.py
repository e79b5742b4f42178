"""Every engine gives the meta-gradient of the plain loop, for every model and algorithm."""

import shutil

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.algorithms.cavia import CAVIA
from bench.algorithms.maml import MAML
from bench.algorithms.reptile import Reptile
from bench.base import registry
from bench.base.errors import BenchError
from bench.learning import meta_step
from bench.learning.embedding_learner import EmbeddingLearner
from bench.learning.meta_step import split
from bench.learning.student_learner import StudentLearner
from bench.tasks import kinds
from bench.tasks.episode import Episode, TaskSpec

TASKS, CLASSES = 5, 7
SPECS = {
    "images": TaskSpec("classification", (2, 16, 16), 3),
    "vectors": TaskSpec("regression", (4,), 2),
    "items": TaskSpec("answers", (4,), 1, items=7, skills=2),
}
MODELS = {
    "conv4": ("images", "conv4", {"filters": 3}),
    "conv4-pool": ("images", "conv4", {"filters": 3, "downsample": "max_pool"}),
    "conv4-widths": ("images", "conv4", {"filters": [2, 3, 3, 4]}),
    "resnet12": ("images", "resnet12", {"widths": [2, 3, 3, 4]}),
    "mlp-images": ("images", "mlp", {"hidden": [6]}),
    "mlp-vectors": ("vectors", "mlp", {"hidden": [6, 5]}),
    "mlp-items": ("items", "mlp", {"hidden": [6], "embedding": 4}),
    "irt": ("items", "irt", {"dimensions": 3, "growth": True}),
    "bayesian_irt": ("items", "bayesian_irt", {"dimensions": 3, "growth": True}),
    "bayesian_mlp": ("items", "bayesian_mlp", {"hidden": [6], "embedding": 4}),
    "film": ("images", "film", {"filters": 3, "context": 4}),
    "students": ("items", None, None),  # of methods with a network of their own
}


pytestmark = pytest.mark.usefixtures("double")


def draw(kind):
    spec, made = SPECS[kind], torch.Generator().manual_seed(3)

    def x(rows):
        if spec.items:
            item = torch.randint(spec.items, (TASKS, rows), generator=made)
            position = torch.rand(TASKS, rows, generator=made).argsort(1)
            skills = torch.randint(2, (TASKS, rows, spec.skills), generator=made)
            return torch.cat([item[..., None], position[..., None], skills], -1).double()
        return torch.randn(TASKS, rows, *spec.input_shape, generator=made)

    def y(rows):
        if spec.kind == "regression":
            return torch.randn(TASKS, rows, spec.outputs, generator=made)
        top = spec.outputs if spec.kind == "classification" else 2
        return torch.randint(top, (TASKS, rows), generator=made)

    episode = Episode(x(6), y(6), x(4), y(4), index=torch.arange(TASKS))
    classes = torch.randint(CLASSES, (TASKS, spec.outputs), generator=made)
    return episode._replace(class_numbers=classes) if spec.classifies else episode


def learner(name, algorithm="maml", **options):
    kind, model, model_options = MODELS[name]
    own = registry.arguments("algorithms", algorithm, {})
    options = {k: v for k, v in options.items() if k in own}
    if "inner_steps" in own:
        options.setdefault("inner_steps", 2)
    if "training_classes" in own:
        options["training_classes"] = CLASSES
    made = registry.create(
        "algorithms", algorithm, spec=SPECS[kind], model=model, model_options=model_options,
        **options,
    )  # fmt: skip
    made.configure_model()
    made.double()
    with torch.no_grad():  # so that batch norm's weight and bias are seen to adapt
        noise = torch.Generator().manual_seed(1)
        for p in made.parameters():
            p += 0.1 * torch.randn(p.shape, generator=noise)
    return made


def gradient(learner, episode):
    loss = learner.meta_step(episode)
    loss.backward()
    flat = [
        (torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in learner.parameters()
    ]
    return torch.cat([loss.detach()[None], *flat])


def check(name, algorithm, options, tolerance=1e-10, recorded=True):
    episode = draw(MODELS[name][0])
    plain = gradient(learner(name, algorithm, **options, engine="loop"), episode)
    others = [
        ("batched", False, 2**40, 1),
        ("batched", True, 2**40, 1),
        ("batched", False, 1, 1),
    ]
    cls = registry.load("algorithms", algorithm)
    if recorded and (vars(cls).get("recordable", False) or not cls.trains):
        others += [("recorded", False, 2**40, 1), ("batched", False, 1, 2)]  # shared out
    for engine, recompute, part, threads in others:
        meta_step.PART_BYTES = part
        torch.set_num_threads(threads)
        made = learner(name, algorithm, **options, engine=engine, recompute=recompute)
        found = gradient(made, episode)
        case = engine, recompute, part, threads
        assert (found - plain).norm() <= tolerance * plain.norm(), case
        made.meta_step.close()


@pytest.fixture(autouse=True)
def _parts_and_threads(monkeypatch):
    monkeypatch.setattr(meta_step, "PART_BYTES", meta_step.PART_BYTES)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("batch_norm", ["transductive", "support"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "resnet12" else [])
        for name, (_, model, _) in MODELS.items()
        if model
    ],
)
def test_every_model(name, order, batch_norm):
    recorded = (order, batch_norm) != (1, "support")  # which takes seconds, and has no part alone
    check(name, "maml", {"order": order, "batch_norm": batch_norm}, recorded=recorded)


@pytest.mark.parametrize("algorithm", sorted(registry.names("algorithms")))
def test_every_algorithm(algorithm):
    cls = registry.load("algorithms", algorithm)
    if issubclass(cls, StudentLearner):
        check("students", algorithm, {})
        return
    items = "mlp-items" if issubclass(cls, EmbeddingLearner) else "irt"
    names = ("film", "irt") if issubclass(cls, CAVIA) else ("conv4", "mlp-vectors", items)
    fitting = [name for name in names if fits(name, algorithm)]
    assert fitting
    # Adam within a task divides the gradient of biases before batch norm, rounding, by its size
    tolerance = 1e-7 if issubclass(cls, Reptile) else 1e-10
    for name in fitting:  # recording many layers takes seconds
        check(name, algorithm, {}, tolerance, recorded=name != "conv4" or len(fitting) == 1)


@pytest.mark.parametrize("algorithm", ["bkt", "dkt", "logitdec", "skill_running_mean"])
def test_recorded_in_single_precision(algorithm):
    """Where torch takes other kernels: LSTM has one of oneDNN."""
    torch.set_default_dtype(torch.float32)
    episode = draw("items")
    episode = episode._replace(**{n: getattr(episode, n).float() for n in ("support_x", "query_x")})
    plain, recorded = (
        gradient(learner("students", algorithm, engine=engine).float(), episode)
        for engine in ("loop", "recorded")
    )
    assert (recorded - plain).norm() <= 1e-5 * plain.norm()


def fits(name, algorithm):
    """Whether an algorithm is for such tasks, and takes the model."""
    if not kinds.fits(algorithm, SPECS[MODELS[name][0]].kind):
        return False
    try:
        learner(name, algorithm)
    except BenchError as error:
        if "needs a network with" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("inner_loss", ["sum", "shrunk"])
@pytest.mark.parametrize("order", [1, 2])
def test_inner_loss_that_depends_on_the_number_of_rows(order, inner_loss):
    for name in ("mlp-vectors", "irt"):
        check(name, "maml", {"order": order, "inner_loss": inner_loss})


@pytest.mark.parametrize("algorithm", ["bilevel_irt", "first_order_bilevel_irt"])
def test_steps_scaled_by_the_curvature(algorithm):
    check("bayesian_irt", algorithm, {})


def test_a_shrunk_loss_is_the_mean_with_four_rows_that_are_always_right():
    made = {n: learner("irt", inner_loss=n, engine="loop") for n in ("mean", "shrunk")}
    episode = draw("items")
    fast = {n: v.clone() for n, v in made["mean"].start(episode).items()}
    mean, shrunk = (made[n].support_loss(fast, episode, 0) for n in ("mean", "shrunk"))
    torch.testing.assert_close(shrunk, mean * 6 / (6 + 4))


def test_models_and_algorithms_are_all_covered():
    assert {m for _, m, _ in MODELS.values() if m} == set(registry.names("models")) - {
        "torchvision"
    }


compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler"
)


@compiler
@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", ["mlp-items", "mlp-vectors", "irt"])
def test_compiled(name, order):
    episode = draw(MODELS[name][0])
    made = learner(name, order=order, engine="compiled")
    plain = gradient(learner(name, order=order, engine="loop"), episode)
    assert (gradient(made, episode) - plain).norm() <= 1e-10 * plain.norm()
    with torch.no_grad():  # what was compiled sees the parameters as they are now
        moved = learner(name, order=order, engine="loop")
        for p, q in zip(made.parameters(), moved.parameters()):
            p.grad = None
            p *= 1.5
            q *= 1.5
    plain = gradient(moved, episode)
    assert (gradient(made, episode) - plain).norm() <= 1e-10 * plain.norm()


@compiler
@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["bkt", "dkt", "skill_running_mean", "two_pl"])
def test_compiled_students(algorithm):
    episode = draw("items")
    made, plain = (learner("students", algorithm, engine=e) for e in ("compiled", "loop"))
    wanted = gradient(plain, episode)
    assert (gradient(made, episode) - wanted).norm() <= 1e-10 * wanted.norm()


@compiler
@pytest.mark.slow
def test_compiled_images():
    episode = draw("images")
    net = nn.Sequential(
        nn.Conv2d(2, 2, 3, stride=4),
        nn.BatchNorm2d(2, track_running_stats=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 3),
    )

    def made(engine):
        return registry.create("algorithms", "maml", spec=SPECS["images"], model=net, engine=engine)

    found = []
    for engine in ("loop", "compiled"):
        one = made(engine)
        one.configure_model()
        one.zero_grad()
        found.append(gradient(one.double(), episode))
    assert (found[1] - found[0]).norm() <= 1e-10 * found[0].norm()


def test_without_a_compiler(monkeypatch):
    from torch._inductor import cpp_builder

    def none():
        raise RuntimeError("no compiler")

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    with pytest.raises(BenchError, match="needs a C\\+\\+ compiler"):
        learner("mlp-vectors", engine="compiled").meta_step(draw("vectors"))


def test_where_compiling_fails_a_long_run_goes_on_without(monkeypatch):
    def fails(graph, **options):
        def compiled(*given):
            raise RuntimeError("no such header\nand much more")

        return compiled

    monkeypatch.setattr(torch, "compile", fails)
    episode = draw("vectors")
    with pytest.raises(BenchError, match=r"cannot be compiled \(no such header\); use engine="):
        learner("mlp-vectors", engine="compiled").meta_step(episode)
    made = learner("mlp-vectors")
    made.meta_step.iterations = 10**6
    with pytest.warns(UserWarning, match="going on without recording the step: .*such header"):
        found = gradient(made, episode)
    plain = gradient(learner("mlp-vectors", engine="loop"), episode)
    assert (found - plain).norm() <= 1e-10 * plain.norm()


@pytest.mark.filterwarnings("ignore:.*cannot be vectorised")
def test_a_step_that_cannot_be_recorded():
    class Deciding(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(x) * float(x.sum())

    made = registry.create(
        "algorithms", "maml", spec=SPECS["vectors"], model=Deciding(), engine="compiled"
    )
    made.configure_model()
    with pytest.raises(BenchError, match="cannot be recorded"):
        made.double().meta_step(draw("vectors"))


def test_parts_are_even_and_keep_their_numbers():
    episode = draw("vectors")
    found = split(episode, 2)
    assert [len(p.query_y) for p in found] == [2, 2, 1]
    assert torch.cat([p.index for p in found]).tolist() == list(range(TASKS))
    assert found[0].support_w is None


def test_unknown_engine():
    with pytest.raises(BenchError, match="batched"):
        registry.create("algorithms", "maml", engine="bached")


def test_auto_chooses_by_network_and_length():
    for name, iterations, chosen in (
        ("mlp-vectors", 100, "batched"),
        ("mlp-vectors", 5_000, "recorded"),
        ("mlp-vectors", 10**6, "compiled"),
        ("conv4", 10**6, "recorded"),
    ):
        made = learner(name)
        made.meta_step.iterations = iterations
        assert made.meta_step.engine_for(draw(MODELS[name][0])) == chosen, (name, iterations)
    meta_step.PART_BYTES = 1
    assert made.meta_step.engine_for(draw("images")) == "batched"


def engine_chosen(cls, model):
    made = cls(spec=SPECS["vectors"], model=model)
    made.configure_model()
    made.meta_step.iterations = 5_000
    return made.meta_step.engine_for(draw("vectors"))


class Annealed(MAML):
    """Its loss depends on when it is computed, which a recording would not see."""

    weight = 1.0

    def loss(self, episode):
        return self.weight * super().loss(episode)


class Declared(MAML):
    recordable = True


def test_auto_records_what_says_so_in_its_own_class_alone():
    assert engine_chosen(MAML, "mlp") == "recorded"
    assert engine_chosen(Declared, "mlp") == "recorded"
    assert engine_chosen(Annealed, "mlp") == "batched"
    assert engine_chosen(type("Heir", (Declared,), {}), "mlp") == "batched"


def test_auto_does_not_freeze_a_loss_that_changes_over_time():
    episode, found = draw("vectors"), []
    for engine in ("auto", "loop"):
        made = Annealed(spec=SPECS["vectors"], model="mlp", engine=engine)
        made.configure_model()
        made.double()
        made.meta_step.iterations = 10**6
        gradient(made, episode)
        made.weight = 0.25
        made.zero_grad()
        found.append(gradient(made, episode))
    assert (found[0] - found[1]).norm() <= 1e-10 * found[1].norm()


def test_auto_records_no_network_of_the_users():
    class Own(nn.Linear):
        """May count its calls, which a recording would not."""

    class Good(nn.Linear):
        recordable = True

    hooked, replaced = nn.Linear(4, 2), nn.Linear(4, 2)
    hooked.register_forward_hook(lambda layer, inputs, outputs: None)
    replaced.forward = lambda x: F.linear(x, replaced.weight)
    assert engine_chosen(MAML, nn.Sequential(nn.Linear(4, 3), nn.Tanh(), Good(3, 2))) == "recorded"
    for net in (Own(4, 2), nn.Sequential(Own(4, 2)), hooked, replaced):
        assert engine_chosen(MAML, net) == "batched"


@pytest.mark.parametrize("algorithm", ["maml", "fomaml", "bilevel_irt", "rasch", "bkt", "dkt"])
def test_long_runs_of_the_suite_are_recorded(algorithm):
    students = issubclass(registry.load("algorithms", algorithm), StudentLearner)
    made = learner("students" if students else "irt", algorithm)
    made.meta_step.iterations = 5_000
    assert made.meta_step.engine_for(draw("items")) == "recorded"


class OneHot(nn.Module):
    """Looks rows up by the one-hot vector of a class, as many write it."""

    def __init__(self, classes):
        super().__init__()
        self.layer, self.classes = nn.Linear(4, 2), classes
        self.means = nn.Parameter(torch.randn(3, 2))

    def forward(self, x):
        kind = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
        return self.layer(x) + F.one_hot(kind, self.classes).to(x.dtype) @ self.means


@pytest.mark.parametrize("engine", ["batched", "recorded"])
def test_one_hot(engine):
    episode = draw("vectors")
    found = []
    for one in ("loop", engine):
        torch.manual_seed(0)
        made = MAML(spec=SPECS["vectors"], model=OneHot(3), inner_steps=2, engine=one)
        made.configure_model()
        found.append(gradient(made.double(), episode))
        other = Episode(*(v if v is None else v.flip(0) for v in episode))
        made.zero_grad()
        found.append(gradient(made, other))
    for wanted, got in zip(found[:2], found[2:]):
        assert (got - wanted).norm() <= 1e-10 * wanted.norm()


class ClassMeans(nn.Module):
    """Reads the rows of a class by a mask: how many there are differs from task to task."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return self.layer(x) - x[x[:, 0] > 0].mean()


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (ClassMeans(), "depends on values.*engine='batched'"),
        (OneHot(-1), "give one_hot the number of classes"),
    ],
)
def test_what_would_be_recorded_with_the_sizes_of_the_first_time_is_refused(net, words):
    made = MAML(spec=SPECS["vectors"], model=net, engine="recorded")
    made.configure_model()
    made.double().forward_tasks.vectorised = False
    with pytest.raises(BenchError, match=words):
        made.meta_step(draw("vectors"))


def test_a_recording_is_made_anew_for_parameters_set_free():
    episode, found = draw("vectors"), []
    for engine in ("recorded", "loop"):
        made = learner("mlp-vectors", engine=engine)
        made.net.head.requires_grad_(False)
        gradient(made, episode)
        made.net.head.requires_grad_(True)
        made.zero_grad()
        found.append(gradient(made, episode))
    assert (found[0] - found[1]).norm() <= 1e-10 * found[1].norm()


@pytest.mark.parametrize(("part", "recompute"), [(2**40, False), (2**40, True), (1, False)])
def test_a_recording_follows_the_parameters_and_the_shape(part, recompute):
    meta_step.PART_BYTES = part
    episode = draw("vectors")
    made = learner("mlp-vectors", engine="recorded", recompute=recompute)
    plain = learner("mlp-vectors", engine="loop")
    for batch in (episode, Episode(*(v if v is None else v[:3] for v in episode)), episode):
        expected = gradient(plain, batch)
        assert (gradient(made, batch) - expected).norm() <= 1e-10 * expected.norm()
        for one in (made, plain):
            one.zero_grad()
            with torch.no_grad():
                for p in one.parameters():
                    p *= 1.5


def test_auto_records_few_shapes(monkeypatch):
    monkeypatch.setattr(meta_step, "SHAPES", 0)
    monkeypatch.setattr(meta_step, "record", None)
    made = learner("mlp-vectors")
    made.meta_step.iterations = 5_000
    plain = gradient(learner("mlp-vectors", engine="loop"), draw("vectors"))
    assert (gradient(made, draw("vectors")) - plain).norm() <= 1e-10 * plain.norm()


def test_auto_goes_on_where_compiling_fails(monkeypatch):
    def fails(*arguments):
        raise BenchError("no compiler today")

    monkeypatch.setattr(meta_step, "record", fails)
    made = learner("mlp-vectors")
    made.meta_step.iterations = 10**6
    with pytest.warns(UserWarning, match="no compiler today"):
        found = gradient(made, draw("vectors"))
    plain = gradient(learner("mlp-vectors", engine="loop"), draw("vectors"))
    assert (found - plain).norm() <= 1e-10 * plain.norm()
