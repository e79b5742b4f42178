"""Real students: answers from files of your own, split by student."""

from bench.data.students.recorded import RecordedStudents


class StudentDataModule(RecordedStudents):
    """Students whose answers lie in a file, or in several: ``--set source=answers.csv``.

    Args:
        **kwargs: see :class:`bench.data.students.recorded.RecordedStudents`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
