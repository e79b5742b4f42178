"""Published methods as files outside the package: each is short, runs, and is the built-in one."""

from pathlib import Path

import pytest
import torch

from bench.base import registry
from bench.cli.main import main
from bench.results import records
from bench.running import grid, jobs

FOLDER = Path(__file__).parents[1] / "outside"
METHODS = {  # to the one of the package, and the settings in which they agree
    "my_anil": ("anil", {"inner_steps": 2}),
    "my_meta_sgd": ("meta_sgd", {"inner_steps": 2}),
    "my_reptile": ("reptile", {"inner_steps": 3, "inner_batch": 50, "test_steps": 2}),
    "my_proto_net": ("proto_net", {}),
    "my_r2d2": ("r2d2", {}),
}
SMALL = {"iterations": 2, "validations": 1, "val_episodes": 2, "test_episodes": 3, "queries": 2}
CLASSES = ("my_proto_net", "my_r2d2")


@pytest.fixture(autouse=True)
def nothing_added(monkeypatch):
    monkeypatch.setattr(registry, "_outside", {})
    registry.declaration.cache_clear()
    yield
    registry.declaration.cache_clear()


def test_each_is_short():
    assert {p.stem for p in FOLDER.glob("*.py")} == METHODS.keys()
    for path in FOLDER.glob("*.py"):
        assert len(path.read_text().splitlines()) < 30, path.name


@pytest.mark.slow
def test_the_files_run_in_a_suite_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(FOLDER)
    monkeypatch.setattr(jobs, "cost", lambda *run: None)  # measured in a process of its own
    monkeypatch.setattr(grid, "report", lambda *run: None)
    command = ["run", "quick", "--algorithms", *(f"./{name}.py" for name in METHODS)]
    small = [f"{name}={value}" for name, value in SMALL.items()]
    assert main([*command, "--out", str(tmp_path), "--set", *small, "my_reptile.test_steps=2"]) == 0
    found = [(r["experiment"], r["algorithm"]["order"]) for r in records.read_all(tmp_path)]
    for name in METHODS:
        runs = {e["dataset"]: order for e, order in found if e["algorithm"] == name}
        order = 2 if name in ("my_anil", "my_meta_sgd") else None
        expected = ["glyphs"] if name in CLASSES else ["glyphs", "irt", "sinusoid"]
        assert runs == dict.fromkeys(expected, order)
    assert all(e["code"][e["algorithm"]].startswith("sha256:") for e, _ in found)


@pytest.mark.parametrize("engine", ["loop", "batched"])
@pytest.mark.parametrize("name", METHODS)
def test_it_learns_and_predicts_what_the_one_of_the_package_does(
    name, engine, make, images, double
):
    registry.add("algorithms", str(FOLDER / f"{name}.py"))
    theirs, options = METHODS[name]
    known = registry.option_names("algorithms", name)
    mine = make(name, engine=engine, **{n: v for n, v in options.items() if n in known})
    built_in = make(theirs, engine=engine, **options)
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in built_in.named_parameters()]
    episode = images()
    for learner in (mine, built_in):
        learner.meta_step(episode).backward()
    for (n, p), q in zip(mine.named_parameters(), built_in.parameters()):
        assert p.requires_grad == q.requires_grad, n
        assert torch.equal(p, q), n
        if p.grad is not None:
            torch.testing.assert_close(p.grad, q.grad, rtol=1e-10, atol=1e-10)
    a, b = (learner.predict(episode).log_softmax(-1) for learner in (mine, built_in))
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    assert (
        torch.cat([p.grad.flatten() for p in mine.parameters() if p.grad is not None]).norm() > 0.01
    )
