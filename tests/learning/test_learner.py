"""Learners under an ordinary Lightning Trainer."""

import csv
import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from lightning import Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader

from bench.algorithms.fomaml import FOMAML
from bench.algorithms.item_mean import ItemMean
from bench.algorithms.maml import MAML
from bench.algorithms.no_adaptation import NoAdaptation
from bench.algorithms.random_init import RandomInit
from bench.base import registry
from bench.base.errors import BenchError
from bench.data.glyphs import GlyphsDataModule
from bench.data.irt import IRTDataModule
from bench.data.sinusoid import SinusoidDataModule
from bench.learning.gradient_based import GradientBased
from bench.learning.learner import MetaLearner
from bench.tasks import kinds
from bench.tasks.episode import TaskSpec

SINUSOID = TaskSpec("regression", (1,), 1)
RESUMED = pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint")


@pytest.fixture
def trainer(tmp_path):
    """Makes a Trainer as a user would, but for where it writes, and silent."""

    folders = (tmp_path / f"trainer{n}" for n in itertools.count())

    def make(**options):
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
        return Trainer(default_root_dir=next(folders), accelerator="cpu", **quiet | options)

    return make


def sinusoid(**options):
    sizes = {"iterations_per_epoch": 4, "val_episodes": 6, "test_episodes": 11}
    return SinusoidDataModule(**{"tasks_per_batch": 4} | sizes | options)


