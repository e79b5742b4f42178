"""What the pages of the project promise: short, every link and every command right."""

import importlib.util
import re
import shlex
import string
import typing
from pathlib import Path
from urllib.parse import unquote

import pytest
import torch

from bench.base import registry
from bench.cli.commands import predict
from bench.cli.main import LIGHTNING_COMMANDS, main, parser
from bench.learning.learner import MetaLearner

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md")]
    + [p for name in ("bench", "datasets", "results") for p in (ROOT / name).rglob("*.md")]
)
WINGS = sorted(p.parent for p in (ROOT / "bench").glob("*/__init__.py"))
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
README = (ROOT / "README.md").read_text()


def pages(paths):
    """Parametrises by pages, named by their path."""
    return pytest.mark.parametrize("page", paths, ids=lambda p: str(p.relative_to(ROOT)))


# Size --------------------------------------------------------------------------------------------


def test_the_first_page_is_short():
    assert len(README.encode()) < 10_000
    assert re.findall("<!-- table: (.+) -->", README) == ["quick"]


@pytest.mark.parametrize("wing", WINGS, ids=lambda p: p.name)
def test_every_wing_has_a_page(wing):
    most = {"algorithms": 6_600, "cli": 9_000, "running": 4_000}.get(wing.name, 3_500)
    assert len((wing / "README.md").read_bytes()) <= most
    text = (wing / "README.md").read_text()
    for words in ("**Read first**", "**May import**", "o add "):
        assert words in text


def test_the_map_names_every_wing():
    text = (ROOT / "bench" / "README.md").read_text()
    assert len(text.encode()) <= 3_500
    for wing in WINGS:
        assert f"[{wing.name}]({wing.name}/README.md)" in text


# Links -------------------------------------------------------------------------------------------


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    punctuation = string.punctuation.replace("-", "").replace("_", "")
    return heading.strip().lower().translate(str.maketrans("", "", punctuation)).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Where links into a page may lead."""
    return {slug(h) for h in re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.M)}


@pages(PAGES)
def test_every_link_leads_somewhere(page):
    text = re.sub("`[^`]*`", "`", FENCED.sub("", page.read_text()))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = unquote(target).partition("#")
        end = (page.parent / path).resolve() if path else page
        assert end.exists(), target
        assert end.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(end), target


def test_the_first_page_lists_every_plug_in():
    for name in registry.names("data"):
        assert f"[{name}](datasets/{name})" in README
    for kind in ("algorithms", "models"):
        for name in registry.names(kind):
            assert f"[{name}](bench/{kind}/{name}.py)" in README
            assert f"[{name}]({name}.py)" in (ROOT / "bench" / kind / "README.md").read_text()


# Algorithms --------------------------------------------------------------------------------------

ROW = re.compile(r"\| \[(\w+)\]\(\1\.py\) \| [^|]+ \| ([^|]+) \| ([^|]+) \|")
PAPER = re.compile(r"\[([\w]+) \d{4}\]\(https://arxiv.org/abs/([\d.]+)\)|(\w+) (\d{4})|-")


def test_the_table_of_algorithms_is_what_the_classes_say():
    rows = ROW.findall((ROOT / "bench" / "algorithms" / "README.md").read_text())
    assert sorted(name for name, _, _ in rows) == registry.names("algorithms")
    for name, paper, orders in rows:
        declared, cls = registry.declaration("algorithms", name), registry.load("algorithms", name)
        text = " ".join(c.__doc__ or "" for c in cls.__mro__[: cls.__mro__.index(MetaLearner)])
        author, number, other, year = PAPER.fullmatch(paper).groups()
        assert all(words in text for words in (author or other or "", number or year or "")), name
        assert paper != "-" or "arXiv" not in cls.__doc__, name
        hint = declared.arguments["order"].hint if "order" in declared.arguments else None
        compared = not declared.attributes.get("role")
        listed = ", ".join(map(str, typing.get_args(hint))) if compared else ""
        assert orders == (listed or "-"), name


# Commands ----------------------------------------------------------------------------------------


def commands(page: Path) -> list[list[str]]:
    """What a page tells to type, in blocks and in the middle of sentences, word by word."""
    text = page.read_text()
    blocks = [block for kind, block in FENCED.findall(text) if kind == "bash"]
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall("^    (.+)$", FENCED.sub("", text), re.MULTILINE)
    lines += [" ".join(span.split()) for span in re.findall("`([^`]+)`", FENCED.sub("", text))]
    lines = [line.rpartition(".venv/bin/")[2] for line in lines]
    return [
        shlex.split(line, comments=True)[1:] for line in lines if re.match("maml-bench [a-z]", line)
    ]


@pages([page for page in PAGES if commands(page)])
def test_every_command_is_understood(page):
    for words in commands(page):
        if "--config" in words:  # which needs a file of the reader's
            continue
        is_lightnings = words[0] in LIGHTNING_COMMANDS and not predict.is_meant(words[1:])
        if len(words) == 1 or is_lightnings:
            with pytest.raises(SystemExit) as stop:
                main([*words, "--help" if len(words) == 1 else "--print_config"])
            assert not stop.value.code, words
            continue
        options = parser().parse_args(words)
        suite = getattr(options, "suite", None)
        if suite and suite != "SUITE" and not suite.endswith((".py", ".yaml")):
            assert registry.load("suites", suite).name == suite, words
        for name in getattr(options, "datasets", None) or ():
            assert name in registry.names("data"), words


CLASSES = {
    flag: {registry.load(kind, name).__name__ for name in registry.names(kind)}
    for flag, kind in (("data", "data"), ("model", "algorithms"))
}


@pages(PAGES)
def test_every_class_that_a_page_gives_to_lightning_is_there(page):
    for flag, name in re.findall(r"--(data|model)\s+(\w+)", page.read_text()):
        assert name in CLASSES[flag], f"--{flag} {name}"


def test_three_commands_lead_tutors_from_a_file_to_a_page():
    part = README.partition("## For tutors")[2].partition("\n## ")[0]
    ((kind, block),) = FENCED.findall(part)
    assert kind == "bash"
    words = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert [Path(first).name for first, *_ in words] == ["pip", "maml-bench", "maml-bench"]
    assert words[0][-1] == ".[tutor]"  # what the page is served with
    assert [line[1] for line in words[1:]] == ["compare", "tutor"]


# Examples ----------------------------------------------------------------------------------------


def python_blocks() -> tuple[str, str]:
    """The script and the algorithm on the first page."""
    script, algorithm = [block for kind, block in FENCED.findall(README) if kind == "python"]
    return script, algorithm


def test_the_script_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the logger writes there
    script = python_blocks()[0]
    for long, short in (
        ("max_steps=300", "max_steps=2"),
        ("shots=1,", "shots=1, test_episodes=4,"),
    ):
        assert script.count(long) == 1
        script = script.replace(long, short)
    names = {}
    exec(compile(script, "README.md", "exec"), names)
    torch.testing.assert_close(names["probabilities"].sum(1), torch.ones(75))


def test_the_algorithm_is_whole(tmp_path):
    path = tmp_path / "biases.py"
    path.write_text(python_blocks()[1])
    spec = importlib.util.spec_from_file_location("biases", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data = registry.create("data", "sinusoid")
    learner = module.Biases(spec=data.spec)
    learner.configure_model()
    episode = next(iter(data.train_dataloader()))
    assert {n.split(".")[-1] for n in learner.start(episode)} == {"bias"}
    learner.loss(episode).mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in learner.net.parameters())
    assert "`bench/algorithms/biases.py`" in README
    assert "--algorithms maml biases" in README
