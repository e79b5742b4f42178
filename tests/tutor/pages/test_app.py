import csv
import io
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from starlette.testclient import TestClient

from bench import Tutor
from bench.tutor.judgement import Settings
from bench.tutor.pages.app import MOST_BYTES, application
from bench.tutor.pages.class_view import class_view
from bench.tutor.pages.options import Options
from bench.tutor.pages.questions_file import Question

LONGEST = 120  # seconds, for a busy machine
NASTY = "<script>alert('x')</script>&\"=1+1"
QUESTIONS = {
    "q0": Question("q0", "Zero?", ("no", "<b>yes</b>"), "<b>yes</b>"),
    "q1": Question("q1", "One?", (), "12"),
}
OPTIONS = Options(most=4, randomesque=1, pupil="pupil-token", teacher="teacher-token")


@pytest.fixture
def tutor(taught, tmp_path):
    return Tutor(taught / "irt.ckpt", tmp_path / "class.sqlite", Settings(width=0.0))


@pytest.fixture
def pages(tutor):
    with TestClient(application(tutor, QUESTIONS, OPTIONS)) as client:
        yield client


def fields(page: str) -> dict[str, str]:
    """The hidden fields of the form."""
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: unescape(value) for name, value in found}


def send(pages, form, **more):
    return pages.post("/p/pupil-token/answer", data=form | more)


def test_a_pupil_is_asked_until_the_end(pages, tutor):
    assert "What is your name?" in pages.get("/p/pupil-token/").text
    page = pages.get("/p/pupil-token/ask", params={"name": NASTY})
    asked = []
    for n in range(4):
        assert f"Question {n + 1}" in page.text
        form = fields(page.text)
        asked.append(form["question"])
        given = {"q0": "<b>yes</b>", "q1": "11"}.get(form["question"], "")
        page = send(pages, form, right="1", given=given)
        assert page.status_code == 200
        said = "Not this time." if form["question"] == "q1" else "That was right."
        assert said in page.text
        assert "What your answer changed" in page.text
    assert "That is all for today" in page.text
    assert "not sure of everything" in page.text
    assert len(set(asked)) == 4
    assert [a.question for a in tutor.book.of(NASTY)] == asked
    assert [a.right for a in tutor.book.of(NASTY)] == [q != "q1" for q in asked]


def test_an_answer_that_is_sent_twice_counts_once(pages, tutor):
    form = fields(pages.get("/p/pupil-token/ask?name=ann").text)
    assert form["question"] not in QUESTIONS
    assert send(pages, form, right="1").status_code == 200
    assert send(pages, form, right="1").status_code == 200
    assert "That was right." in send(pages, form, right="0").text  # the first press counts
    assert [a.right for a in tutor.book.of("ann")] == [True]


def test_asking_ends_when_it_is_sure_and_practice_goes_on(taught, tmp_path):
    tutor = Tutor(taught / "irt.ckpt", tmp_path / "class.sqlite", Settings(width=1.0))
    for n in range(4):
        tutor.answer("ann", f"q{n}", right=n % 2 == 0)
    with TestClient(application(tutor, QUESTIONS, OPTIONS)) as pages:
        assert "I know enough for now" in pages.get("/p/pupil-token/ask?name=ann").text
        form = fields(pages.get("/p/pupil-token/ask?name=ann&goal=practice").text)
        assert form["question"] == tutor.practise("ann")[0]
        assert "Practice 2" in send(pages, form, right="1", given="1").text
        assert "See you next time" in pages.get("/p/pupil-token/ask?name=ann&stop=1").text


def test_names_are_text_on_every_page(pages, tutor):
    tutor.answer(NASTY, "q1", right=True)
    for path in (
        "/p/pupil-token/ask",
        "/t/teacher-token/",
        "/t/teacher-token/student",
        "/t/teacher-token/student?name=nobody<script>",
    ):
        page = pages.get(path, params=None if "?" in path else {"name": NASTY}).text
        assert "<script" not in page
        assert "&lt;script" in page
    rows = list(csv.DictReader(io.StringIO(pages.get("/t/teacher-token/answers.csv").text)))
    assert rows[0]["user_id"] == NASTY
    tutor.answer("=1+1", "q1", right=True)
    assert "\n'=1+1,q1,1," in pages.get("/t/teacher-token/answers.csv").text


def test_the_teacher_sees_the_class_and_each_student(pages, tutor, taught):
    assert "Nobody has answered yet" in pages.get("/t/teacher-token/").text
    content = (taught / "class.csv").read_bytes()
    page = pages.post("/t/teacher-token/import", files={"file": ("../class.csv", content)}).text
    assert "960 new answers from class.csv." in page
    assert "60 students, 960 answers" in page
    assert page.count('<th scope="row">') == 30
    assert 'scope="col">adding' in page
    assert "Who needs what next" in page
    assert "Questions that tell little" in page
    again = pages.post("/t/teacher-token/import", files={"file": ("class.csv", content)}).text
    assert "0 new answers" in again
    last = pages.get("/t/teacher-token/?page=2").text
    assert last.count('<th scope="row">') == 30
    rows = tutor.report([f"s{number}" for number in range(60)])
    row = next(row for row in rows if row.practise)
    name = row.name
    student = pages.get(f"/t/teacher-token/student?name={name}").text
    assert f"{row.answers} answers, {row.right} right" in student
    assert "<polyline" in student
    assert f"Why {row.practise[0]}?" in student
    skills = list(csv.DictReader(io.StringIO(pages.get("/t/teacher-token/skills.csv").text)))
    assert len(skills) == 120
    tutor.answer(name, "q0", right=True)  # seen at once, though pages are remembered
    assert f"{row.answers + 1} answers" in pages.get(f"/t/teacher-token/student?name={name}").text