def weights(model):
    return {n: p.detach().clone() for n, p in model.net.named_parameters()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


class Seen(Callback):
    """Remembers the episode numbers of every training batch."""

    def __init__(self):
        self.train = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.train.append(batch.index.tolist())


# Fit, validate, test, predict ---------------------------------------------------------------


def test_a_trainer_with_nothing_but_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, model = sinusoid(iterations_per_epoch=50), MAML(inner_steps=2)
    trainer = Trainer(max_epochs=1)
    trainer.fit(model, data)
    assert trainer.global_step == 50
    assert trainer.validate(model, data)[0].keys() == {"val/mse"}
    assert trainer.test(model, data, ckpt_path="best")[0].keys() == {
        "test/mse",
        "test/mse_ci95",
        *[f"test/mse_step{k}" for k in range(3)],
    }
    assert sum(map(len, trainer.predict(model, data))) == 11
    assert list(tmp_path.glob("lightning_logs/version_0/checkpoints/*.ckpt"))


DATA = {
    "classification": lambda: GlyphsDataModule(
        ways=3, shots=1, queries=2, tasks_per_batch=4, iterations_per_epoch=2, val_episodes=4,
        test_episodes=6,
    ),
    "answers": lambda: IRTDataModule(
        shots=5, queries=7, items=20, tasks_per_batch=4, iterations_per_epoch=2, val_episodes=4,
        test_episodes=6,
    ),
    "regression": lambda: sinusoid(iterations_per_epoch=2, val_episodes=4, test_episodes=6),
}  # fmt: skip
HEADLINE = {"classification": "accuracy", "answers": "auc", "regression": "mse"}


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("name", registry.names("algorithms"))
def test_every_algorithm_on_every_kind_of_task(trainer, name, kind):
    cls = registry.load("algorithms", name)
    if not kinds.fits(name, kind):
        with pytest.raises(BenchError, match=f"{cls.__name__} (is for|needs) "):
            trainer(max_epochs=1).fit(cls(), DATA[kind]())
        return
    small, options = kind == "classification", {}
    if kind == "regression" and issubclass(cls, GradientBased):
        options = {"inner_lr": 0.01}  # targets are large at first
    model = cls(model_options={"filters": 4} if small else None, **options)
    data, t = DATA[kind](), trainer(max_epochs=1)
    t.fit(model, data)
    scores = t.test(model, data, verbose=False)[0]
    adapts = isinstance(model, GradientBased) and name != "nil"
    steps = 1 + model.test_steps if adapts else 1
    assert np.isfinite(scores[f"test/{HEADLINE[kind]}"])
    assert model.episode_scores["index"].tolist() == list(range(6))
    assert model.episode_scores[HEADLINE[kind]].shape == (6, steps)
    outputs = torch.cat(t.predict(model, data))
    queries = next(iter(data.predict_dataloader())).query_y.shape[1]
    assert outputs.shape == (6, queries, 3 if small else 1)
    if small:
        torch.testing.assert_close(outputs.sum(-1), torch.ones(6, queries))
    if kind == "answers":
        assert ((outputs > 0) & (outputs < 1)).all()


def test_scores_are_those_of_the_predictions(trainer):
    data, t = sinusoid(), trainer(max_epochs=1)
    model = MAML(inner_steps=1, test_steps=3)
    t.fit(model, data)
    scores = t.test(model, data, verbose=False)[0]
    mse = model.episode_scores["mse"]
    assert mse.shape == (11, 4)
    index = np.arange(11)
    episode = data.episodes("test", index)
    predictions = torch.cat(t.predict(model, data))
    by_hand = (predictions - episode.query_y).square().mean((1, 2))
    np.testing.assert_allclose(mse[:, -1], by_hand, rtol=1e-5)
    unadapted = model.net(episode.query_x.flatten(0, 1)).reshape(11, -1, 1) - episode.query_y
    np.testing.assert_allclose(mse[:, 0], unadapted.detach().square().mean((1, 2)), rtol=1e-5)
    assert scores["test/mse"] == pytest.approx(mse[:, -1].mean())
    assert scores["test/mse_ci95"] == pytest.approx(2.2281 * mse[:, -1].std(ddof=1) / 11**0.5, 1e-4)
    for k in range(4):
        assert scores[f"test/mse_step{k}"] == pytest.approx(mse[:, k].mean())


def test_evaluating_changes_nothing(trainer):
    data, t, model = sinusoid(), trainer(max_epochs=1), MAML()
    t.fit(model, data)
    before = weights(model)
    first = t.test(model, data, verbose=False)
    t.validate(model, data, verbose=False)
    t.predict(model, data)
    assert same(weights(model), before)
    assert t.test(model, data, verbose=False) == first
    assert all(p.requires_grad for p in model.net.parameters())


def test_predictions_do_not_depend_on_tasks_per_batch(trainer):
    model = MAML(inner_steps=2, spec=SINUSOID)
    outputs = []
    for tasks in (1, 4, 11, 20):
        batches = trainer().predict(model, sinusoid(tasks_per_batch=tasks))
        assert len(batches) == -(-11 // (4 * tasks))
        outputs.append(torch.cat(batches))
    for other in outputs[1:]:
        torch.testing.assert_close(other, outputs[0], rtol=1e-5, atol=1e-5)


def test_training_learns(trainer):
    data = sinusoid(iterations_per_epoch=80, tasks_per_batch=16)
    model, t = MAML(inner_lr=0.02, outer_lr=3e-3, inner_steps=3), trainer(max_epochs=1)
    before = t.test(model, data, verbose=False)[0]["test/mse"]
    t.fit(model, data)
    assert t.test(model, data, verbose=False)[0]["test/mse"] < before


def test_random_init_never_changes_weights(trainer):
    data, t = sinusoid(), trainer(max_epochs=2)
    model, untrained = RandomInit(), MAML(spec=SINUSOID)
    untrained.configure_model()
    t.fit(model, data)
    assert t.global_step == 0  # no time is spent
    assert same(weights(model), weights(untrained))
    t = trainer(min_steps=3, max_steps=3)  # which does not let it end early
    t.fit(model, data)
    assert t.global_step == 3
    assert same(weights(model), weights(untrained))


def test_an_algorithm_with_nothing_to_train_is_its_prediction_alone(trainer):
    class Zero(MetaLearner):
        trains = False

        def predict(self, episode):
            return torch.zeros_like(episode.query_y)[:, None]

    data, t, model = sinusoid(), trainer(max_epochs=2), Zero()
    t.fit(model, data)
    assert t.global_step == 0
    scores = t.test(model, data, verbose=False)[0]
    squares = data.episodes("test", np.arange(11)).query_y.square()
    assert scores["test/mse"] == pytest.approx(float(squares.mean((1, 2)).mean()), rel=1e-5)


def test_item_mean_learns_the_item_means(trainer):
    data = IRTDataModule(queries=20, items=30, tasks_per_batch=64, iterations_per_epoch=100)
    model = ItemMean()
    trainer(max_steps=100).fit(model, data)
    seen = data.sequences("train", np.arange(6400))
    means = [seen.answer[seen.item == i].mean() for i in range(30)]
    np.testing.assert_allclose(model.net.log_odds.detach().sigmoid()[:, 0], means, atol=1e-5)


# Seeds and global state ---------------------------------------------------------------------


def global_state():
    numpy = np.random.get_state()
    return torch.get_rng_state().tolist(), random.getstate(), numpy[1].tolist(), numpy[2:]


def test_the_global_random_state_is_left_alone(trainer):
    seed_everything(5, verbose=False)
    before = global_state()
    data, model, t = sinusoid(), MAML(), trainer(max_epochs=1)
    t.fit(model, data)
    t.test(model, data, verbose=False)
    t.predict(model, data)
    model.adapt(torch.zeros(2, 1), torch.zeros(2, 1))
    assert global_state() == before


def test_seed_gives_the_weights(trainer):
    def trained(model_seed, data_seed):
        random_numbers = torch.rand(3)  # whatever else is drawn in between
        model = MAML(seed=model_seed)
        trainer(max_steps=3).fit(model, sinusoid(seed=data_seed))
        assert len(random_numbers)
        return weights(model)

    first = trained(0, 0)
    assert same(first, trained(0, 0))
    assert not same(first, trained(1, 0))
    assert not same(first, trained(0, 1))


# What an epoch is ---------------------------------------------------------------------------


def test_epochs_go_on_with_new_episodes(trainer):
    seen = Seen()
    trainer(max_epochs=3, callbacks=[seen]).fit(MAML(), sinusoid())
    assert seen.train == np.arange(3 * 4 * 4).reshape(12, 4).tolist()


def test_max_steps_ends_within_an_epoch(trainer):
    seen, t = Seen(), trainer(max_steps=6)
    t.callbacks.append(seen)
    t.fit(MAML(), sinusoid())
    assert t.global_step == len(seen.train) == 6


@RESUMED
@pytest.mark.parametrize("every", [2, 3, 4, 5, 8])
def test_resuming_goes_on_with_the_next_episodes(trainer, tmp_path, every):
    whole = MAML()
    trainer(max_steps=11).fit(whole, sinusoid())
    save = ModelCheckpoint(tmp_path / "mid", every_n_train_steps=every, save_top_k=-1)
    trainer(max_steps=every, callbacks=[save]).fit(MAML(), sinusoid())
    seen, resumed = Seen(), MAML(seed=7)
    trainer(max_steps=11, callbacks=[seen]).fit(
        resumed, sinusoid(), ckpt_path=next((tmp_path / "mid").glob(f"*step={every}.ckpt"))
    )
    assert seen.train == np.arange(44).reshape(11, 4)[every:].tolist()
    assert same(weights(resumed), weights(whole))


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_resuming_at_the_end_of_an_epoch(trainer, tmp_path):
    t = trainer(max_epochs=1)
    t.fit(MAML(), sinusoid())
    seen = Seen()
    trainer(max_epochs=2, callbacks=[seen]).fit(
        MAML(), sinusoid(), ckpt_path=t.checkpoint_callback.best_model_path
    )
    assert seen.train == np.arange(32).reshape(8, 4)[4:].tolist()


@RESUMED
def test_resuming_validates_as_often(trainer, tmp_path):
    save = ModelCheckpoint(tmp_path / "mid", every_n_train_steps=2, save_top_k=-1)
    trainer(max_steps=2, callbacks=[save]).fit(MAML(), sinusoid())

    class Validations(Callback):
        steps: list = []

        def on_validation_end(self, trainer, pl_module):
            if not trainer.sanity_checking:
                self.steps.append(trainer.global_step)

    trainer(max_steps=12, callbacks=[Validations()]).fit(
        MAML(), sinusoid(), ckpt_path=next((tmp_path / "mid").glob("*step=2.ckpt"))
    )
    assert Validations.steps == [4, 8, 12]


def test_two_workers_draw_the_same_episodes(trainer):
    seen, models = [Seen(), Seen()], [MAML(), MAML()]
    for workers, s, model in zip((0, 2), seen, models):
        trainer(max_steps=6, callbacks=[s]).fit(model, sinusoid(num_workers=workers))
    assert seen[0].train == seen[1].train
    assert same(weights(models[0]), weights(models[1]))


def test_workers_are_sent_no_model(trainer):
    data = sinusoid()
    trainer(max_steps=1).fit(MAML(), data)
    dataset = data.train_dataloader().dataset
    copied = pickle.loads(pickle.dumps(dataset))
    assert copied.data.trainer is None
    assert dataset.data.trainer is not None
    index = np.arange(3)
    assert torch.equal(copied[index].query_y, dataset[index].query_y)


@pytest.mark.filterwarnings("ignore:You requested to overfit")
def test_overfitting_to_one_batch(trainer):
    seen = Seen()
    t = trainer(max_steps=3, overfit_batches=1, callbacks=[seen])
    t.fit(MAML(), sinusoid())
    assert seen.train == [[0, 1, 2, 3]] * 3


# Trainer options ----------------------------------------------------------------------------


class Gradients(Callback):
    """Remembers the gradient at the end of every batch, as the optimiser saw it."""

    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, pl_module, *args):
        self.values.append(torch.cat([p.grad.flatten() for p in pl_module.net.parameters()]))


def test_accumulated_batches_equal_one_large_batch(trainer):
    gradients = []
    for tasks, accumulate in ((8, 1), (4, 2), (2, 4)):
        seen = Gradients()
        t = trainer(
            max_steps=3,
            accumulate_grad_batches=accumulate,
            precision="64-true",
            callbacks=[seen],
        )
        t.fit(MAML(), sinusoid(tasks_per_batch=tasks, iterations_per_epoch=3 * accumulate))
        assert t.global_step == 3
        gradients.append(torch.stack(seen.values[accumulate - 1 :: accumulate]))
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], rtol=1e-9, atol=1e-9)


