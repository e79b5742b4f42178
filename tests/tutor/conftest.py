import numpy as np
import pytest

from bench.algorithms.bilevel_irt import BilevelIRT
from bench.algorithms.dkt import DKT
from bench.algorithms.rasch import Rasch
from bench.data.student import StudentDataModule
from bench.tutor.calibration import fit

SKILLS = ["adding", "halving"]


@pytest.fixture(scope="session")
def taught(tmp_path_factory):
    """A folder with checkpoints of small models of 20 questions: ``irt``, ``rasch`` and ``dkt``.

    Questions with even numbers are on adding, the others on halving.
    """
    folder = tmp_path_factory.mktemp("taught")
    rng, lines = np.random.default_rng(0), ["user_id,item_id,correct,skill_id,order_id"]
    for student in range(60):
        ability = rng.normal(size=2)
        for time, item in enumerate(rng.permutation(20)[:16]):
            logit = 1.5 * ability[item % 2] - item / 10 + 1
            right = int(rng.random() < 1 / (1 + np.exp(-logit)))
            lines.append(f"s{student},q{item},{right},{SKILLS[item % 2]},{time}")
    (folder / "class.csv").write_text("\n".join(lines) + "\n")
    for name, learner, steps in (
        ("irt", BilevelIRT(model_options={"dimensions": 2}), 60),
        ("rasch", Rasch(), 30),
        ("dkt", DKT(hidden=4), 2),
    ):
        data = StudentDataModule(source=str(folder / "class.csv"), shots=8, queries=8)
        fit(learner, data, steps).save_checkpoint(folder / f"{name}.ckpt")
    return folder
