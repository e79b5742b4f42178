"""Tables that are no text: read as a CSV file of the same contents, or refused by name."""

import datetime
import gzip
import io
import json
import sys
import zipfile

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.data.students.responses import read, sheets

ROWS = [
    ["user_id", "item_id", "correct", "skill_id", "timestamp"],
    ["ann", 7, True, "a", datetime.datetime(2024, 5, 31, 12, 0, 1)],
    ["ann", 8, False, "b", datetime.datetime(2024, 5, 31, 11)],
    ["ben", 7, None, "a", datetime.datetime(2024, 5, 31)],
    ["ben", 8, True, "b", datetime.datetime(2024, 6, 1, 9, 30, 5)],
]


def as_csv():
    rows = [["" if v is None else str(v) for v in row] for row in ROWS]
    return "\n".join(map(",".join, rows)).encode()


def as_excel(rows=ROWS, change=None):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if change:
        change(book)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def as_parquet(columns=None, **options):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = columns or {name: list(values) for name, *values in zip(*ROWS)}
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), file, **options)
    return file.getvalue()


def records():
    return [dict(zip(ROWS[0], map(as_json, row))) for row in ROWS[1:]]


def as_json(value):
    return value.isoformat() if isinstance(value, datetime.datetime) else value


FORMATS = {
    "excel": as_excel,
    "parquet": as_parquet,
    "json": lambda: json.dumps(records(), indent=1).encode(),
    "json lines": lambda: b"\n\n".join(json.dumps(r).encode() for r in records()) + b"\n",
    "gzipped": lambda: gzip.compress(as_excel()),
}


@pytest.fixture
def answers(tmp_path):
    """Reads a file of these bytes, whatever its name says."""

    def read_bytes(content, name="answers.csv"):
        (tmp_path / name).write_bytes(content)
        return read(tmp_path / name)

    return read_bytes


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_read_is_what_csv_gives(answers, name):
    found, expected = answers(FORMATS[name]()), answers(as_csv(), "plain.csv")
    for field in ("students", "items", "skills", "ordered", "notes", "order"):
        assert getattr(found, field) == getattr(expected, field)
    for field in ("starts", "item", "answer", "q_matrix"):
        assert np.array_equal(getattr(found, field), getattr(expected, field))


def test_a_matrix_that_begins_further_down_and_to_the_right(answers):
    rows = [[], [None, None, "name", "q1", "q2"], [None, None, "Zoë\nÜnal", 1, None, " "]]
    found = answers(as_excel([*rows, [None, None, "ben", 0, 1.0]]))
    assert found.students == ["Zoë Ünal", "ben"]
    assert found.answer.tolist() == [1, 0, 1]


def test_the_first_sheet_is_read_and_it_is_said(answers):
    found = answers(as_excel(change=lambda book: book.create_sheet("notes")))
    assert found.notes[0] == "read Sheet, the first of 2 sheets"


def test_rows_are_named_as_the_file_counts_them(answers):
    bad = [list(row) for row in ROWS]
    bad[3][2] = "x"
    with pytest.raises(BenchError, match="row 4: column correct: answer 'x'"):
        answers(as_excel(bad))
    text = [dict(zip(bad[0], map(as_json, row))) for row in bad[1:]]
    with pytest.raises(BenchError, match="line 3: column correct: answer 'x'"):
        answers("\n".join(map(json.dumps, text)).encode())
    with pytest.raises(BenchError, match="object 3: column correct: answer 'x'"):
        answers(json.dumps(text).encode())
    values = {name: [str(v) for v in column] for name, *column in zip(*bad)}
    with pytest.raises(BenchError, match="row 3: column correct: answer 'x'"):
        answers(as_parquet(values))


def test_formulas_count_by_their_stored_values(answers):
    with pytest.raises(BenchError, match="cell C2: a formula whose value is not stored"):
        answers(as_excel([ROWS[0], ["ann", 7, "=1+0", "a", None]]))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b'{"subject_id": "p", "responses": {"q1": 1}}\n{"subject_id": "q"}', "line 1: JSON lines"),
        (b'[{"user_id": 1, "logs": [{"exer_id": 5}]}]', "object 1: JSON, but 'logs' holds obj"),
        (b'{"user_id": ["a", "b"], "correct": [1, 0]}', "JSON by columns"),
        (b'{"user_id": {"0": "a"}, "correct": {"0": 1}}', "JSON by columns"),
        (b"[1, 2, 3]", "object 1: JSON, but this is no object"),
        (b'{"user_id": 1, "correct": 1}\n{"user_id', "line 2: begins as JSON, and is damaged"),
        (b"[" * 100_000, "line 1: begins as JSON, and is damaged"),
        (b"[]", "JSON without any value"),
        (b"{}", "JSON lines without any value"),
        (b"PK\x03\x04" + b"x" * 50, "a zip, an Excel sheet or an .npz"),
        (b"PAR1" + b"x" * 50, "a damaged Parquet file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel sheet of before 2007"),
    ],
)
def test_refused_by_name(answers, content, match):
    if content.startswith(b"PAR1"):
        pytest.importorskip("pyarrow")
    with pytest.raises(BenchError, match=rf"answers\.csv.*{match}") as error:
        answers(content)
    assert "\n" not in str(error.value)