def test_gradients_are_clipped(trainer):
    free, clipped = Gradients(), Gradients()
    trainer(max_steps=2, callbacks=[free]).fit(MAML(), sinusoid())
    trainer(max_steps=2, callbacks=[clipped], gradient_clip_val=0.01).fit(MAML(), sinusoid())
    assert min(g.norm() for g in free.values) > 0.011
    assert [g.norm().item() for g in clipped.values] == pytest.approx([0.01, 0.01], rel=1e-3)


def test_double_precision(trainer):
    data, t, model = sinusoid(), trainer(max_epochs=1, precision="64-true"), MAML(inner_steps=2)
    t.fit(model, data)
    t.test(model, data, verbose=False)
    assert {p.dtype for p in model.net.parameters()} == {torch.float64}
    assert model.episode_scores["mse"].dtype == np.float64
    assert t.predict(model, data)[0].dtype == torch.float64


@pytest.mark.parametrize("precision", ["16-true", "bf16-true"])
def test_weights_in_half_precision_are_refused(trainer, precision):
    with pytest.raises(BenchError, match="32-true"):
        trainer(max_epochs=1, precision=precision).fit(MAML(), sinusoid())


@pytest.mark.parametrize("engine", ["loop", "batched", "recorded"])
def test_mixed_precision(trainer, engine):
    found, data = {}, sinusoid()
    for precision in ("32-true", "bf16-mixed"):
        model = MAML(inner_steps=2, engine=engine)
        t = trainer(max_epochs=1, precision=precision)
        t.fit(model, data)
        t.test(model, data, verbose=False)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert t.predict(model, data)[0].dtype == torch.float32
        found[precision] = torch.from_numpy(model.episode_scores["mse"])
    assert not torch.equal(found["bf16-mixed"], found["32-true"])
    torch.testing.assert_close(found["bf16-mixed"], found["32-true"], rtol=0.1, atol=0.1)


