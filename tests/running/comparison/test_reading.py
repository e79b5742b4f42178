"""What the command makes of files, folders and names."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data import synthetic5
from bench.running.comparison import planning, reading


def table(path, students, items, ordered=False, fixed=False, seed=0):
    """A file with a row for each answer."""
    rng = np.random.default_rng(seed)
    lines = ["user_id,item_id,correct" + (",timestamp" if ordered else "")]
    for s in range(students):
        order = range(items) if fixed else rng.permutation(items)
        for t, i in enumerate(order):
            time = f",{1000 + 60 * t}" if ordered else ""
            lines.append(f"s{s},q{i},{rng.integers(2)}{time}")
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def folder(path, classes, images=4):
    """A folder with a folder of images for each class."""
    for c in range(classes):
        (path / f"c{c}").mkdir(parents=True)
        for i in range(images):
            pixels = np.random.default_rng(100 * c + i).integers(0, 255, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(path / f"c{c}" / f"{i}.png")
    return str(path)


def test_few_students_have_folds_and_say_so(tmp_path):
    source = reading.read([table(tmp_path / "My class.csv", 25, 20)], tmp_path)
    assert (source.name, source.folds, source.students) == ("My-class", 5, 25)
    assert source.data["tested_shots"] == (1, 3, 5, 10)
    assert source.data["protocol"] == "random"
    said = " ".join(source.said)
    assert "25 students, 20 items" in said
    assert "Columns: 'user_id' as user_id, 'item_id' as item_id, 'correct' as correct." in said
    assert "each of 5 parts of the students in turn" in said


def test_the_first_answers_are_shown_where_time_is_known(tmp_path):
    source = reading.read([table(tmp_path / "a.csv", 12, 8, ordered=True)], tmp_path)
    assert source.in_order
    assert source.data["tested_shots"] == (1, 3)


def test_an_order_that_all_students_share_tells_nothing(tmp_path):
    source = reading.read([table(tmp_path / "a.csv", 12, 8, ordered=True, fixed=True)], tmp_path)
    assert not source.in_order
    assert "same order" in " ".join(source.said)


def test_changed_answers_are_another_comparison(tmp_path):
    first, second = (
        reading.read([table(tmp_path / "a.csv", 12, 8, seed=seed)], tmp_path) for seed in (0, 1)
    )
    assert first.name == second.name
    assert first.suite != second.suite


def test_many_students_are_tested_once_in_one_part(tmp_path):
    source = reading.read([table(tmp_path / "a.csv", 700, 7)], tmp_path)
    assert (source.folds, source.test_tasks) == (1, 140)


def test_files_called_train_valid_and_test_divide_the_answers_of_the_same_students(tmp_path):
    for name, items in (("train", 12), ("valid", 3), ("test", 6)):
        table(tmp_path / "ours" / f"{name}.csv", 12, items)
    (tmp_path / "ours" / "items.csv").write_text(
        "item_id,knowledge_code\n" + "\n".join(f"q{i},{i % 2 + 1}" for i in range(12))
    )
    source = reading.read([str(tmp_path / "ours")], tmp_path)
    assert (source.name, source.students, source.skills) == ("ours", 12, True)
    assert "12 students, 12 items, 2 skills, 252 answers" in " ".join(source.said)
    assert "divide answers into training" in " ".join(source.said)
    assert "maml-bench run students-by-answer is for it." in " ".join(source.said)


@pytest.mark.parametrize("whole", [True, False])
def test_a_column_that_divides_is_said_not_to_be_used(tmp_path, whole):
    header, *rows = Path(table(tmp_path / "a.csv", 12, 8)).read_text().splitlines()
    tested = "s1," if whole else ",q1,"
    lines = [f"{header},split", *(f"{r},{'test' if tested in r else 'train'}" for r in rows)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    said = " ".join(reading.read([str(tmp_path / "a.csv")], tmp_path).said)
    assert f"The files divide {'students' if whole else 'answers'} into training" in said
    assert ("students-by-answer" in said) is not whole


def test_a_folder_of_files_that_do_not_tell_themselves_apart_is_refused(tmp_path):
    for name in ("a", "b"):
        table(tmp_path / f"{name}.csv", 12, 8)
    with pytest.raises(BenchError, match=r"a\.csv, b\.csv: which has the answers is not told"):
        reading.read([str(tmp_path)], tmp_path)


def test_what_was_prepared_of_ones_own_goes_by_its_name(tmp_path):
    for name, source in (
        ("student", table(tmp_path / "class.csv", 25, 20)),
        ("image_folder", folder(tmp_path / "photos", 8)),
    ):
        with pytest.raises(BenchError, match=f"run maml-bench prepare {name} --source PATH"):
            reading.read([name], None, tmp_path)
        importlib.import_module(f"bench.data.{name}").prepare(Path(source), tmp_path)
        found = reading.read([name.replace("_", "-")], None, tmp_path)
        assert found.suite.startswith(f"compare-{name}-")  # and a checksum
        assert (found.dataset, found.data_root) == (name, tmp_path)
        assert "source" not in found.data


def test_one_answer_is_one(tmp_path):
    said = reading.read(["irt"], None, shots=[1]).said[-1]
    assert said.startswith("Shown: 1 answer of a student; asked for: 25 others.")
    source = reading.read([table(tmp_path / "a.csv", 12, 2, ordered=True)], tmp_path)
    assert "Shown: the first answer of a student; asked for: up to 1 other." in source.said
    plan = planning.plan(reading.read(["irt"], None), 1, methods=["item_mean"]).sentences()
    assert plan[0].startswith("Plan: 1 method (")
    assert "; 1 run of" in plan[1]
    said = reading.read([folder(tmp_path / "photos", 8, 2)], tmp_path).said[-1]
    assert said.endswith("1 example of each shown, 1 other of each to tell.")


def test_a_made_up_set_goes_by_its_name():
    source = reading.read(["bkt"], None)
    assert (source.suite, source.in_order, source.skills) == ("compare-bkt", True, True)
    assert not reading.read(["irt"], None, shots=[2, 4]).in_order


def test_made_up_students_that_have_to_be_prepared_are_read_before_anything_is_planned(tmp_path):
    with pytest.raises(BenchError, match="run maml-bench prepare synthetic5"):
        reading.read(["synthetic5"], None, tmp_path)
    rng = np.random.default_rng(0)
    students, items = synthetic5.STUDENTS, synthetic5.ITEMS
    packed = np.packbits(rng.random((2, students, items)) < 0.6, -1)
    np.savez(tmp_path / "synthetic5.npz", responses=packed, concept=np.zeros((2, items), int))
    source = reading.read(["synthetic5"], None, tmp_path)
    assert source.said[0].startswith("synthetic5, version 0 (the others are not compared): made-up")


def test_a_folder_is_packed_once_and_again_when_it_has_changed(tmp_path):
    given, out = folder(tmp_path / "photos", 8), tmp_path / "out"
    first = reading.read([given], out)
    assert first.ways == 2
    assert first.shots == (1,)
    assert "8 classes, 32 images" in " ".join(first.said)
    again = reading.read([given], out)
    assert again.suite == first.suite
    assert "packed before" in " ".join(again.said)
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "c0" / "new.png")
    assert reading.read([given], out).suite != first.suite


def test_another_folder_of_the_same_name_is_another_comparison(tmp_path):
    out = tmp_path / "out"
    first, second = (reading.read([folder(tmp_path / n / "photos", 8)], out) for n in "ab")
    assert "packed before" not in " ".join(second.said)
    smaller = reading.read([folder(tmp_path / "c" / "photos", 7)], out)
    assert "7 classes, 28 images" in " ".join(smaller.said)
    assert first.suite == second.suite != smaller.suite  # the images of the first two are the same


def test_a_plan_for_a_folder_packs_nothing(tmp_path):
    given, out = folder(tmp_path / "photos", 8), tmp_path / "out"
    counted = reading.read([given], out, packs=False)
    assert not out.exists()
    assert "8 classes, 32 images of 84x84" in " ".join(counted.said)
    whole = reading.read([given], out)
    plans = [planning.plan(source, 5).sentences() for source in (counted, whole)]
    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (["nowhere.csv"], {}, "nowhere.csv: no such file or folder"),
        (["glyps"], {}, "no data set of this name: did you mean glyphs"),
        (["Eedi"], {}, r"published in files.*compare PATH \(see datasets/eedi/README.md\)"),
        (["a0910"], {}, "published in files"),
        (["irt", "mirt"], {}, "irt: give one data set by name"),
        (["student"], {"data_root": Path("nowhere")}, "give the file or folder itself"),
        (["sinusoid"], {}, "compare is for answers of students and for images"),
        (["meta_dataset"], {}, "compare is for answers of students and for images"),
        (["irt"], {"ways": 5}, "--ways 5: is for images"),
        (["irt"], {"shots": [1, 200]}, "--shots 1 200"),
        (["glyphs"], {"shots": [20]}, "--shots 20: the smallest class of glyphs has 20 images"),
        (["glyphs"], {"ways": 500}, "--ways 500"),
        (["glyphs"], {"columns": {"user_id": "a"}}, "not for images"),
    ],
)
def test_what_cannot_be_compared_is_refused(given, options, message):
    with pytest.raises(BenchError, match=message):
        reading.read(given, None, **options)


def test_one_student_or_class_is_refused(tmp_path):
    with pytest.raises(BenchError, match="1 student with two answers or more"):
        reading.read([table(tmp_path / "one.csv", 1, 9)], tmp_path)
    with pytest.raises(BenchError, match="1 classes are too few"):
        reading.read([folder(tmp_path / "one", 1)], tmp_path)
