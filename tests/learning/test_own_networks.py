"""Networks and algorithms of one's own under a Lightning Trainer, with what Lightning offers."""

import copy
import itertools
import pickle

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import BaseFinetuning
from torch import nn

from bench.algorithms.maml import MAML
from bench.base.errors import BenchError
from bench.data.glyphs import GlyphsDataModule
from bench.data.sinusoid import SinusoidDataModule
from bench.tasks.episode import Episode, TaskSpec

SINUSOID = TaskSpec("regression", (1,), 1)


@pytest.fixture
def trainer(tmp_path):
    folders = (tmp_path / f"trainer{n}" for n in itertools.count())

    def make(**options):
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
        options = {"max_epochs": 1} | quiet | options
        return Trainer(default_root_dir=next(folders), accelerator="cpu", **options)

    return make


def sinusoid(**options):
    sizes = {"iterations_per_epoch": 4, "val_episodes": 4, "test_episodes": 6}
    return SinusoidDataModule(**{"tasks_per_batch": 4} | sizes | options)


def small():
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))


# Second derivatives -------------------------------------------------------------------------


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 7, 7)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize("engine", ["loop", "batched", "recorded"])
def test_attention_trains_with_order_2(trainer, engine):
    data = GlyphsDataModule(
        ways=3, queries=2, tasks_per_batch=2, iterations_per_epoch=2, val_episodes=2,
        test_episodes=2,
    )  # fmt: skip
    net = Transformer()
    before = copy.deepcopy(net.encoder.state_dict())
    model = MAML(model=net, order=2, engine=engine)
    trainer().fit(model, data)
    assert not any(torch.equal(v, before[n]) for n, v in net.encoder.state_dict().items())


@pytest.mark.parametrize("recompute", [False, True])
def test_what_torch_cannot_differentiate_twice_is_named(trainer, recompute):
    net = nn.Sequential(nn.Linear(1, 8), nn.Hardsigmoid(), nn.Linear(8, 1))
    trainer().fit(MAML(model=copy.deepcopy(net), order=1), sinusoid())
    with pytest.raises(BenchError, match="hardsigmoid.*order=1, or nn.Sigmoid"):
        trainer().fit(MAML(model=net, order=2, recompute=recompute), sinusoid())


def test_inner_steps_with_a_state_are_not_computed_again(trainer):
    class WithMomentum(MAML):
        def inner_optimizer(self, episode):
            before = {}

            def update(fast, gradients, step):
                for name, g in gradients.items():
                    before[name] = g + 0.9 * before.get(name, 0)
                return super(WithMomentum, self).update(fast, before, step)

            return update

    trainer().fit(WithMomentum(model=small(), inner_steps=2), sinusoid())
    with pytest.raises(BenchError, match="WithMomentum may have a state: use recompute=False"):
        trainer().fit(WithMomentum(model=small(), inner_steps=2, recompute=True), sinusoid())


def test_batch_norm_without_a_shift_is_that_of_the_support(trainer):
    norm = nn.BatchNorm1d(8, track_running_stats=False)
    norm.bias = None  # as newer versions of torch have it
    net = nn.Sequential(nn.Linear(1, 8), norm, nn.Tanh(), nn.Linear(8, 1))
    trainer().fit(MAML(model=net, batch_norm="support"), sinusoid())


def test_other_errors_of_the_backward_pass_are_left_as_they_are(trainer):
    class Fails(MAML):
        def loss(self, episode):
            return super().loss(episode).detach()

    with pytest.raises(RuntimeError, match="does not require grad"):
        trainer().fit(Fails(), sinusoid())


# Layers seen before training ----------------------------------------------------------------


class FreezesFirst(BaseFinetuning):
    """Lightning's way to train the last layers first."""

    def freeze_before_training(self, pl_module):
        self.freeze(pl_module.net.features)

    def finetune_function(self, pl_module, epoch, optimizer):
        if epoch == 1:
            self.unfreeze_and_add_param_group(pl_module.net.features, optimizer)


@pytest.mark.parametrize("spec", [None, SINUSOID])
@pytest.mark.parametrize("engine", ["batched", "recorded"])
def test_base_finetuning(trainer, spec, engine):
    plain = MAML(spec=SINUSOID)
    plain.configure_model()
    first = [p.detach().clone() for p in plain.net.features.parameters()]
    for epochs, same in ((1, True), (2, False)):
        model = MAML(spec=spec, engine=engine)
        trainer(max_epochs=epochs, callbacks=[FreezesFirst()]).fit(model, sinusoid())
        features = list(model.net.features.parameters())
        assert all(torch.equal(a, b) for a, b in zip(features, first)) == same
        assert not torch.equal(model.net.head.weight, plain.net.head.weight)


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_the_network_is_there_early_and_is_the_same(trainer, precision):
    class Looks(FreezesFirst):
        def freeze_before_training(self, pl_module):
            self.weights = copy.deepcopy(pl_module.net.state_dict())

        def finetune_function(self, *arguments):
            pass

    looks, late = Looks(), MAML()
    trainer(callbacks=[looks], precision=precision).fit(MAML(), sinusoid())
    with trainer(precision=precision).precision_plugin.module_init_context():
        late.hparams["spec"] = SINUSOID._asdict()
        late.configure_model()
    wanted = late.net.state_dict()
    assert all(torch.equal(v, wanted[n]) for n, v in looks.weights.items())


