"""The ceiling of synthetic student tasks: the best prediction that anybody could make."""

import torch
from torch import Tensor, nn

from bench.algorithms.item_mean import Table
from bench.base.errors import BenchError
from bench.learning.student_learner import StudentLearner
from bench.tasks.episode import Episode, TaskSpec


class Bayes(StudentLearner):
    """The exact Bayes prediction, by the data module that knows how its students were made.

    See :meth:`bench.data.students.synthetic.SyntheticStudents.ceiling` for what it knows.
    Nothing is trained.

    Args:
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "Bayes ceiling"
    role = "ceiling"

    trains = False
    search = {"outer_lr": None}

    def check_data(self, data: object) -> None:
        """Refuses data of which the best prediction is not known.

        Raises:
            BenchError: names what to do.
        """
        super().check_data(data)
        if not hasattr(data, "ceiling_of"):
            raise BenchError(
                f"the best possible prediction is not known for {type(data).__name__}: leave "
                "bayes out, or use a data set of synthetic students"
            )

    def build(self, spec: TaskSpec) -> nn.Module:
        """Numbers that are not used, as a Trainer wants something to train."""
        return Table(spec.items)

    def predict(self, episode: Episode) -> Tensor:
        """Log-odds of each query in float64, ``[tasks, 1, query, 1]``.

        Raises:
            BenchError: where the best prediction is not known.
        """
        data = getattr(self._trainer, "datamodule", None)
        self.check_data(data)
        p = torch.as_tensor(data.ceiling_of(episode), dtype=torch.float64)
        return torch.logit(p, eps=1e-15).to(self.device)[:, None, :, None]
