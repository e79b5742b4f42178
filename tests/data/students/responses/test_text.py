"""Text as programs and people write it: encodings, Excel's first line, several lines in a field."""

import unicodedata

import pytest

from bench.base.errors import BenchError
from bench.data.students.responses import read

HEAD = "user_id,item_id,correct\n"


@pytest.fixture
def answers(tmp_path):
    """Reads a file of these bytes."""

    def read_bytes(content):
        path = tmp_path / "answers.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read(path)

    return read_bytes


def test_the_signs_of_windows_are_not_control_characters(answers):
    responses = answers((HEAD + "O’Neil,1–5,1\nZoë,20 €,0\n").encode("cp1252"))
    assert responses.students == ["O’Neil", "Zoë"]
    assert responses.items == ["1–5", "20 €"]
    assert responses.notes[0] == "not UTF-8: read as Windows-1252"


def test_damaged_utf_8_is_no_other_encoding(answers):
    content = (HEAD + "Zoë,q,1\nJosé,q,1\n李雷,q,0\n").encode()
    with pytest.raises(BenchError, match="line 4: holds the byte 0xe6, which is not UTF-8 as the"):
        answers(content.replace("李".encode(), b"\xe6\x9d"))


def test_what_neither_encoding_has_is_refused(answers):
    with pytest.raises(BenchError, match="line 3: .* 0x8f, which is neither UTF-8 nor Windows-125"):
        answers(HEAD.encode() + b"Ann,q,1\nAndr\x8f,q,1\n")  # Andrè on an old Mac


def test_a_letter_is_one_however_its_marks_are_written(answers):
    names = [unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD")]
    responses = answers(HEAD + "".join(f"{name},{name} 1,1\n" for name in names))
    assert responses.students == ["Zoë"]
    assert responses.items == ["Zoë 1"]
    assert len(responses.answer) == 2


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "sep=;;;"])
def test_excel_tells_the_delimiter(answers, first):
    responses = answers(f'\ufeff{first}\nuser_id;item_id;correct\nann;"a; b, c, d";1\n')
    assert responses.items == ["a; b, c, d"]
    with pytest.raises(BenchError, match="line 4: column correct: answer 'x'"):
        answers(f"{first}\nuser_id;item_id;correct\nann;a;1\nben;a;x\n".replace(";;;", ";"))


def test_nothing_below_excels_line_is_an_empty_file(answers):
    with pytest.raises(BenchError, match="is empty"):
        answers("sep=;\n\n;;\n")


def test_a_word_is_no_delimiter(answers):
    with pytest.raises(BenchError, match="begins none of the known formats"):
        answers('sep="\nx\n')


def test_a_bar_and_commas_between_quotes(answers):
    assert answers("user_id|item_id|correct\na|b, c, d, e|1\n").items == ["b, c, d, e"]
    assert answers('student;"a, b, c, d";e\nann;1;0\n').items == ["a, b, c, d", "e"]


def test_an_end_of_a_line_within_a_text_is_a_blank(answers):
    rows = 'ann,"What is 1+1?\n Choose one.",1\nann,"a\r\nb",0\nann,ab,1\n'
    responses = answers(HEAD + rows)
    assert sorted(responses.items) == ["What is 1+1? Choose one.", "a b", "ab"]
    assert answers('student,"two\nlines",q\nann,1,0\nben,0,1\n').items == ["two lines", "q"]
    with pytest.raises(BenchError, match="line 3: column correct: answer 'x'"):
        answers(HEAD + 'ann,"two\nlines",x\n')