# Frozen -------------------------------------------------------------------------------------


def test_a_frozen_model_adapts_as_before():
    x = torch.linspace(-2, 2, 10)[:, None]
    net = small()
    net[0].bias.requires_grad_(False)
    model = MAML(model=net, inner_steps=3, spec=SINUSOID)
    model.configure_model()
    learned = [n for n, p in net.named_parameters() if p.requires_grad]
    model.train()
    before = model.adapt(x, x.sin())(x)
    assert model.freeze() is model
    model.freeze()  # twice is no more than once
    assert not any(p.requires_grad for p in model.parameters())
    assert torch.equal(model.adapt(x, x.sin())(x), before)
    model.unfreeze()
    assert [n for n, p in net.named_parameters() if p.requires_grad] == learned
    assert torch.equal(model.adapt(x, x.sin())(x), before)


def test_frozen_before_it_is_built(trainer):
    model = MAML()
    model.freeze()
    model.unfreeze()
    trainer().fit(model, sinusoid())


def test_a_frozen_model_is_tested(trainer):
    model, data = MAML(inner_steps=2), sinusoid()
    trainer().fit(model, data)
    wanted = trainer().test(model, data, verbose=False)
    model.freeze()
    assert trainer().test(model, data, verbose=False) == wanted


def test_frozen_by_hand_is_said():
    model = MAML(spec=SINUSOID)
    model.configure_model()
    model.net.requires_grad_(False)
    with pytest.raises(BenchError, match="nothing can adapt"):
        model.adapt(torch.zeros(2, 1), torch.zeros(2, 1))(torch.zeros(1, 1))


# Arguments of one's own ---------------------------------------------------------------------


class OfBackbone(MAML):
    def __init__(self, backbone, parts=(), width=3, **kwargs):
        super().__init__(model=backbone, **kwargs)
        self.parts = nn.ModuleList(parts)


class SavesAgain(OfBackbone):
    def __init__(self, backbone, **kwargs):
        super().__init__(backbone, **kwargs)
        self.save_hyperparameters()


@pytest.mark.parametrize("cls", [OfBackbone, SavesAgain])
def test_modules_among_the_arguments_are_no_hyper_parameters(trainer, tmp_path, cls):
    model, data, t = cls(small(), parts=[nn.Linear(1, 1)], width=4), sinusoid(), trainer()
    t.fit(model, data)
    assert "backbone" not in model.hparams
    assert "parts" not in model.hparams
    assert model.hparams["width"] == 4
    t.test(model, data, ckpt_path="best", verbose=False)
    path = t.checkpoint_callback.best_model_path
    loaded = cls.load_from_checkpoint(path, backbone=small(), parts=[nn.Linear(1, 1)])
    assert loaded.hparams == model.hparams
    x = torch.linspace(-2, 2, 10)[:, None]
    torch.testing.assert_close(loaded.adapt(x, x.sin())(x), model.adapt(x, x.sin())(x))


class OfActivation(MAML):
    def __init__(self, activation=torch.tanh, **kwargs):
        super().__init__(**kwargs)


def test_arguments_that_no_checkpoint_gives_back(trainer):
    with pytest.raises(BenchError, match="activation=.*plain data"):
        trainer().fit(OfActivation(), sinusoid())
    trainer(enable_checkpointing=False).fit(OfActivation(), sinusoid())


def test_sparse_gradients():
    net = nn.Sequential(nn.Flatten(), nn.ModuleList([nn.Embedding(3, 2, sparse=True)]))
    with pytest.raises(BenchError, match=r"'1\.0' \(Embedding\).*sparse=False"):
        MAML(model=net, spec=SINUSOID).configure_model()


def test_torchs_advice_about_layers_that_are_right_is_kept_away(recwarn):
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)
    )
    model = MAML(model=net, spec=TaskSpec("classification", (1, 6, 6), 3))
    model.configure_model()
    x, y = torch.randn(2, 2, 6, 1, 6, 6), torch.arange(3).repeat(2, 2)
    model.meta_step(Episode(x[0], y, x[1], y)).backward()
    model.adapt(x[0, 0], y[0])(x[1, 0])
    assert not recwarn.list


# Weights that come from elsewhere -------------------------------------------------------------


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_weights_come_before_the_network(trainer, precision):
    # as they do from processes that Lightning has forked, where the data was known
    trained = MAML(seed=3)
    trainer(precision=precision).fit(trained, sinusoid())
    model = MAML()
    model.load_state_dict(trained.state_dict(), strict=False)
    for a, b in zip(model.net.parameters(), trained.net.parameters(), strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    assert model.spec == SINUSOID


def test_a_model_whose_steps_are_recorded_can_be_sent_to_processes(trainer):
    model = MAML(engine="recorded", spec=SINUSOID)
    trainer().fit(model, sinusoid())
    model.trainer = None
    sent = pickle.loads(pickle.dumps(model))
    trainer().fit(sent, sinusoid())
    assert not torch.equal(sent.net.head.weight, model.net.head.weight)


def test_weights_without_a_spec_are_not_lost_silently():
    trained = MAML(spec=SINUSOID)
    trained.configure_model()
    with pytest.raises(BenchError, match="spec="):
        MAML().load_state_dict(dict(trained.state_dict()), strict=False)
