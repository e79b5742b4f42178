"""Sets that hold several folders of one class, of which one is meant."""

import pytest

from bench.base.errors import BenchError
from bench.data import mini_imagenet


@pytest.fixture
def imagenet(few_images, written):
    """ImageNet's folders ``train/<class>`` and the tables that count their images."""
    source = written("ravi_class_folders", few_images)
    (source / "ILSVRC").rename(source / "train")
    return source


def put(imagenet, folder, few_images):
    """Puts images of a class into a folder more, named as ImageNet's validation images are."""
    (imagenet / folder).mkdir(parents=True)
    # another class's, so that nothing else would tell them from those of the class
    other = [file for (_, label, _), file in few_images.items() if label == "n00000001"]
    for i, file in enumerate(other):
        (imagenet / folder / f"ILSVRC2012_val_{i:08d}.JPEG").write_bytes(file)


def test_of_imagenet_the_images_for_training_are_counted(imagenet, few_images, tmp_path):
    mini_imagenet.prepare(imagenet, tmp_path / "a")
    put(imagenet, "val/n00000006", few_images)
    mini_imagenet.prepare(imagenet, tmp_path / "b")
    a, b = ((tmp_path / n / "mini_imagenet.packed").read_bytes() for n in "ab")
    assert a == b


def test_which_of_several_folders_is_counted_is_not_guessed(imagenet, few_images, tmp_path):
    (imagenet / "train").rename(imagenet / "part 1")
    put(imagenet, "part 2/n00000006", few_images)
    words = r"val\.csv, line \d: n\d+\.jpg counts .*part 1/n00000006 and part 2/n00000006: leave"
    with pytest.raises(BenchError, match=words):
        mini_imagenet.prepare(imagenet, tmp_path / "root")
    assert not list(tmp_path.glob("root/*"))


def test_a_table_of_whole_names_may_take_them_from_several_folders(few_images, written, tmp_path):
    source = written("easyfsl_csv", few_images)
    mini_imagenet.prepare(source, tmp_path / "a")
    (source / "more" / "n00000006").mkdir(parents=True)
    moved = source / "ILSVRC" / "n00000006" / "n00000006_7.JPEG"
    moved.rename(source / "more" / "n00000006" / moved.name)
    mini_imagenet.prepare(source, tmp_path / "b")
    a, b = ((tmp_path / n / "mini_imagenet.packed").read_bytes() for n in "ab")
    assert a == b
