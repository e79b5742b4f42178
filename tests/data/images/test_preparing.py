"""What ``prepare`` says of images that occur twice; what is left of it when it is killed, or when
two of them run at once."""

import io
import random
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data import mini_imagenet
from bench.data.images import packed

# Says that it is ready, waits for a line, then prepares as often as it is told.
CHILD = """
import sys
from pathlib import Path
from bench.data import mini_imagenet
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    mini_imagenet.prepare(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def source(tmp_path):
    for split, labels in {"train": "abcd", "val": "ef", "test": "gh"}.items():
        for label in labels:
            folder = tmp_path / "source" / split / label
            folder.mkdir(parents=True)
            for i in range(20):
                drawn = np.random.default_rng([ord(label), i]).integers(0, 256, (84, 84, 3))
                file = io.BytesIO()
                Image.fromarray(drawn.astype(np.uint8)).save(file, "PNG")
                (folder / f"{i}.png").write_bytes(file.getvalue())
    return tmp_path / "source"


def started(source, root, times):
    command = [sys.executable, "-c", CHILD, str(source), str(root), str(times)]
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout.readline() == "ready\n"
    return child


def go(child):
    child.stdin.write("\n")
    child.stdin.flush()


def test_images_of_two_splits_are_counted(source, tmp_path):
    for i in range(3):
        (source / "val" / "e" / f"copy {i}.png").write_bytes(
            (source / "train" / "a" / f"{i}.png").read_bytes()
        )
    (source / "test" / "g" / "copy.png").write_bytes((source / "val" / "f" / "0.png").read_bytes())
    (source / "test" / "g" / "twin.png").write_bytes((source / "test" / "g" / "0.png").read_bytes())
    said = mini_imagenet.prepare(source, tmp_path / "root")
    assert "CAUTION: 3 images of val are in train too, pixel by pixel, such as train/a/" in said
    assert "CAUTION: 1 images of test are in val too, pixel by pixel, such as " in said
    assert "test/g/copy.png" in said
    assert "1 images occur more than once within their split." in said


def test_a_class_under_two_names_is_refused(source, tmp_path):
    for i in range(11):
        (source / "test" / "g" / f"{i}.png").write_bytes(
            (source / "train" / "a" / f"{i}.png").read_bytes()
        )
    match = "11 images of test are in train too, pixel by pixel, .*: this is no split"
    with pytest.raises(BenchError, match=match):
        mini_imagenet.prepare(source, tmp_path / "root")
    assert not list(tmp_path.glob("root/*"))


@pytest.mark.slow
def test_killed_at_any_moment_nothing_looks_finished(source, tmp_path):
    begin = time.perf_counter()
    mini_imagenet.prepare(source, tmp_path / "whole")
    takes = time.perf_counter() - begin
    whole = (tmp_path / "whole" / "mini_imagenet.packed").read_bytes()
    root, draw, interrupted = tmp_path / "root", random.Random(0), 0
    for _ in range(4):
        with started(source, root, 1000) as child:
            go(child)
            time.sleep(takes * draw.random())
            child.kill()
        assert child.returncode < 0
        interrupted += any(root.glob(".*.unfinished"))
        cache = root / "mini_imagenet.packed"
        assert not cache.exists() or cache.read_bytes() == whole
    assert interrupted
    assert all(path.name.endswith((".unfinished", ".packed")) for path in root.iterdir())
    mini_imagenet.prepare(source, root)  # is not in the way of the next one
    assert cache.read_bytes() == whole


@pytest.mark.slow
def test_two_at_once_do_not_corrupt_the_cache(source, tmp_path):
    root = tmp_path / "root"
    children = [started(source, root, 5) for _ in range(2)]
    for child in children:
        go(child)
    seen = 0
    while any(child.poll() is None for child in children):
        if (root / "mini_imagenet.packed").exists():
            packed.check(root / "mini_imagenet.packed", "")
            seen += 1
    for child in children:
        with child:
            assert child.wait() == 0
    assert seen
    mini_imagenet.prepare(source, tmp_path / "alone")
    names = [path.name for path in root.iterdir()]
    assert names == ["mini_imagenet.packed"]
    first, second = ((tmp_path / n / names[0]).read_bytes() for n in ("root", "alone"))
    assert first == second
