"""Malformed files of students' answers, one line each: all are refused on the command line."""

import gzip
import io
import pickle
import zipfile

import numpy as np
import pytest
from lightning import Trainer

from bench.algorithms.rasch import Rasch
from bench.data.student import StudentDataModule
from bench.running.quiet import quiet


def shown(part):
    """How a part of a case is called: bytes are too long, and differ from run to run."""
    return part[-50:] if isinstance(part, str) else "-"


LONG = "user_id,item_id,correct,skill_id,order_id\n"
ROWS = "".join(f"s{n % 9},i{n % 7},{n % 2},k{n % 3},{n}\n" for n in range(90))
DKVMN = "3\n1,2,3\n0,1,0\n"
AKT = "1,7\n1,2\n3,4\n0,1\n"
PYKT = "fold,uid,questions,concepts,responses\n"
MATRIX = "1,0,1\n0,1,1\n1,1,0\n"


def long(row):
    """A good table whose line 92 is another."""
    return LONG + ROWS + row + "\n"


FILES = [
    # what no format has
    (None, "answers.csv: there is no such file"),
    ("", "answers.csv: is empty"),
    (" \n,,\n\n", "answers.csv: is empty"),
    (b"\x00\x01\x02", "line 1: holds the byte 0x00"),
    (b"user_id\n\x1b[31m", "line 2: holds the byte 0x1b"),
    (b"PK\x03\x04", "a zip, an Excel sheet or an .npz"),
    (b"\xff\xfea\x00", "UTF-16 text: save it as UTF-8"),
    (b"BZh91", "bzip2-compressed"),
    (b"\x1f\x8b\x08\x00", "damaged gzip"),
    (gzip.compress(LONG.encode())[:-6], "damaged gzip"),
    (pickle.dumps({"a": 1}), "so it is not a text file"),
    (b"user_id,item_id,correct\nZo\x81,q,1\n", "neither UTF-8 nor Windows-1252"),
    ("Zoë 李".encode() + b"\xe6,q\n1,0\n", "which is not UTF-8 as the rest is"),
    ('{"subject_id": "p", "responses": {"q1": 1}}\n', "line 1: JSON lines, but 'responses'"),
    ('[{"user_id": 1, "logs": [{}]}]', "object 1: JSON, but 'logs' holds objects or lists"),
    ('{"user_id": ["a"]}', "JSON by columns: give an object"),
    (b"\xd0\xcf\x11\xe0", "an Excel sheet of before 2007"),
    (b"PAR1", "Parquet file"),
    ("sep=;\n", "answers.csv: is empty"),
    ("hello\nworld\n", "begins none of the known formats"),
    ("a,b,c\n1,2,x\n", "begins none of the known formats"),
    ('"a,b\n', "no CSV"),
    # a row for each answer
    (LONG, "has a header, but no rows"),
    (long("s1,i1"), "line 92: 2 fields, but the header has 5"),
    (long("s1,i1,1,k1,5,6,7"), "line 92: 7 fields, but the header has 5"),
    (long("s1,i1,2,k1,5"), "line 92: column correct: answer '2' is neither 0 nor 1"),
    (long("s1,i1,-1,k1,5"), "line 92: column correct: answer '-1' is neither 0 nor 1"),
    (long("s1,i1,yes,k1,5"), "line 92: column correct: answer 'yes' is neither"),
    (long("s1,i1,inf,k1,5"), "line 92: column correct: answer 'inf' is neither"),
    (long(",i1,1,k1,5"), "line 92: column user_id: no student"),
    (long("s1,,1,k1,5"), "line 92: column item_id: no item"),
    (long("s1,NaN,1,k1,5"), "line 92: column item_id: no item"),
    (long("s1,-4,1,k1,5"), "line 92: column item_id: item '-4' is negative"),
    ("user_id,task,correct\na,b,1\n", "say which it is, as --columns item_id=task"),
    (long("s1,i1,1,-2,5"), "line 92: column skill_id: skill '-2' is negative"),
    (long("s1,i1,1,k1,soon"), "line 92: column order_id: 'soon' is neither a number nor a time"),
    (long("s1,i1,1,k1,"), "line 92: column order_id: '' is neither a number nor a time"),
    (long("s1,i1,1,k1,1e999"), "line 92: column order_id: '1e999' is neither"),
    (long("s1,i1,1,k1,2024-13-01"), "line 92: column order_id: '2024-13-01' is neither"),
    (long('s1,"i1,1,k1,5'), "line 92: no CSV"),
    (long('s1,"i"1,1,k1,5'), "line 92: no CSV"),
    ("user_id,item_id\na,b\n", "header: no column correct"),
    ("item_id,correct\na,1\n", "header: no column user_id"),
    ("user_id,correct\na,1\n", "header: no column item_id"),
    (LONG + "s1,i1,,k1,1\n", "no answers are left (dropped 1 rows without an answer)"),
    (LONG + "s1,i1,0.5,k1,1\n", "dropped 1 rows with a score between 0 and 1"),
    # three lines a student
    (DKVMN + "2\n1,2\n", "the last student has 2 of 3 lines"),
    (DKVMN + "2\n1,2\n0,1,1\n", "line 6: 3 entries, but line 4 says 2"),
    (DKVMN + "x\n1,2\n0,1\n", "line 4: 'x' instead of a number of answers"),
    (DKVMN + "2\n1,2\n0,2\n", "line 6: entry 2 (answer): answer '2' is neither 0 nor 1"),
    (DKVMN + "2\n1,a\n0,1\n", "line 5: entry 2 (skill): skill id 'a' is no number"),
    (DKVMN + "2\n1,-3\n0,1\n", "line 5: entry 2 (skill): skill id '-3' is negative"),
    (DKVMN + "2\n1,\n0,1\n", "line 5: 1 entries, but line 4 says 2"),
    (DKVMN + "99999999999\n1\n1\n", "line 4: '99999999999' instead of a number"),
    (DKVMN + "-1\n1\n1\n", "line 4: '-1' instead of a number"),
    ("0\n0\n", "no answers are left"),
    (DKVMN, "3 of its 3 questions are unknown to the checkpoint"),
    # four lines a student
    (AKT + "2,8\n1,2\n3,4\n", "the last student has 3 of 4 lines"),
    (AKT + "2,8\n1,2\n3,4\n0\n", "line 8: 1 entries, but line 6 has 2"),
    (AKT + "x,8\n1,2\n3,4\n0,1\n", "line 5: 'x,8' instead of `index,student`"),
    (AKT + "2,8\n1,2\n3,4\n0,7\n", "line 8: entry 2 (answer): answer '7' is neither"),
    (AKT + "2,8\n1,q\n3,4\n0,1\n", "question id 'q' is no number"),
    # pyKT
    (PYKT, "has a header, but no rows"),
    (PYKT + '0,1,"1,2","3,4","0"\n', "column questions: 2 entries, but 1 responses"),
    (PYKT + '0,1,"1,2","3,4","0,x"\n', "column responses, entry 2: answer 'x' is neither"),
    (PYKT + '0,1,"1,2","3,4","0,3"\n', "column responses, entry 2: answer '3' is neither"),
    (PYKT + 'a,1,"1,2","3,4","0,1"\n', "column fold: 'a' is no number"),
    (PYKT + '0,,"1,2","3,4","0,1"\n', "column uid: no student"),
    (PYKT + '0,1,"-1,-1","-1,-1","-1,-1"\n', "no row has responses to questions or concepts"),
    (PYKT + '0,1,"1,-5","3,4","0,1"\n', "question id '-5' is negative"),
    # a matrix of students by items
    (MATRIX + "1,0\n", "line 4: 2 fields, but 3 in line 1"),
    (MATRIX + "1,0,5\n", "line 4: column 3: answer '5' is neither 0 nor 1"),
    (MATRIX + "1,0,0.5\n", "line 4: column 3: answer '0.5' is neither 0 nor 1"),
    (MATRIX + "1,0,x\n", "line 4: column 3: answer 'x' is neither 0 nor 1"),
    ("student,a,b\nann,✓,✗\nben,✗,✓\n", "line 2: column a: answer '✓' is neither 0 nor 1"),
    ("Name,a,b,c\nann,-,1,0\n", "line 2: column a: answer '-' is neither 0 nor 1"),
    ("item,a,a\nx,1,0\n", "header: 1 names of columns occur twice"),
    ("item,a,b\nx,1,0\nx,1,0\n", "header: 1 names of items occur twice"),
    ("a,b,c\n", "begins none of the known formats"),
    ("a,a,b\n" + MATRIX, "header: 1 names of columns occur twice"),
    ("id,a,b\n1,NA,NA\n2,,\n", "no answers are left"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A checkpoint of a model of the students of the good table."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "answers.csv").write_text(LONG + ROWS)
    options = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    with quiet():
        trainer = Trainer(max_steps=1, accelerator="cpu", limit_val_batches=0, **options)
        trainer.fit(Rasch(), datamodule=StudentDataModule(str(folder / "answers.csv"), shots=5))
        trainer.save_checkpoint(folder / "rasch.ckpt")
    return folder / "rasch.ckpt"


@pytest.mark.parametrize(("content", "words"), FILES)
def test_answers(content, words, model, tmp_path, refused):
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "answers.csv").write_bytes(data)
    refused(f"student --checkpoint {model} --answers answers.csv", words)


OPTIONS = [
    ("--data.source .", ".: a folder: name the files in it"),
    ("--data.source /dev/zero", "/dev/zero: not an ordinary file"),
    ("--data.source []", "source: name a file of students' answers, such as --data.source answers"),
    ("--data.source=[answers.csv,answers.csv]", "one of them is given twice"),
    ("--data.source=[answers.csv,none.csv]", "none.csv: there is no such file"),
    ("--data.source a\x00b", "there is no such file"),
    ("--data.columns '{correct: right}'", "header: no column 'right', which columns= names for"),
    ("--data.columns '{marks: correct}'", "columns: 'marks' is no role"),
    ("--data.folds 1", "folds=1: give a whole number of at least 2"),
    ("--data.folds 100", "9 students cannot be divided into folds=100"),
    ("--data.fold 5", "fold=5: give a number from 0 to 4"),
    ("--data.folds_from file --data.fold 3", "fold=3: answers.csv has the folds 0"),
    ("--data.folds_from column", "answers.csv has no column fold: use --data.folds_from seed"),
    ("--data.folds_from nowhere", "folds_from"),
    ("--data.val_share 0", "val_share=0.0: give a share between 0 and 1"),
    ("--data.val_share nan", "Expected a <class 'float'>. Got value: nan"),
    ("--data.shots 50", "no student is left for"),
    ("--data.shots 0", "shots=0: give a whole number of at least 1"),
    ("--data.tested_shots [3,1]", "tested_shots=(3, 1): give rising whole numbers"),
    ("--data.protocol last", "protocol"),
    ("--data.q_matrix none.csv", "none.csv: there is no such file"),
]


@pytest.mark.parametrize(("flags", "words"), OPTIONS)
def test_options(flags, words, tmp_path, refused):
    (tmp_path / "answers.csv").write_text(LONG + ROWS)
    source = "" if "source" in flags else "--data.source answers.csv"
    refused(f"test --model Rasch --data StudentDataModule {source} {flags}", words)


Q_MATRICES = [
    ("", "q.csv: is empty"),
    ("item_id,skill_id\n", "q.csv: has a header, but no rows"),
    ("item_id,skill_id\n,k1\n", "q.csv, line 2: no item"),
    ("item_id,skill_id\ni1,-3\n", "q.csv, line 2: skill '-3' is negative"),
    ("item_id,skill_id\nother,k1\n", "q.csv: names none of the 7 items, such as i0"),
    ("item_id,skill_id\ni1,k1,k2\n", "q.csv, line 2: 3 fields, but the header has 2"),
    ("1,0\n0,1\n", "q.csv: 2 rows x 2 columns do not fit 7 items"),
    ("1,1,1,1,1,1,1\n0,0,0,0,0,0,0\n", "turn it round"),
    ("1,0\n" * 7, "its rows have no names, and the items, such as i6"),
    ("1,0\n0,2\n", "q.csv, line 2: column 2: entry '2' is neither 0 nor 1"),
    ("item,a,b\ni1,1,\n", "q.csv, line 2: column b: no entry: write 0 or 1"),
    ("item,a,b\ni1,1,x\n", "q.csv, line 2: column b: entry 'x' is neither 0 nor 1"),
]


@pytest.mark.parametrize(("content", "words"), Q_MATRICES)
def test_q_matrices(content, words, tmp_path, refused):
    (tmp_path / "answers.csv").write_text(LONG + ROWS)
    (tmp_path / "q.csv").write_text(content)
    data = "StudentDataModule --data.source answers.csv --data.q_matrix q.csv"
    refused(f"test --model Rasch --data {data}", words)


# Sets that are prepared ---------------------------------------------------------------------------

SOURCES = [
    ("assist2009", {}, "assist2009 cannot be downloaded by a program"),
    ("assist2009", {"other.csv": DKVMN}, "holds neither assist2009_updated_train.csv nor"),
    ("assist2009", {"assist2009_updated_train.csv": DKVMN}, "neither assist2009_updated_test.csv"),
    ("fraction_subtraction", {"fraction_subtraction_responses.csv": MATRIX}, "qmatrix.csv"),
    (
        "fraction_subtraction",
        {"fraction_subtraction_responses.csv": MATRIX, "fraction_subtraction_qmatrix.csv": "1\n"},
        "do not fit 3 items",
    ),
    ("synthetic5", {}, "synthetic5 cannot be downloaded"),
    ("synthetic5", {"readme": "x"}, "nothing of Synthetic-5 in it"),
    ("synthetic5", {"naive_c5_q50_s4000_v0.csv": MATRIX}, "3 students with 9 answers: wanted are"),
    ("synthetic5", {"dkt_synthetic_c5_v0-9.npz": "x"}, "is no file of dkt_synthetic"),
]


@pytest.mark.parametrize(("dataset", "files", "words"), SOURCES)
def test_sources(dataset, files, words, tmp_path, refused):
    for name, text in files.items():
        (tmp_path / "source").mkdir(exist_ok=True)
        (tmp_path / "source" / name).write_text(text)
    refused(f"prepare {dataset}" + (" --source source" if files else ""), words)


class Payload:
    def __reduce__(self):
        return open, ("mark", "w")


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def zipped(**files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


WHOLE = {
    "starts": np.array([0, 2, 3]),
    "item": np.array([0, 1, 0]),
    "answer": np.array([0, 1, 1], np.int8),
    "q_matrix": np.ones((2, 1), bool),
    "of_file": np.array([0, 1]),
    "students": np.array(["a", "b"]),
    "items": np.array(["x", "y"]),
    "skills": np.array(["k"]),
    "notes": np.array([], np.str_),
    "ordered": np.array(True),
}
PREPARED = [
    (b"", "is damaged"),
    (b"PK\x03\x04", "is damaged"),
    (npz(**WHOLE)[:-40], "is damaged"),
    (pickle.dumps(WHOLE), "is damaged"),
    (npz(**{k: v for k, v in WHOLE.items() if k != "item"}), "is damaged"),
    (npz(**WHOLE | {"item": np.array([Payload()], object)}), "is damaged"),
    (zipped(**{"starts.npy": b"x"}), "is damaged"),
    (npz(**WHOLE | {"starts": np.array([0, 5, 3])}), "its parts do not fit together"),
    (npz(**WHOLE | {"starts": np.array([0.0, 2.0, 3.0])}), "its parts do not fit together"),
    (npz(**WHOLE | {"starts": np.array(3)}), "its parts do not fit together"),
    (npz(**WHOLE | {"item": np.array([0, 9, 0])}), "its parts do not fit together"),
    (npz(**WHOLE | {"item": np.array([0, -1, 0])}), "its parts do not fit together"),
    (npz(**WHOLE | {"answer": np.array([0, 1, 2])}), "its parts do not fit together"),
    (npz(**WHOLE | {"answer": np.array([0, 1])}), "its parts do not fit together"),
    (npz(**WHOLE | {"q_matrix": np.ones((1, 1), bool)}), "its parts do not fit together"),
    (npz(**WHOLE | {"q_matrix": np.ones((2, 1))}), "its parts do not fit together"),
    (npz(**WHOLE | {"students": np.array(["a"])}), "its parts do not fit together"),
    (npz(**WHOLE | {"students": np.array([1, 2])}), "its parts do not fit together"),
    (npz(**WHOLE | {"ordered": np.array(3)}), "its parts do not fit together"),
    (npz(**WHOLE | {"ordered": np.array([True, False])}), "is damaged"),
]


@pytest.mark.parametrize(("content", "words"), PREPARED)
def test_prepared_students(content, words, tmp_path, refused):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "assist2009.answers.npz").write_bytes(content)
    refused("test --model Rasch --data Assist2009DataModule", words)
    assert not (tmp_path / "mark").exists()


SYNTHETIC5 = [
    (b"", "is no file of dkt_synthetic_c5_v0-9.npz's kind"),
    (npz(responses=np.array([Payload()], object), concept=np.zeros(1)), "is no file of"),
    (npz(responses=np.zeros(3), concept=np.zeros((3, 50))), "responses is float64 of shape (3,)"),
    (npz(responses=np.zeros((1, 4000, 7), np.uint8)), "is no file of"),
    (
        npz(responses=np.zeros((1, 4000, 7), np.uint8), concept=np.full((1, 50), 9)),
        "concepts 0 to 4",
    ),
    (
        npz(
            responses=np.zeros((1, 4000, 7), np.uint8), concept=np.zeros((1, 50), int), version="x"
        ),
        "version",
    ),
]


@pytest.mark.parametrize(("content", "words"), SYNTHETIC5)
def test_synthetic5(content, words, tmp_path, refused):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "synthetic5.npz").write_bytes(content)
    refused("test --model Rasch --data bench.data.synthetic5.Synthetic5DataModule", words)
    assert not (tmp_path / "mark").exists()
