import pytest

from bench.base import registry
from bench.cli import main as cli
from bench.cli.commands import list as listing


@pytest.mark.parametrize("name", registry.names("data"))
def test_every_card_says_where_it_is_from_and_under_which_licence(name):
    found = dict(listing.facts(name))
    assert {"Origin", "Licence", "Cite", "Real?"} <= found.keys()
    assert all(found.values())


def test_the_list_of_data_sets_says_what_is_ready(tmp_path, capsys):
    (tmp_path / "omniglot.packed").touch()
    assert cli.main(["list", "datasets", "-v", "--data-root", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Licence: MIT, © 2015 Brenden Lake" in said
    assert f"ready, prepared in {tmp_path}" in said
    assert "not prepared: maml-bench prepare mini_imagenet --source PATH" in said
    assert "ready, nothing to prepare" in said


def test_what_is_not_finished_is_not_ready(tmp_path):
    records = tmp_path / "meta_dataset"
    for folder in (".pets.unfinished", ".pets.old", "pets"):
        (records / folder).mkdir(parents=True)
    (records / ".pets.lock").touch()
    (records / ".pets.unfinished" / "dataset_spec.json").touch()
    (tmp_path / ".cub.packed.0123abcd.unfinished").touch()
    for name in ("meta_dataset", "cub"):
        assert listing.ready(name, tmp_path).startswith(f"not prepared: maml-bench prepare {name}")
    (records / "pets" / "dataset_spec.json").touch()
    assert listing.ready("meta_dataset", tmp_path) == f"ready, prepared in {tmp_path}"


def test_without_v_a_line_each(capsys):
    assert cli.main(["list", "data"]) == 0
    said = capsys.readouterr().out
    assert "Licence" not in said
    assert len(said.splitlines()) <= 2 * len(registry.names("data")) + 1
