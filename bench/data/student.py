"""Real students: answers from files of your own, split by student."""

from bench.data.students.recorded import RecordedStudents


class StudentDataModule(RecordedStudents):
    """Students whose answers lie in a file of yours, or in several: ``--set source=answers.csv``.

    All arguments are those of :class:`bench.data.students.recorded.RecordedStudents`.
    """
