import pytest

from bench.base import registry
from bench.base.errors import BenchError
from bench.tasks import kinds
from bench.tasks.objectives import OBJECTIVES


@pytest.mark.parametrize("name", registry.names("data"))
def test_every_data_set_has_a_kind_of_task_that_something_is_for(name):
    assert kinds.kind_of(name) in OBJECTIVES
    assert "maml" in kinds.fitting(kinds.kind_of(name))
    assert registry.load("data", name).kind == kinds.kind_of(name)


def test_students_have_methods_of_their_own():
    assert {"bkt", "dkt", "rasch", "bilevel_irt"} <= {*kinds.fitting("answers")}
    assert not {"bkt", "dkt", "rasch", "bilevel_irt"} & {*kinds.fitting("classification")}


def test_what_does_not_fit_is_named_with_what_does():
    kinds.check("MAML", None, "regression", "sinusoid")
    with pytest.raises(
        BenchError, match=r"BKT is for answers of students, and glyphs is class.*maml"
    ):
        kinds.check("BKT", ("answers",), "classification", "glyphs")
