"""The page holds every part, and nothing of a record is more than text in it."""

import json
import re
import shutil
import time

import pytest

from bench.cli.main import main
from bench.results import records as files
from bench.results.failed import Failure
from bench.results.report import page
from bench.results.report import runs as report_runs
from bench.results.report.answer import Pair
from bench.results.run_files import RunFiles

HOSTILE = "</script><img src=x onerror=alert(1)> $\\frac$ \"'<b>"


@pytest.fixture
def folder(tmp_path, runs, trials):
    """``folder("name", records)``: a results folder, of its own records if none are given."""

    def make(name, found=None):
        found = found or [*runs("omniglot", 3), *runs("cub"), *trials("omniglot", [0.1, 0.5, 0.3])]
        for record in found:
            files.write(RunFiles.locate(tmp_path / name, record["experiment"]).record, record)
        return tmp_path / name

    return make


def test_the_page_has_every_part(folder, monkeypatch, capsys):
    out = folder("mine")
    monkeypatch.chdir(out.parent)
    assert main(["report", "--out", "mine", "--against", "mine"]) == 0
    assert "wrote mine/report.html" in capsys.readouterr().out
    text = (out / "report.html").read_text()
    for words in (
        "Is second-order MAML worth its price?",
        "Second against first order",
        "second order ahead",
        "one seed",
        "Which method to take",
        "Test, before and after each inner step",
        "Validation, against training time",
        "How hyper-parameters were chosen",
        "Published beside ours",
        "Against mine",
        "Every run",
    ):
        assert words in text, words
    assert "Best of 3" in text
    assert "50.0 %" in text  # of three trials the best
    assert "inner_lr=0.1" in text
    details = re.search(r'id="details">(.*?)</script>', text, re.DOTALL)[1]
    packed = json.loads(details)
    details = [
        {name: packed["texts"][n] for name, n in zip(packed["names"], run) if n is not None}
        for run in packed["runs"]
    ]
    assert len(details) == 12  # trials are no results
    assert len(set(packed["texts"])) == len(packed["texts"])
    commands = {d["Repeat this run and compare"] for d in details}
    assert "maml-bench reproduce mine/runs/quick/cub-maml-s0.json" in commands
    assert next(iter(details[0])) == "Repeat this run and compare"


def test_what_is_there_twice_is_told_apart(runs):
    text = page.html("mine", runs("omniglot") + runs("omniglot", suite="other") + runs("cub"))
    nav = re.search(r"<nav.*?</nav>", text, re.DOTALL)[0]
    links = re.findall(r">([^<]+)</a>", nav)
    assert {"omniglot (quick)", "omniglot (other)", "cub"} < {*links}
    assert len(links) == len(set(links))
    labels = re.findall(r'role="img" aria-label="([^"]+)"', text)
    assert labels
    assert len(labels) == len(set(labels))


def test_stars_are_explained(runs):
    found = []
    for shots in (1, 5):
        for record in runs("student", 3):
            record["experiment"] |= {"shots": shots, "ways": None}
            record["experiment"]["key"] += f"-{shots}"
            values = record["metrics"].pop("accuracy")
            record["metrics"] |= {"headline": "auc", "auc": values}
            record["evaluation"]["per_episode"] = {
                "auc": record["evaluation"]["per_episode"]["accuracy"]
            }
            found.append(record)
    text = page.html("mine", found)
    assert " *</td>" in text
    assert "* marks a difference whose interval excludes zero." in text


def test_every_setting_says_how_the_published_one_differs(runs):
    found = runs("omniglot") + runs("omniglot")
    for record in found[3:]:
        record["experiment"] |= {"shots": 5, "key": record["experiment"]["key"] + "-5"}
    text = page.html("mine", found)
    for setting in ("5-way 1-shot", "5-way 5-shot"):
        assert f"<strong>MAML, second order, {setting}</strong> differs: " in text


def test_the_same_records_give_the_same_page(folder):
    found = files.read_all(folder("mine"))
    assert page.html("mine", found) == page.html("mine", found)


def test_nothing_is_asked_of_any_network(folder):
    text = page.html("mine", files.read_all(folder("mine")))
    names = re.findall(r'(?:src|href|action|data)="([^"]*)"', text)
    assert names
    assert all(name.startswith(("#", "data:")) for name in names)
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_ids_are_there_once_and_links_lead_to_them(folder):
    text = page.html("mine", files.read_all(folder("mine")))
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