def test_a_class_of_several_pages_is_seen_whole_on_each(taught, tmp_path, monkeypatch):
    tutor = Tutor(taught / "irt.ckpt", tmp_path / "class.sqlite", Settings(mastery=0.6))
    names = [f"pupil {n:02}" for n in range(52)]
    rights = [(n < 30, True) for n in range(52)]  # on adding; who is on page 2 cannot do it
    tutor.book.add_missing(
        (name, f"q{q}", right[q % 2]) for name, right in zip(names, rights) for q in range(8)
    )
    whole, looked_at = tutor.report(names), []
    report = tutor.report
    monkeypatch.setattr(tutor, "report", lambda some: looked_at.append(len(some)) or report(some))
    with TestClient(application(tutor, {}, OPTIONS)) as pages:
        first, second = (pages.get(f"/t/teacher-token/?page={n}").text for n in (1, 2))
    assert looked_at == [30, 22]  # of the others no question is
    seen = []
    for page in (first, second):
        columns = re.findall(r'<th scope="col">(adding|halving)</th>', page)
        seen.append((columns, page[page.index("Who needs what next") : page.index("Take over")]))
    assert seen[0] == seen[1]
    (columns, below) = seen[0]
    assert columns == ["adding", "halving"]
    (needs,) = re.findall(r"<li><strong>adding</strong>: ([^<]*)", below)
    lacking = [s.name for s in whole if "adding" in s.verdicts("not mastered")]
    assert [name.strip() for name in needs.split(",")] == lacking
    assert set(lacking) & set(names[30:])
    told = class_view(whole, tutor.settings).little
    assert all(question in below for question, _ in told[:3])
    assert first.count('<th scope="row">') == 30
    assert second.count('<th scope="row">') == 22


def test_who_has_not_answered_since_is_not_looked_at_again(tutor, monkeypatch):
    found, standings = [], tutor.standings

    def noting(names):
        found.append(list(names))
        return standings(names)

    monkeypatch.setattr(tutor, "standings", noting)
    with TestClient(application(tutor, {}, OPTIONS)) as pages:
        for name in ("ann", "bob", "ann"):
            tutor.answer(name, "q1", right=True)
            assert name in pages.get("/t/teacher-token/").text
        assert "halving" in pages.get("/t/teacher-token/skills.csv").text
    assert found == [["ann"], ["bob"], ["ann"], []]


def test_of_a_skill_that_was_never_asked_for_nobody_is_told_a_verdict(taught, tmp_path):
    tutor = Tutor(taught / "irt.ckpt", tmp_path / "class.sqlite", Settings(mastery=0.999))
    tutor.answer("ann", "q0", right=False)  # on adding
    with TestClient(application(tutor, {}, OPTIONS)) as pages:
        rows = list(csv.DictReader(io.StringIO(pages.get("/t/teacher-token/skills.csv").text)))
        found = {row["skill"]: row["verdict"] for row in rows}
        assert found == {"adding": "not mastered", "halving": "not asked yet"}
        assert tutor.skills("ann")[1]["verdict"] == "not asked yet"
        for path in ("", "student?name=ann"):
            page = pages.get(f"/t/teacher-token/{path}").text
            assert page.count('<svg class="bar not-mastered"') == 1
            assert page.count('<svg class="bar open"') == 1
            assert "not asked yet" in page
        page = pages.get("/p/pupil-token/ask?name=ann&stop=1").text
        assert page.count("worth practising") == page.count("not asked yet") == 1


def test_an_exported_file_can_be_taken_over_elsewhere(pages, tutor, taught, tmp_path):
    for question, right in (("q3", True), ("q4", False), ("q3", True)):
        tutor.answer("ann", question, right)
    (tmp_path / "answers.csv").write_bytes(pages.get("/t/teacher-token/answers.csv").content)
    other = Tutor(taught / "irt.ckpt", tmp_path / "other.sqlite")
    assert other.load(tmp_path / "answers.csv")[0] == 3
    assert other.predict("ann") == pytest.approx(tutor.predict("ann"))
    assert tutor.load(tmp_path / "answers.csv")[0] == 0


def test_a_name_that_begins_like_a_formula_comes_back_as_it_was(pages, tutor, taught, tmp_path):
    tutor.answer("-Max", "q3", right=True)
    (tmp_path / "answers.csv").write_bytes(pages.get("/t/teacher-token/answers.csv").content)
    assert Tutor(taught / "irt.ckpt", tmp_path / "other.sqlite").load(tmp_path / "answers.csv")[0]
    assert tutor.load(tmp_path / "answers.csv")[0] == 0  # no second student