SCHEDULES = {
    "cosine": lambda done: 0.05 * (1 + np.cos(np.pi * done)),
    "linear": lambda done: 0.1 * (1 - done),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_end_at_zero(trainer, schedule):
    class Rates(Callback):
        def __init__(self):
            self.rates = []

        def on_train_batch_end(self, trainer, *args):
            self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    rates = Rates()
    model = MAML(outer_schedule=schedule, outer_lr=0.1)
    trainer(max_steps=6, callbacks=[rates]).fit(model, sinusoid())
    wanted = [SCHEDULES[schedule](k / 6) for k in range(1, 7)]
    assert rates.rates == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_need_an_end(trainer, schedule):
    with pytest.raises(BenchError, match=f"{schedule}.*max_steps"):
        trainer(max_epochs=-1).fit(MAML(outer_schedule=schedule), sinusoid())


# Logs and checkpoints -----------------------------------------------------------------------


@pytest.mark.parametrize(("accumulate", "steps"), [(1, [1, 3, 5]), (2, [1, 3])])
def test_csv_log(trainer, tmp_path, accumulate, steps):
    # 3 iterations an epoch, logged every 2 optimiser steps: the two counts do not meet
    t = trainer(
        max_epochs=2 * accumulate,
        logger=CSVLogger(tmp_path),
        log_every_n_steps=2,
        accumulate_grad_batches=accumulate,
    )
    model, data = MAML(seed=1), sinusoid(iterations_per_epoch=3, seed=0)  # seeds may differ
    t.fit(model, data)
    t.test(model, data, verbose=False)
    with (tmp_path / "lightning_logs/version_0/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(r["step"]) for r in rows if r.get("train/loss")][: len(steps)] == steps
    assert len([r for r in rows if r.get("val/mse")]) == 2 * accumulate
    assert len([r for r in rows if r.get("test/mse_step1")]) == 1
    text = (tmp_path / "lightning_logs/version_0/hparams.yaml").read_text()
    assert "inner_lr: 0.1" in text
    assert "tasks_per_batch: 4" in text


def test_tensorboard_log(trainer, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    t = trainer(max_epochs=1, logger=TensorBoardLogger(tmp_path), log_every_n_steps=1)
    t.fit(MAML(seed=1), sinusoid())
    events = EventAccumulator(str(tmp_path / "lightning_logs/version_0")).Reload()
    assert {"train/loss", "val/mse"} <= set(events.Tags()["scalars"])
    assert len(events.Scalars("train/loss")) == 4


def test_logging_switched_off(trainer):
    trainer(max_epochs=1, log_every_n_steps=0).fit(MAML(), sinusoid())


@pytest.mark.parametrize("cls", [MAML, FOMAML, NoAdaptation, RandomInit])
def test_checkpoint_gives_the_same_predictions(trainer, tmp_path, cls):
    data, t, model = sinusoid(), trainer(max_epochs=1), cls(seed=3)
    t.fit(model, data)
    t.save_checkpoint(tmp_path / "it.ckpt")
    loaded = cls.load_from_checkpoint(tmp_path / "it.ckpt")
    assert type(loaded) is cls
    assert loaded.hparams == model.hparams
    wanted, got = (torch.cat(trainer().predict(m, data)) for m in (model, loaded))
    assert torch.equal(got, wanted)


def test_batch_norm_can_be_changed_on_loading(trainer, tmp_path):
    data, t = DATA["classification"](), trainer(max_epochs=1)
    model = MAML(model_options={"filters": 4})
    t.fit(model, data)
    t.save_checkpoint(tmp_path / "it.ckpt")
    loaded = MAML.load_from_checkpoint(tmp_path / "it.ckpt", batch_norm="support")
    assert same(weights(loaded), weights(model))
    transductive, support = (torch.cat(trainer().predict(m, data)) for m in (model, loaded))
    assert (transductive - support).abs().max() > 1e-4


def test_best_checkpoint_is_tested(trainer, tmp_path):
    class Worse(Callback):
        """Spoils the weights after the first epoch."""

        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch:
                pl_module.net.head.bias.data += 100

    best = ModelCheckpoint(monitor="val/mse")
    data, model = sinusoid(), MAML()
    t = trainer(max_epochs=2, callbacks=[best, Worse()])
    t.fit(model, data)
    last = t.test(model, data, verbose=False)[0]["test/mse"]
    assert best.best_model_path.endswith("step=4.ckpt")
    chosen = t.test(model, data, ckpt_path="best", verbose=False)[0]["test/mse"]
    assert chosen < 100 < last


def test_own_module_is_passed_again_on_loading(trainer, tmp_path):
    def net():
        return nn.Sequential(nn.Linear(1, 5), nn.Tanh(), nn.Linear(5, 1))

    data, t, model = sinusoid(), trainer(max_epochs=1), MAML(model=net())
    t.fit(model, data)
    t.save_checkpoint(tmp_path / "it.ckpt")
    loaded = MAML.load_from_checkpoint(tmp_path / "it.ckpt", model=net())
    assert same(weights(loaded), weights(model))
    with pytest.raises(BenchError, match="pass model= again"):
        MAML.load_from_checkpoint(tmp_path / "it.ckpt")


# Data of one's own --------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [SINUSOID, SINUSOID._asdict(), None])
def test_plain_loaders_of_episodes(trainer, tmp_path, spec):
    data = sinusoid()
    batches = [data.episodes("train", np.arange(4) + 4 * k) for k in range(5)]
    loader = DataLoader(batches, batch_size=None)
    model, t = MAML(spec=spec), trainer(max_epochs=1)
    if spec is None:
        with pytest.raises(BenchError, match="spec="):
            t.fit(model, loader, loader)
        return
    t.fit(model, loader, loader)
    assert t.global_step == 5
    t.save_checkpoint(tmp_path / "it.ckpt")
    assert same(weights(MAML.load_from_checkpoint(tmp_path / "it.ckpt")), weights(model))
    anonymous = DataLoader([b._replace(index=None) for b in batches], batch_size=None)
    trainer(max_epochs=1, limit_val_batches=0).fit(MAML(spec=spec), anonymous, loader)
    with pytest.raises(BenchError, match="index"):
        t.test(model, anonymous)


def test_wrong_shapes_are_named(trainer):
    episode = sinusoid().episodes("train", np.arange(10))
    model = MAML(spec=SINUSOID)
    model.configure_model()
    with pytest.raises(BenchError, match="do not fit"):  # would broadcast to [10, 10, 10]
        model.loss(episode._replace(support_y=episode.support_y[..., 0]))
    wide = MAML(model=nn.Linear(1, 3), spec=SINUSOID)
    wide.configure_model()
    with pytest.raises(BenchError, match="do not fit"):
        wide.loss(episode)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_norm": "suport"}, "did you mean support"),
        ({"outer_schedule": "cosin"}, "did you mean cosine"),
        ({"order": 3}, "order=3: give 1 or 2"),
        ({"inner_steps": -1}, "inner_steps=-1"),
        ({"test_steps": -1}, "test_steps=-1"),
        ({"model": "mpl", "spec": SINUSOID}, "did you mean mlp"),
        ({"model_options": {"hiden": [3]}, "spec": SINUSOID}, "did you mean hidden"),
        ({"model": "conv4", "spec": SINUSOID}, "images"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(BenchError, match=words):
        MAML(**options).configure_model()
