import pytest

from bench.base.errors import BenchError
from bench.data.students.responses import read

HEAD = "fold,uid,questions,concepts,responses"


def write(tmp_path, content):
    path = tmp_path / "answers.csv"
    path.write_text(content)
    return path


def test_concepts_alone(tmp_path):
    for extra, cell in (("", ""), (",questions", ",NA"), (",questions", ',"-1,-1,-1"')):
        content = f"fold,uid,concepts,responses{extra}\n"
        content += f'0,7,"4,5,-1","1,0,-1"{cell}\n1,3,"5,5,4","0,1,1"{cell}\n'
        responses = read(write(tmp_path, content))
        assert responses.students == ["3", "7"]
        assert responses.items == responses.skills == ["4", "5"]
        assert responses.q_matrix.tolist() == [[True, False], [False, True]]
        assert responses.item.tolist() == [1, 1, 0, 0, 1]
        assert responses.answer.tolist() == [0, 1, 1, 1, 0]
        assert responses.fold.tolist() == [1, 0]
        assert responses.ordered


def test_concepts_of_one_question(tmp_path):
    responses = read(write(tmp_path, f'{HEAD}\n0,7,"9,8","3_7,3","1,0"\n'))
    assert responses.items == ["8", "9"]
    assert responses.skills == ["3", "7"]
    assert responses.q_matrix.tolist() == [[True, False], [True, True]]


def test_repeats_count_once(tmp_path):
    content = f'{HEAD},is_repeat\n0,7,"9,9,8,9","3,7,3,3","1,1,0,0","0,1,0,0"\n'
    responses = read(write(tmp_path, content))
    assert responses.item.tolist() == [1, 0, 1]
    assert responses.answer.tolist() == [1, 0, 0]
    assert responses.q_matrix.tolist() == [[True, False], [True, True]]
    assert responses.notes == ["dropped 1 repeated entries of multi-skill items"]


def test_pieces_of_a_student_are_joined_and_windows_overlap_not(tmp_path):
    content = 'fold,uid,concepts,responses,selectmasks\n-1,7,"1,2","1,0","1,1"\n'
    content += '-1,8,"1,-1","0,-1","1,-1"\n-1,7,"2,3","0,1","-1,1"\n'
    responses = read(write(tmp_path, content))
    assert responses.students == ["7", "8"]
    assert responses.item.tolist() == [0, 1, 2, 0]
    assert responses.answer.tolist() == [1, 0, 1, 0]
    assert responses.fold.tolist() == [-1, -1]
    assert responses.notes == [
        "dropped 1 answers that are a window's context",
        "joined 3 rows into 2 students",
    ]


def test_without_uid_or_fold(tmp_path):
    responses = read(write(tmp_path, 'concepts,responses\n"1,2","0,1"\n"-1","-1"\n2,1\n'))
    assert responses.students == ["1", "2"]
    assert responses.fold is None
    assert responses.answer.tolist() == [0, 1, 1]
    assert responses.notes == ["dropped 1 students without answers"]


def test_a_very_long_list(tmp_path):
    ids, answers = ",".join(["12345"] * 40000), ",".join(["1"] * 40000)
    responses = read(write(tmp_path, f'uid,concepts,responses\n1,"{ids}","{answers}"\n'))
    assert len(responses.answer) == 40000


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('uid,concepts,responses\n1,"1,2","1"\n', "line 2: column concepts: 2 entries, but 1 resp"),
        (HEAD + '\n0,1,"1,2","1,2","1,2"\n', "line 2: column responses, entry 2: answer '2' is ne"),
        (
            HEAD + '\n0,1,"1,-1","1,1","1,0"\n',
            "column questions, entry 2: questions? id '-1' is ne",
        ),
        (HEAD + '\n0,1,"1,1","1,-1","1,0"\n', "column concepts, entry 2: skill '-1' is negative"),
        (HEAD + '\nx,1,"1,1","1,1","1,0"\n', "line 2: column fold: 'x' is no number"),
        (HEAD + '\n0,,"1,1","1,1","1,0"\n', "line 2: column uid: no student"),
        (HEAD + '\n0,1,1,1,1\n0,2,"1,1","1,1","1,0\n', "line 3: no CSV .*mend the quotes"),
        (HEAD + '\n0,1,"1,1","1,1",1,0\n', "line 2: 6 fields, but the header has 5: quote"),
        (HEAD + "\n0,1,-1,-1,-1\n", "no row has responses to questions or concepts"),
        (HEAD + "\n", "has a header, but no rows"),
    ],
)
def test_refused(tmp_path, content, match):
    with pytest.raises(BenchError, match=rf"answers\.csv.*{match}") as error:
        read(write(tmp_path, content))
    assert "\n" not in str(error.value)