def test_a_hostile_record_is_text(runs):
    found = runs("omniglot", 2, chosen=HOSTILE)
    for record in found:
        record["provenance"]["device"] = HOSTILE
        record["provenance"]["date"] = HOSTILE
        record["experiment"]["learner"]["model"] = HOSTILE
    found[0]["algorithm"] = found[3]["algorithm"] = {"label": HOSTILE, "order": 2, "role": None}
    failure = Failure(HOSTILE, HOSTILE, False, found[0]["experiment"] | {"dataset": HOSTILE})
    text = page.html(HOSTILE, found, [failure], found, HOSTILE)
    assert "<img" not in text
    assert text.count("</script>") == 2  # ours
    assert text.count("<b>") == 0
    assert "&lt;img src=x" in text


def test_answers_that_are_all_right_have_no_auc_and_have_not_diverged(runs):
    found = runs("student", 3)
    for record in found:
        none = {"mean": None, "ci95": None, "per_step": [None, None]}
        nll = {"mean": 0.01, "ci95": 0.001, "per_step": [0.1, 0.01]}
        record["metrics"] = {"headline": "auc", "higher_is_better": True, "auc": none, "nll": nll}
        record["evaluation"]["per_episode"] = {"auc": [None] * 40}
    text = page.html("results", found, (), found, "results")
    assert "AUC -" in text
    assert "diverged" not in text


def test_a_suite_that_is_not_there_is_named(folder, refused):
    folder("mine")
    refused("report other --out mine", "no records of suite 'other'")
    refused("report --out nowhere", "no records under nowhere")


def test_one_suite_alone(folder, runs, monkeypatch):
    out = folder("mine", runs("omniglot") + runs("cub", suite="other"))
    monkeypatch.chdir(out.parent)
    assert main(["report", "other", "--out", "mine"]) == 0
    text = (out / "report.html").read_text()
    assert 'id="other-cub"' in text
    assert "omniglot" not in text.replace("omniglot maml", "")  # which the filter suggests


@pytest.mark.slow
def test_five_hundred_records_take_seconds(runs):
    """Bounded generously, for machines that do other work too; it takes a few."""
    found = [r for n in range(12) for r in runs(f"data{n}", seeds=14)]
    assert len(found) > 500
    began = time.process_time()
    text = page.html("results", found)
    assert time.process_time() - began < 30
    assert len(text.encode()) < 3_000_000


def test_against_a_folder_of_other_episodes(folder, runs, monkeypatch):
    shutil.copytree(folder("mine", runs("omniglot")), out := folder("mine").parent / "copy")
    others = runs("omniglot", gain=0.2)
    for record in others:
        record["evaluation"]["index"] = list(range(100, 140))
    text = page.html(out, runs("omniglot"), (), others, "theirs")
    assert "not paired" in text
    same = page.html(out, runs("omniglot"), (), runs("omniglot", gain=0.2), "theirs")
    assert "not paired" not in same
    assert "-10.0 ± 0.0" in same


def test_pairs_that_are_alike_are_told_apart_by_their_suite():
    one = Pair("small", "irt", "10-shot", "MAML", "+.1", 0.1, 0.1, 2.0, 2.0, "one seed", 1)
    lines = page._forest([one, one._replace(suite="large"), one._replace(method="ANIL")])
    assert [line["suite"] for line in lines] == ["small", "large", ""]


def test_commands_are_those_that_work(runs, tmp_path):
    """A comparison is no suite of the package, and code of the user's own has to be named."""
    packaged, compared, own = (runs("omniglot")[0] for _ in range(3))
    compared["experiment"]["suite"] = "compare-mine-12345678"
    own["experiment"]["code"] = {own["experiment"]["algorithm"]: "sha256:1"}
    found = [line["details"] for line in report_runs.lines([packaged, compared, own], tmp_path)]
    run, again = "Run it from its suite as that stands", "Repeat this run and compare"
    assert [run in details for details in found] == [True, False, False]
    name = own["experiment"]["algorithm"]
    assert found[2][again].endswith(f".json --algorithms path/to/{name}.py")
    assert found[0][again].endswith(".json")
