import hashlib
import io
import json
import shutil
import tarfile
import urllib.error
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from bench import OmniglotDataModule
from bench.base import paths
from bench.base.errors import BenchError
from bench.data import omniglot
from bench.data.images import packed

BACKGROUND, EVALUATION = omniglot.HALVES
SMALL = {  # a split of an Omniglot of six characters
    "train": ["Aleph/character01", "Aleph/character02", "Beth/character01"],
    "val": ["Gimel_(old)/character01"],
    "test": ["Daleth/character01", "Daleth/character02"],
}


def all_of(split):
    return [name for names in split.values() for name in names]


def drawing(seed):
    """A PNG like Omniglot's: 105x105, 1 bit, black on white; a bar at the top, then scribble."""
    image = Image.new("1", (105, 105), 1)
    draw = ImageDraw.Draw(image)
    draw.rectangle([5, 5, 100, 12], fill=0)
    points = np.random.default_rng(seed).integers(25, 100, (6, 2))
    draw.line([tuple(map(int, p)) for p in points], fill=0, width=3)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def drawings():
    """``{path: PNG}`` of the small Omniglot."""
    files = {}
    for split, characters in SMALL.items():
        half = EVALUATION if split == "test" else BACKGROUND
        for character in characters:
            number = len(files) // 20 + 1
            for drawer in range(1, 21):
                name = f"{half}/{character}/{number:04d}_{drawer:02d}.png"
                files[name] = drawing([number, drawer])
    return files


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Makes the small Omniglot the official one: what is expected is read from the split files."""
    facts = tmp_path / "facts"
    (facts / "splits").mkdir(parents=True)
    for split in ("lake", "vinyals"):
        (facts / "splits" / f"{split}.json").write_text(json.dumps(SMALL))
    shutil.copy(paths.facts("omniglot") / "checksums.txt", facts)
    monkeypatch.setattr(paths, "facts", lambda name: facts)
    return facts


@pytest.fixture
def folder(small, tmp_path, drawings):
    return write(tmp_path / "source" / "omniglot", drawings)


@pytest.fixture
def root(small, tmp_path, folder):
    omniglot.prepare(folder, tmp_path / "root")
    return tmp_path / "root"


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_zips(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for half in omniglot.HALVES:
        with zipfile.ZipFile(folder / f"{half}.zip", "w") as archive:
            for name, content in files.items():
                if name.startswith(half):
                    archive.writestr(name, content)
    return folder


def write_tar(path, folder):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, ".")
    return path


# What is prepared --------------------------------------------------------------------------------


def test_images_are_small_inverted_and_upright(root, drawings):
    classes = packed.read(root / "omniglot.packed", "")
    assert classes.names == sorted(all_of(SMALL))
    for (_, content), image in zip(sorted(drawings.items(), key=order), classes.images):
        small = Image.open(io.BytesIO(content)).convert("L").resize((28, 28), Image.LANCZOS)
        assert np.array_equal(image[..., 0], 255 - np.asarray(small))
    assert classes.images[:, 2, 4:24].min() > 200  # the bar at the top is bright
    assert classes.images[:, 0].max() < 60  # and the paper is dark
    assert (classes.images[:, 26:, 13:15].mean() < classes.images[:, 1:3, 13:15].mean() / 3).all()


def order(item):
    return item[0].split("/", 1)[1]  # by alphabet and character, whichever half they are in


def test_every_kind_of_source_gives_the_same(root, folder, tmp_path, drawings):
    expected = (root / "omniglot.packed").read_bytes()
    zips = write_zips(tmp_path / "zips", drawings)
    mixed = write(tmp_path / "mixed", {k: v for k, v in drawings.items() if BACKGROUND in k})
    shutil.copy(zips / f"{EVALUATION}.zip", mixed)
    both = shutil.copytree(folder, tmp_path / "both")  # unpacked beside the zips, as torchvision
    write_zips(both, drawings)
    sources = [
        folder,
        folder.parent,
        folder / BACKGROUND,
        folder / EVALUATION,
        zips,
        zips / f"{BACKGROUND}.zip",
        zips / f"{EVALUATION}.zip",
        mixed,
        both,
        write_tar(tmp_path / "folders.tar.gz", folder),
        write_tar(tmp_path / "zips.tar.gz", zips),
    ]
    for number, source in enumerate(sources):
        said = omniglot.prepare(source, tmp_path / str(number))
        assert (tmp_path / str(number) / "omniglot.packed").read_bytes() == expected, source
        assert "6 characters of 20 drawings" in said
        assert "120 images of 28x28" in said
        uses_zip = source in sources[4:8] or source == sources[10]
        assert ("does not have the official MD5" in said) == uses_zip


def test_official_md5_is_recognised(small, tmp_path, drawings):
    zips = write_zips(tmp_path / "zips", drawings)
    md5 = {half: hashlib.md5((zips / f"{half}.zip").read_bytes()) for half in omniglot.HALVES}
    (small / "checksums.txt").write_text(
        "".join(f"{md5[half].hexdigest()}  {half}.zip\n" for half in md5)
    )
    said = omniglot.prepare(zips, tmp_path / "root")
    assert f"{BACKGROUND}.zip has the official MD5. {EVALUATION}.zip has" in said


def test_download(small, tmp_path, drawings, monkeypatch):
    zips, asked = write_zips(tmp_path / "zips", drawings), []

    def download_url(url, root, md5):
        asked.append((url.rsplit("/", 1)[1], md5))
        shutil.copy(zips / asked[-1][0], root)

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download_url)
    said = omniglot.prepare(None, tmp_path / "root")
    assert "6 characters of 20 drawings in the official zips, downloaded." in said
    assert dict(asked) == omniglot._checksums()


@pytest.mark.parametrize(
    "error", [urllib.error.URLError("no network"), RuntimeError("File not found or corrupted.")]
)
def test_failed_download_says_what_else_to_do(small, tmp_path, monkeypatch, error):
    def download_url(*args, **kwargs):
        raise error

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download_url)
    with pytest.raises(BenchError, match="download failed .*maml-bench prepare omniglot --source"):
        omniglot.prepare(None, tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_what_is_odd_is_said(folder, tmp_path):
    shutil.copytree(folder / EVALUATION / "Daleth", folder / EVALUATION / "Zayin")
    file = next((folder / BACKGROUND / "Beth" / "character01").iterdir())
    Image.open(file).resize((28, 28)).save(file)
    said = omniglot.prepare(folder, tmp_path / "root")
    assert "Left out 2 characters that Omniglot lacks, such as Zayin/character01." in said
    assert "1 drawings were not 105x105" in said


# What is refused ---------------------------------------------------------------------------------


def refused(source, root, match):
    with pytest.raises(BenchError, match=match) as error:
        omniglot.prepare(source, root)
    assert "\n" not in str(error.value)
    assert not root.is_dir() or not list(root.iterdir())


def test_missing_source(small, tmp_path):
    refused(tmp_path / "nowhere", tmp_path / "root", "nowhere: there is no such file or folder")


def test_other_folder(small, tmp_path):
    write(tmp_path / "photos", {"a/b/c.png": b""})
    refused(tmp_path / "photos", tmp_path / "root", "photos: no drawings of Omniglot.*PATH may be")


def test_the_root_folder(small, tmp_path, monkeypatch):
    """It has no name; and to look through it here would take long."""

    def opened(path):
        raise BenchError(f"{path}: looked through")

    monkeypatch.setattr(omniglot.archives, "opened", opened)
    refused(Path("/"), tmp_path / "root", "^/: looked through")


def test_one_half(folder, tmp_path):
    shutil.rmtree(folder / EVALUATION)
    match = (
        f"4 of 4 characters of {BACKGROUND} and 0 of 2 characters of {EVALUATION} are complete; "
        "Daleth/character01 has 0 drawings instead of 20"
    )
    refused(folder, tmp_path / "root", match)
    refused(folder / BACKGROUND, tmp_path / "root", match)


def test_missing_drawing(folder, tmp_path):
    (folder / BACKGROUND / "Aleph" / "character02" / "0002_07.png").unlink()
    refused(folder, tmp_path / "root", "3 of 4 .*; Aleph/character02 has 19 drawings instead of 20")


def test_two_copies(folder, tmp_path):
    shutil.copytree(folder / BACKGROUND, folder / "copy" / BACKGROUND)
    refused(folder, tmp_path / "root", r"holds Aleph/character01/0001_01\.png twice")


def test_truncated_drawing(folder, tmp_path):
    file = folder / BACKGROUND / "Aleph" / "character02" / "0002_07.png"
    file.write_bytes(file.read_bytes()[:-40])
    refused(folder, tmp_path / "root", r"character02/0002_07\.png: not a whole image")


def test_corrupt_zip(small, tmp_path, drawings):
    zips = write_zips(tmp_path / "zips", drawings)
    content = bytearray((zips / f"{EVALUATION}.zip").read_bytes())
    content[len(content) // 3] ^= 1
    (zips / f"{EVALUATION}.zip").write_bytes(content)
    refused(zips, tmp_path / "root", rf"{EVALUATION}\.zip: damaged")


def test_unwritable_root(folder, tmp_path):
    (tmp_path / "file").touch()
    refused(folder, tmp_path / "file" / "root", "root: cannot be written")


def test_not_prepared(small, tmp_path):
    data = OmniglotDataModule(data_root=tmp_path)
    with pytest.raises(BenchError, match=r"run `maml-bench prepare omniglot .*`; PATH may be"):
        data.setup("fit")


def test_unknown_split():
    with pytest.raises(BenchError, match="split='mine': choose lake or vinyals"):
        OmniglotDataModule(split="mine")


# Episodes ----------------------------------------------------------------------------------------


def test_episode_depends_on_its_number_alone(root):
    def data():
        return OmniglotDataModule(ways=3, queries=2, data_root=root)

    index = np.array([7, 0, 123456789])
    together = data().episodes("train", index)
    assert together.support_x.shape == (3, 3, 1, 28, 28)
    assert together.query_x.shape == (3, 6, 1, 28, 28)
    for row, number in enumerate(index):
        alone = data().episodes("train", np.array([number]))
        for several, one in zip(together, alone):
            assert several is one is None or torch.equal(several[row], one[0])


def test_no_character_is_in_two_splits_however_it_is_turned(root):
    classes = packed.read(root / "omniglot.packed", "")
    home = {}  # each image under each turn -> its character
    for name, first in zip(classes.names, classes.start):
        for image in classes.images[first : first + 20, ..., 0]:
            home |= {np.rot90(image, k).tobytes(): name for k in range(4)}
    data = OmniglotDataModule(ways=4, queries=3, rotations="all", data_root=root)
    for split, own in SMALL.items():
        episodes = data.episodes(split, np.arange(40))
        x = torch.cat([episodes.support_x, episodes.query_x], 1).mul(255).round().byte()
        seen = {home[image.numpy().tobytes()] for image in x.flatten(0, 1)}
        assert seen == set(own)


@pytest.mark.parametrize(("rotations", "classes"), [("none", 3), ("train", 12), ("all", 12)])
def test_rotations_are_classes_of_their_own(root, rotations, classes):
    OmniglotDataModule(ways=classes, rotations=rotations, data_root=root).classes("train")
    with pytest.raises(BenchError, match=f"has {classes} classes only"):
        OmniglotDataModule(ways=classes + 1, rotations=rotations, data_root=root).classes("train")
    available = 8 if rotations == "all" else 2
    OmniglotDataModule(ways=available, rotations=rotations, data_root=root).classes("test")
    with pytest.raises(BenchError, match=f"has {available} classes only"):
        OmniglotDataModule(ways=available + 1, rotations=rotations, data_root=root).classes("test")


# Facts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "sizes"), [("vinyals", [1028, 172, 423]), ("lake", [883, 81, 659])]
)
def test_split_files(split, sizes):
    characters = omniglot.characters(split)
    assert [len(characters[s]) for s in ("train", "val", "test")] == sizes
    assert all(names == sorted(names) for names in characters.values())
    together = all_of(characters)
    assert len(set(together)) == len(together) == 1623
    assert set(together) == set(all_of(omniglot.characters("lake")))


def test_lake_keeps_alphabets_whole():
    alphabets = {s: {n.split("/")[0] for n in c} for s, c in omniglot.characters("lake").items()}
    assert [len(a) for a in alphabets.values()] == [25, 5, 20]
    assert len(set.union(*alphabets.values())) == 50


def test_checksums_are_those_of_torchvision():
    from torchvision.datasets import Omniglot

    assert omniglot._checksums() == {f"{k}.zip": v for k, v in Omniglot.zips_md5.items()}


# The real thing ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_real_omniglot(tmp_path, shared_data):
    source = shared_data("omniglot")
    said = omniglot.prepare(source / "omniglot_raw_png.tar.xz", tmp_path)
    assert "1,623 characters of 20 drawings" in said
    with np.load(source / "omniglot_28_lanczos.npz") as file:
        reference = dict(file)
    alphabets = reference["alphabet_names"][reference["alphabet"]]
    names = [f"{a}/character{c:02d}" for a, c in zip(alphabets, reference["character_in_alphabet"])]
    expected = 255 - reference["images"][np.lexsort([reference["drawer"], names])]
    classes = packed.read(tmp_path / "omniglot.packed", "")
    assert np.array_equal(classes.images[..., 0], expected)
    for split in ("vinyals", "lake"):
        data = OmniglotDataModule(split=split, ways=20, shots=5, data_root=tmp_path)
        assert data.episodes("test", np.arange(2)).query_x.shape == (2, 300, 1, 28, 28)


def test_real_zip_of_a_part_is_refused(tmp_path, shared_data):
    source = shared_data("omniglot", "images_background_small1.zip")
    shutil.copy(source, tmp_path / f"{BACKGROUND}.zip")
    refused(tmp_path / f"{BACKGROUND}.zip", tmp_path / "root", "no drawings of Omniglot")
