import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.base.errors import BenchError
from bench.tutor.answer_book import AnswerBook

WRITER = """
import sys
from bench.tutor.answer_book import AnswerBook
book, name = AnswerBook(sys.argv[1]), sys.argv[2]
for n in range(int(sys.argv[3])):
    book.add(name, f"q{n}", n % 2 == 0, id=f"{name}-{n}")
    print(n, flush=True)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "class.sqlite"


def writer(path, name, count):
    command = [sys.executable, "-c", WRITER, path, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_answers_come_back_in_the_order_in_which_they_came(path):
    book = AnswerBook(path)
    for question, right in (("q2", True), ("q1", False), ("q2", False)):
        assert book.add("ann", question, right)
    book.add("Bob", "q1", True)
    found = AnswerBook(path).of("ann")
    assert [(a.question, a.right) for a in found] == [("q2", True), ("q1", False), ("q2", False)]
    assert book.students() == {"ann": 3, "Bob": 1}
    assert book.of("nobody") == []


def test_an_answer_counts_once_however_often_it_is_sent(path):
    book = AnswerBook(path)
    assert book.add("ann", "q1", True, id="one")
    assert not book.add("ann", "q1", True, id="one")
    assert len(book.all()) == 1
    with pytest.raises(BenchError, match="the id one is of another answer"):
        book.add("ann", "q1", False, id="one")
    assert len(book.all()) == 1


def test_a_killed_process_loses_nothing_that_it_wrote(path):
    process = writer(path, "ann", 100_000)
    said = [process.stdout.readline() for _ in range(40)]
    os.kill(process.pid, signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    written = [int(line) for line in said if line.endswith("\n")]
    found = AnswerBook(path).of("ann")
    # the one after the last that was reported may have been written, and not yet reported
    assert [a.id for a in found][: len(written)] == [f"ann-{n}" for n in written]
    assert len(found) - len(written) in (0, 1)


def test_several_processes_and_threads_write_at_the_same_time(path):
    processes = [writer(path, f"pupil {i}", 30) for i in range(3)]
    book = AnswerBook(path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: book.add("ann", f"q{n}", True, id=str(n % 20)), [*range(20)] * 2))
    for process in processes:
        assert len(process.communicate()[0].split()) == 30
    assert book.students() == {"ann": 20} | {f"pupil {i}": 30 for i in range(3)}


def test_a_file_that_comes_again_longer_adds_what_is_new(path):
    book = AnswerBook(path)
    first = [("ann", "q1", True), ("ann", "q1", True), ("bob", "q1", False)]
    assert book.add_missing(first) == 3
    assert book.add_missing(first) == 0
    assert book.add_missing([*first, ("ann", "q1", True), ("ann", "q1", False)]) == 2
    book.add("eve", "q1", True)  # on the page, and then in the file that was exported
    assert book.add_missing([("eve", "q1", True)]) == 0


def test_of_a_file_with_a_mistake_nothing_is_taken(path):
    book = AnswerBook(path)
    with pytest.raises(BenchError, match="the name of a student"):
        book.add_missing([("ann", "q1", True), ("", "q1", True)])
    assert book.all() == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\nb", "a\0", "\ud800"])
def test_names_that_are_none_are_refused(path, name):
    with pytest.raises(BenchError, match="give 1 to 200 characters"):
        AnswerBook(path).add(name, "q1", True)


def test_a_name_that_files_take_for_none_is_refused(path):
    with pytest.raises(BenchError, match="which in files of answers means none"):
        AnswerBook(path).add("NaN", "q1", True)


def test_letters_that_look_the_same_are_the_same_student(path):
    book = AnswerBook(path)
    book.add("Zoe\u0308", "q1", True)
    book.add(" Zo\u00eb ", "q2", True)
    assert book.students() == {"Zo\u00eb": 2}


def test_other_files_are_refused_and_left_alone(tmp_path):
    text, other = tmp_path / "text", tmp_path / "other"
    text.write_text("user_id,item_id,correct\n" * 100)
    with sqlite3.connect(other) as file:
        file.execute("CREATE TABLE mine (x)")
    file.close()
    before = text.read_bytes(), other.read_bytes()
    with pytest.raises(BenchError, match="cannot be used as a database of answers"):
        AnswerBook(text)
    with pytest.raises(BenchError, match="another program's database"):
        AnswerBook(other)
    with pytest.raises(BenchError, match="cannot be used as a database of answers"):
        AnswerBook(tmp_path / "nowhere" / "class.sqlite")
    assert (text.read_bytes(), other.read_bytes()) == before
