"""What a GPU is to do: tested on one where there is one, and on torch's device without values."""

import math
from contextlib import nullcontext

import pytest
import torch

from bench.base import registry
from bench.base.errors import Diverged
from bench.checks.exactness import precision
from bench.cli.main import main
from bench.learning import mixed_precision, torch_private
from bench.learning.cuda_graph import CudaGraph
from bench.running import training
from bench.running.experiment import Experiment
from bench.running.machine import Machine

TOLERANCE = 1e-9  # relative, in float64: kernels that sum in another order


def on_gpu(function):
    """Marks a test that needs a GPU."""
    missing = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    return pytest.mark.gpu(missing(function))


def cases(engine):
    """Every method on every data it takes and every network in both orders, by this engine."""
    for case in [*precision.methods(), *precision.networks()]:
        recordable = vars(registry.load("algorithms", case.algorithm)).get("recordable", False)
        if engine != "recorded" or recordable:
            yield case._replace(options=case.options | {"engine": engine})


# Without a GPU: the device "meta" takes the way of all that is no processor. It has no values, so
# what reads one, for which a GPU would be waited for, fails; so does what mixes devices.


@pytest.mark.parametrize("engine", ["batched", "recorded"])
def test_no_meta_step_waits_for_a_value_or_mixes_devices(engine, monkeypatch):
    graphs, make_fx = [], torch_private.load_make_fx()
    monkeypatch.setattr(mixed_precision, "for_networks_alone", lambda device: nullcontext())
    monkeypatch.setattr(
        torch_private,
        "load_make_fx",
        lambda: lambda *a: lambda *b: graphs.append(make_fx(*a)(*b)) or graphs[-1],
    )
    names = set()
    for case in cases(engine):
        if case.name.endswith("first order"):  # has less to record
            continue
        learner, batch = case.parts("64-true")
        for episode in batch:  # networks are proved once, by their values
            learner.loss(episode)
        learner.to("meta")
        for episode in batch:
            learner.meta_step(precision.moved(episode, "meta")).backward()
        assert all(p.grad is None or p.grad.is_meta for p in learner.parameters())
        names.add(case.algorithm)
    assert len(names) >= 15
    assert bool(graphs) == (engine == "recorded")
    for graph in graphs:  # a CUDA graph takes nothing from elsewhere
        nodes = graph.graph.nodes
        assert all(getattr(graph, n.target).is_meta for n in nodes if n.op == "get_attr")
        assert {torch.device(n.kwargs.get("device") or "meta").type for n in nodes} == {"meta"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_speed_on_a_gpu_is_refused_where_there_is_none(tmp_path, capsys):
    command = ["speed", "--accelerator", "gpu", "--out", str(tmp_path)]
    assert main(command) == 2
    assert "finds no GPU here" in " ".join(capsys.readouterr().err.split())
    assert main([*command, "--overhead"]) == 2
    assert "--overhead is measured on a processor" in " ".join(capsys.readouterr().err.split())


# With one ---------------------------------------------------------------------------------------


@on_gpu
@pytest.mark.parametrize("engine", ["loop", "batched", "recorded"])
def test_meta_gradients_are_those_of_a_processor(engine):
    wrong = {}
    for case in cases(engine):
        plain = case._replace(options=case.options | {"engine": "loop"}).gradient("64-true")
        error = float((case.gradient("64-true", "cuda") - plain).norm() / plain.norm())
        if not error <= TOLERANCE:
            wrong[case.name, case.data] = error
    assert not wrong


@on_gpu
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["recorded", "compiled"])
@pytest.mark.parametrize("order", [1, 2])
def test_steps_that_are_replayed_follow_parameters_and_episodes(order, engine):
    options = {"model": "mlp", "order": order, "engine": engine}
    case = precision.Case("mlp", "students", "maml", options)
    learner, (episode,) = case.parts("64-true", "cuda")
    plain, _ = case._replace(options=options | {"engine": "loop"}).parts("64-true", "cuda")
    for _ in range(4):  # recorded, captured, replayed
        with torch.no_grad():
            for p in learner.parameters():
                p.mul_(1.1)
        episode = episode._replace(query_y=1 - episode.query_y)
        plain.load_state_dict(learner.state_dict())
        for made in (learner, plain):
            made.zero_grad()
            made.meta_step(episode).backward()
        for ours, theirs in zip(learner.parameters(), plain.parameters()):
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=TOLERANCE, atol=TOLERANCE)


@on_gpu
def test_a_cuda_graph_takes_what_it_is_given_and_its_results_stay():
    def threes(value):
        return [torch.full((3,), value, device="cuda")]

    graph = CudaGraph(lambda v, b: [v[0] * b[0], None], threes(1.0), threes(1.0))
    first, nothing = graph(threes(2.0), threes(3.0))
    second, _ = graph(threes(4.0), threes(5.0))
    assert nothing is None
    assert first.tolist() == [6.0] * 3
    assert second.tolist() == [20.0] * 3


@on_gpu
def test_a_run_trains_and_is_recorded(tmp_path):
    data = {"test_episodes": 40, "val_episodes": 20}
    experiment = Experiment("tiny", "sinusoid", "maml", 40, 20, data=data)
    here, there = (
        training.train(experiment, tmp_path / a, machine=Machine(a), progress=False)
        for a in ("gpu", "cpu")
    )
    assert torch.cuda.get_device_name() in here["provenance"]["device"]
    found, wanted = (r["metrics"]["mse"]["mean"] for r in (here, there))
    assert math.isclose(found, wanted, rel_tol=0.05)


@on_gpu
def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    experiment = Experiment("tiny", "sinusoid", "maml", 20, 20, learner={"outer_lr": 1e30})
    with pytest.raises(Diverged, match="meta-iteration 2: the loss is not finite"):
        training.train(experiment, tmp_path, machine=Machine("gpu"), progress=False)


@on_gpu
def test_speed_is_measured(tmp_path):
    command = ["speed", "--accelerator", "gpu", "--workload", "student", "--tasks", "4"]
    command += ["--contestants", "maml-bench", "maml-bench-recorded", "plain-loop", "--rounds", "1"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    text = (tmp_path / "tables" / "speed.md").read_text()
    assert "on a GPU" in text
    assert torch.cuda.get_device_name() in text