def test_a_number_without_end_in_the_address_is_no_error(pages):
    assert pages.get(f"/p/pupil-token/ask?name=ann&n={'9' * 5000}").status_code == 200


@pytest.mark.parametrize(
    "path", ["/p/teacher-token/", "/t/pupil-token/", "/t/x/", "/", "/p/", "/t/x/answers.csv"]
)
def test_without_its_token_there_is_no_page(pages, path):
    page = pages.get(path)
    assert page.status_code == 404
    assert "no such page" in page.text


@pytest.mark.parametrize("path", ["/p/pupil-token/answer", "/t/teacher-token/import"])
def test_nothing_changes_by_opening_an_address(pages, tutor, path):
    form = fields(pages.get("/p/pupil-token/ask?name=ann").text)
    assert pages.get(path, params=form | {"right": "1"}).status_code == 405
    assert pages.post(path.replace("token", "other"), data=form).status_code == 404
    assert tutor.students() == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"question": "q99"}, "unknown question"),
        ({"name": " "}, "your name is"),
        ({"right": "2"}, "say whether your answer was right"),
        ({"question": "q1", "given": " "}, "your answer is empty"),
        ({"id": "x" * 300}, "the id of an answer"),
    ],
)
def test_what_is_no_answer_is_refused(pages, tutor, change, words):
    form = fields(pages.get("/p/pupil-token/ask?name=ann").text)
    page = send(pages, form | {"right": "1"}, **change)
    assert page.status_code == 400
    assert words in page.text
    assert tutor.students() == {}


def test_files_that_cannot_be_taken_over_change_nothing(pages, tutor):
    def upload(content, name="a.csv", **more):
        return pages.post("/t/teacher-token/import", files={"file": (name, content)}, data=more)

    unknown = b"user_id,item_id,correct\nann,q1,1\nann,other,0\n"
    for content, words in (
        (b"PK\x03\x04", "is packed"),
        (b"what is this", "a.csv"),
        (unknown, "are unknown to the checkpoint"),
        (
            b"user_id,exercise,correct\nann,q1,1\n",
            "correct': rename the column exercise to item_id",
        ),
        (b"user_id,foo,correct\nann,q1,1\n", "correct': rename the right one to item_id"),
    ):
        page = upload(content)
        assert page.status_code == 400
        assert words in unescape(page.text)
        assert "/tmp" not in page.text
        assert "columns" not in page.text
    assert pages.post("/t/teacher-token/import").status_code == 400
    large = b"user_id,item_id,correct\n" + b"ann,q1,1\n" * (MOST_BYTES // 9 + 1)
    assert upload(large).status_code == 413
    assert tutor.students() == {}
    assert "1 new answers" in upload(unknown, skip="1").text


def test_browsers_are_told_to_run_nothing(pages):
    for path in ("/p/pupil-token/", "/t/teacher-token/", "/nowhere", "/style.css"):
        headers = pages.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["referrer-policy"] == "no-referrer"


def test_a_model_that_does_not_say_how_unsure_it_is(taught, tmp_path):
    tutor = Tutor(taught / "dkt.ckpt", db=tmp_path / "class.sqlite")
    with TestClient(application(tutor, {}, OPTIONS)) as pages:
        page = pages.get("/p/pupil-token/ask?name=ann").text
        assert "That was right." in send(pages, fields(page), right="1").text
        assert "does not say how unsure it is" in pages.get("/t/teacher-token/").text
        assert "cannot tell how sure I am" in pages.get("/p/pupil-token/ask?name=ann&stop=1").text
        assert pages.get("/t/teacher-token/student?name=ann").status_code == 200


def test_fifty_pupils_at_once(tutor, served):
    """Over HTTP, each with a connection of their own; every button is pressed twice."""
    together = threading.Barrier(50, timeout=LONGEST)

    def sit(n, address):
        def page(path, form=None):
            data = None if form is None else urlencode(form).encode()
            with urlopen(f"{address}/p/pupil-token/{path}", data, LONGEST) as found:
                return found.read().decode()

        said = page(f"ask?name=pupil+{n}")
        asked = []
        for _ in range(2):
            form = fields(said) | {"right": str(n % 2), "given": "1"}
            asked.append(form["question"])
            together.wait()
            said = page("answer", form)
            assert "Question" in page("answer", form)  # the second press
        return asked

    app = application(tutor, QUESTIONS, OPTIONS)
    with served(app) as address, ThreadPoolExecutor(50) as pool:
        asked = list(pool.map(sit, range(50), [address] * 50, timeout=LONGEST))
        with urlopen(f"{address}/t/teacher-token/", timeout=LONGEST) as page:
            assert "50 students, 100 answers" in page.read().decode()
    assert tutor.students() == {f"pupil {n}": 2 for n in range(50)}
    for n, questions in enumerate(asked):
        answers = tutor.book.of(f"pupil {n}")
        assert [a.question for a in answers] == questions
        right = [n % 2 == 1 and q not in QUESTIONS for q in questions]
        assert [a.right for a in answers] == right
