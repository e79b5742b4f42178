import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import main as cli


def test_help_and_a_mistake_are_answered_without_loading_torch():
    code = (
        "import sys; from bench.cli import main as cli\n"
        "assert cli.main(['run', 'quikc']) == 2\n"
        "assert 'torch' not in sys.modules and 'lightning' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "unknown suite 'quikc': did you mean quick?" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_plan_is_printed_without_loading_what_takes_seconds(tmp_path):
    code = (
        "import sys; from bench.cli import main as cli\n"
        f"assert cli.main(['run', 'quick', '--dry-run', '--out', {str(tmp_path)!r}]) == 0\n"
        "print({'torch', 'lightning', 'pandas', 'scipy', 'matplotlib'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("quick: 13 runs, 0 done, 13 to do")
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_plan_with_an_argument_that_cannot_be_is_refused(tmp_path, capsys):
    flags = ["--dry-run", "--datasets", "sinusoid", "--out", str(tmp_path), "--set"]
    assert cli.main(["run", "quick", *flags, "inner_steps=-1"]) == 2
    assert "inner_steps=-1: give a whole number of at least 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["run", "nothing-like-it"], "unknown suite"),
        (["run", "quick", "--algorithms", "mamml"], "did you mean maml"),
        (["run", "quick", "--datasets", "glyph"], "did you mean glyphs"),
        (["run", "quick", "--set", "inner_lr"], "write NAME=VALUE"),
        (["run", "quick", "--set", "inner_lrr=1"], "did you mean inner_lr"),
        (["prepare", "omniglott"], "did you mean omniglot"),
        (["table", "--out", "{tmp}/none"], "no records"),
        (["run", "quick", "--out", "{tmp}/file/x", "--datasets", "sinusoid"], "cannot write to"),
        (
            ["run", "quick", "--datasets", "glyphs", "--ways", "5000", "--out", "{tmp}/a"],
            "ways=5000",
        ),
        (
            ["run", "quick", "--datasets", "glyphs", "--shots", "90", "--out", "{tmp}/a"],
            "shots=90 + queries=5",
        ),
        (["run", "omniglot-small", "--data-root", "{tmp}", "--out", "{tmp}/a"], "prepare omniglot"),
    ],
)
def test_a_mistake_is_one_clear_message_and_exit_code_2(argv, message, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert cli.main([a.replace("{tmp}", str(tmp_path)) for a in argv]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("maml-bench: ")
    assert "Traceback" not in error


def test_a_prepared_folder_given_by_path_serves_a_whole_run(tmp_path, capsys, monkeypatch):
    """The folder is a Path on the command line, and a checkpoint must be readable with it."""
    import numpy as np

    from bench.data.images.episodes import ImageClasses
    from bench.data.omniglot import OmniglotDataModule

    names = [f"character{i}" for i in range(6)]
    images = np.random.default_rng(0).integers(0, 255, (6, 8, 28, 28, 1), np.uint8)
    monkeypatch.setattr(
        OmniglotDataModule, "load", lambda self, split: ImageClasses.pack(images, names)
    )
    monkeypatch.setattr(OmniglotDataModule, "checksum", "of no file")
    monkeypatch.setattr("bench.running.probe.measure", lambda spec, **options: None)
    flags = ["--algorithms", "fomaml", "--data-root", str(tmp_path), "--out", str(tmp_path / "out")]
    few = ["iterations=2", "validations=1", "val_episodes=2", "test_episodes=2"]
    assert cli.main(["run", "omniglot-small", *flags, "--accelerator", "cpu", "--set", *few]) == 0
    assert "MAML, first order" in capsys.readouterr().out


def test_hardware_that_is_not_there_is_said(tmp_path, capsys):
    flags = ["--datasets", "sinusoid", "--out", str(tmp_path), "--accelerator", "gppu"]
    assert cli.main(["run", "quick", *flags]) == 2
    assert "accelerator='gppu'" in capsys.readouterr().err


def test_wrong_flags_exit_with_2(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", "quick", "--seed", "one"])
    assert stop.value.code == 2


def test_list_shows_everything_with_one_line_each(capsys):
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    for name in ("maml", "fomaml", "omniglot", "irt", "conv4", "mlp", "quick"):
        assert any(line.strip().startswith(name) for line in text.splitlines()), name


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path, capsys):
    assert cli.main(["run", "quick", "--dry-run", "--out", str(tmp_path / "out")]) == 0
    assert "to do" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_version():
    done = subprocess.run([sys.executable, "-m", "bench", "--version"], capture_output=True)
    assert done.returncode == 0


# Standard streams --------------------------------------------------------------------------------


def shell(command, tmp_path):
    command = f"{sys.executable} -m bench {command}"
    options = {"capture_output": True, "text": True, "cwd": tmp_path}
    return subprocess.run(["bash", "-c", command], **options)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_as_good_as_nowhere(closed, tmp_path):
    done = shell(f"list suites {closed}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    done = shell(f"table --out nowhere {closed}", tmp_path)
    assert done.returncode == 2
    assert ("no records under nowhere" in done.stderr) == ("2>" not in closed)
    assert "Traceback" not in done.stderr


def test_what_is_written_does_not_get_what_is_printed(tmp_path, monkeypatch):
    """The number of a closed stream is free for the next file that is opened."""
    code = "import os, sys; from bench.cli import main; main._open_closed_streams()\n"
    code += "print(os.open('x', os.O_CREAT | os.O_WRONLY), file=sys.stderr); print('to stdout')"
    options = {"capture_output": True, "text": True, "cwd": tmp_path}
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "$CODE" >&- <&-'],
        env={**os.environ, "CODE": code},
        **options,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stderr) > 2
    assert (tmp_path / "x").read_text() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_standard_output_is_one_message(tmp_path):
    done = shell("list suites > /dev/full", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "maml-bench: [Errno 28] No space left on device: give another path" in done.stderr