def zipped(**parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def changed(content, part, new):
    """An Excel file with another first sheet."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return zipped(**parts | {part: new})


SHEET = "xl/worksheets/sheet1.xml"
HEAD = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
LAUGHS = b"<!DOCTYPE a [<!ENTITY a0 'ha'>%s]>%s<sheetData><row><c t='inlineStr'><is><t>&a9;</t>"


def test_hostile_excel_files(answers, monkeypatch):
    good = as_excel()
    far = HEAD + b'<sheetData><row r="99999999"><c r="A99999999"><v>1</v></c></row></sheetData>'
    monkeypatch.setattr(sheets, "MOST_ROWS", 2000)
    with pytest.raises(BenchError, match="row 2001: more rows or cells"):
        answers(changed(good, SHEET, far + b"</worksheet>"))
    entities = b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    laughs = LAUGHS % (entities, HEAD) + b"</is></c></row></sheetData></worksheet>"
    with pytest.raises(BenchError, match="a damaged Excel sheet"):
        answers(changed(good, SHEET, laughs))
    with pytest.raises(BenchError, match="a damaged Excel sheet"):
        answers(changed(good, "xl/workbook.xml", b"<x/>"))
    monkeypatch.setattr(sheets, "MOST_BYTES", 10_000)
    with pytest.raises(BenchError, match="an Excel sheet of more than 10,000 bytes"):
        answers(changed(good, SHEET, HEAD + b" " * 20_000 + b"</worksheet>"))
    with pytest.raises(BenchError, match="an OpenDocument sheet: save it as .xlsx or as CSV"):
        answers(zipped(**{"mimetype": "", "content.xml": ""}))


def test_hostile_parquet_files(answers, monkeypatch):
    with pytest.raises(BenchError, match="a Parquet file with a text of 70,000 characters"):
        answers(as_parquet({"user_id": ["x" * 70_000], "item_id": ["q"], "correct": [1]}))
    with pytest.raises(BenchError, match="whose column correct holds lists"):
        answers(as_parquet({"user_id": ["x"], "item_id": ["q"], "correct": [[1]]}))
    many = {"user_id": ["x"] * 2000, "item_id": ["q"] * 2000, "correct": [1] * 2000}
    monkeypatch.setattr(sheets, "MOST_BYTES", 5_000)
    with pytest.raises(BenchError, match="a Parquet file of more than 5,000 characters"):
        answers(as_parquet(many))
    monkeypatch.setattr(sheets, "MOST_CELLS", 5_000)
    with pytest.raises(BenchError, match="a Parquet file of more than 5,000 cells"):
        answers(as_parquet(many))


def test_objects_that_are_not_alike(answers, monkeypatch):
    monkeypatch.setattr(sheets, "MOST_CELLS", 100)
    with pytest.raises(BenchError, match="JSON lines whose objects have 20 names"):
        answers("\n".join(f'{{"a{n}": 1}}' for n in range(20)).encode())


@pytest.mark.parametrize("name", ["openpyxl", "pyarrow"])
def test_which_library_to_install_is_said(answers, monkeypatch, name):
    content = as_excel() if name == "openpyxl" else as_parquet()
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BenchError, match=rf"which {name} reads: pip install 'maml-bench\[tables\]"):
        answers(content)


def test_lists_are_several_skills(answers):
    rows = [
        {"user_id": "a", "item_id": "q", "correct": 1, "skill_id": [3, 7]},
        {"user_id": "a", "item_id": "r", "correct": 1, "skill_id": ["Area, Circle", "x"]},
        {"user_id": "a", "item_id": "s", "correct": 1, "skill_id": []},
    ]
    found = answers(json.dumps(rows).encode())
    assert found.skills == ["3", "7", "Area, Circle", "x"]
    assert found.q_matrix.tolist() == [
        [True, True, False, False],
        [False, False, True, True],
        [False] * 4,
    ]
