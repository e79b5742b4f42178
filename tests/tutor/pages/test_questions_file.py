import pytest

from bench.base.errors import BenchError
from bench.tutor.pages import questions_file

ITEMS = ["q1", "q2", "q3"]


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        (tmp_path / "questions.csv").write_bytes(text.encode(encoding))
        return tmp_path / "questions.csv"

    return write


def test_questions_with_choices_with_an_answer_and_with_neither(write):
    path = write(
        '\ufeffitem_id,text,choices,answer\nq1,"1/2, or more?",1/2 | 2/3,2/3\n'
        "q2,Zwölf?,,12\nq3,Draw it,,\n"
    )
    found, notes = questions_file.read(path, ITEMS)
    assert notes == []
    assert found["q1"].text == "1/2, or more?"
    assert found["q1"].choices == ("1/2", "2/3")
    assert [found["q1"].right(c) for c in found["q1"].choices] == [False, True]
    assert found["q2"].right("  12 ")
    assert not found["q2"].right("13")
    assert found["q3"].answer == ""


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_files_as_spreadsheets_write_them(write, sign, encoding):
    lines = [
        ["item_id", "text", "choices", "answer"],
        ["q1", '"Wie groß; oder kleiner,\nals ½?"', "0,5|1,5", "0,5"],
        ["q2", '"Zwölf – ""12""?"', "", ""],
        ["", "", "", ""],
    ]
    if sign == ",":
        lines[1][2:] = '"0,5|1,5"', '"0,5"'
    path = write("".join(sign.join(line) + "\r\n" for line in lines), encoding)
    found, notes = questions_file.read(path, ITEMS)
    assert found["q1"].text == "Wie groß; oder kleiner,\nals ½?"
    assert found["q1"].choices == ("0,5", "1,5")
    assert found["q1"].right("0,5")
    assert found["q2"].text == 'Zwölf – "12"?'
    told = [f"{path}: not UTF-8: read as Windows-1252."]
    assert notes == (told if encoding == "cp1252" else [])


def test_a_name_is_one_whichever_system_wrote_it(write):
    whole, parts = "q\u00e4", "qa\u0308"
    for in_file in (whole, parts):
        for known in (whole, parts):
            found, notes = questions_file.read(write(f"item_id,text\n{in_file},a\n"), [known])
            assert found == {known: questions_file.Question(known, "a")}
            assert notes == []


def test_questions_that_the_model_does_not_know_are_left_out_and_named(write):
    found, notes = questions_file.read(write("item_id,text\nq1,a\nq22,b\n"), ITEMS)
    assert list(found) == ["q1"]
    assert "1 questions" in notes[0]
    assert "'q22' (the model knows 'q2')" in notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,text\nq1,a\n", "its first line is id, text: write item_id,text,choices,answer"),
        ("item_id,text\nq1,a\nq1,b\n", "line 3: 'q1' is there twice"),
        ("item_id,text\nq1,\n", "line 2: a question needs item_id and text"),
        ("item_id,text\nq1,a,b\n", "line 2: more fields than the first line"),
        ("item_id;text\nq1;a;b\n", 'put text with ";" in it between quotes'),
        ("item_id,text,choices,answer\nq1,a,1|1,1\n", "two or more different choices"),
        ("item_id,text,choices,answer\nq1,a,1|2,3\n", "the answer '3' must be one of the choices"),
        ("item_id,text\nother,a\n", "no question in it is known to the model"),
        ("", "is empty: give a file of questions"),
    ],
)
def test_mistakes_are_named(write, text, message):
    with pytest.raises(BenchError, match="questions.csv") as error:
        questions_file.read(write(text), ITEMS)
    assert message in str(error.value)
