import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bench
from bench.base import spreadsheets


@pytest.mark.parametrize("text", ["=1+1", "+1", "-x", "@SUM(A1)", "\t=1", "=", "-"])
@pytest.mark.parametrize("dtype", [object, "str"])
def test_text_that_would_be_run_is_marked_as_text(text, dtype):
    table = pd.DataFrame({"name": ["Ann", text], "gain": [1.0, 2.0]}).astype({"name": dtype})
    back = pd.read_csv(io.StringIO(spreadsheets.to_csv(table), newline=""))
    assert back["name"].tolist() == ["Ann", f"'{text}"]
    assert table["name"].tolist() == ["Ann", text]  # the table itself stays as it is


@pytest.mark.parametrize(
    ("text", "shown"), [("\r=1", "'\n=1"), ("\n=1", "'\n=1"), ("a\r=1\r\n=2", "a\n=1\n=2")]
)
def test_no_line_end_begins_another_cell(text, shown):
    written = spreadsheets.to_csv(pd.DataFrame({"name": [text]}))
    assert written == f'name\n"{shown}"\n'


def test_other_text_stays_as_it_is():
    words = ["", "a=b", "1-2", "(-1)", "'quoted", 'a "b", c', "a\nb", "ä", " =", "nan"]
    table = pd.DataFrame({"word": words})
    assert spreadsheets.to_csv(table) == table.to_csv(index=False, lineterminator="\n")


def test_numbers_stay_numbers():
    table = pd.DataFrame(
        {
            "float": [-1.23456789, np.nan, 2],
            "int": [-1, 2, 3],
            "maybe": pd.array([-1, None, 3], dtype="Int64"),
            "truth": pd.array([True, None, False], dtype="boolean"),
            "mixed": np.array([-1, -0.123456789, "=x"], dtype=object),
            "none": np.array([None, -5, 7], dtype=object),
        },
        index=[0, 0, 1],
    )
    assert spreadsheets.to_csv(table, float_format="%.3g").splitlines() == [
        "float,int,maybe,truth,mixed,none",
        "-1.23,-1,-1,True,-1,",
        ",2,,,-0.123456789,-5",
        "2,3,3,False,'=x,7",
    ]


def test_a_heading_is_text_too():
    assert spreadsheets.to_csv(pd.DataFrame({"=a": [1]})) == "'=a\n1\n"


def test_no_other_csv_is_written():
    for path in Path(bench.__file__).parent.rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"csv\.(writer|DictWriter)", text), path
        if path.name != "spreadsheets.py":
            found = re.findall(r"(\w+)\.to_csv\(", text)
            assert set(found) <= {"spreadsheets", "tables"}, path
