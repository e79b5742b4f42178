"""How well a method recovers what lies behind synthetic students' answers."""

import numpy as np
import torch
from torchmetrics.functional.classification import binary_auroc

from bench.learning.learner import MetaLearner
from bench.tasks.data_module import EpisodeDataModule

AT_ONCE = 500  # students


def recovery(learner: MetaLearner, data: EpisodeDataModule, index: np.ndarray) -> dict[str, float]:
    """Compares a method's latent state with the true one of test students.

    ``ability_correlation``: the correlation of each true ability with its best linear prediction
    from the method's latent numbers, mean over the abilities. ``mastery_auc``: how well the
    method's number for a skill tells students who have mastered it from those who have not, pooled
    over skills; only where the method has one number a skill.

    Args:
        learner: a method, with ``ability(episode) -> [tasks, dimensions]`` or
            ``mastery(episode) -> [tasks, skills]`` if it has such a state.
        data: students, with ``truth`` if they are synthetic.
        index: ``[students]`` numbers of their units in the test list (see
            :meth:`bench.tasks.data_module.EpisodeDataModule.unit`); of each, the last episode is
            looked at, which shows most.

    Returns:
        Empty where there is nothing to compare, and where the latent numbers are not finite.
    """
    if not hasattr(data, "truth"):
        return {}
    unit = data.unit("test", np.arange(data.listed("test")))
    units, from_end = np.unique(unit[::-1], return_index=True)
    index = (len(unit) - 1 - from_end)[np.searchsorted(units, index)]
    truth = data.truth("test", data.students_of("test", index))
    latent_of = next((getattr(learner, name, None) for name in truth), None)
    if latent_of is None:
        return {}
    found = []
    for part in np.array_split(index, -(-len(index) // AT_ONCE)):
        episode = data.episodes("test", part)
        device = learner.device
        episode = episode._replace(
            **{n: v.to(device) for n, v in episode._asdict().items() if v is not None}
        )
        with torch.enable_grad():
            found.append(latent_of(episode).detach().double().cpu().numpy())
    latent = np.concatenate(found)
    result = {}
    if not np.isfinite(latent).all():  # training diverged
        return result
    if "ability" in truth:
        design = np.column_stack([np.ones(len(latent)), latent])
        fitted = design @ np.linalg.lstsq(design, truth["ability"], rcond=None)[0]
        pairs = zip(fitted.T, truth["ability"].T)
        with np.errstate(invalid="ignore"):  # no correlation with what is alike for all
            found = [np.corrcoef(a, b)[0, 1] for a, b in pairs]
        result["ability_correlation"] = float(np.mean(found))
    if "mastery" in truth and latent.shape == truth["mastery"].shape:
        known = torch.from_numpy(truth["mastery"].astype(np.int64)).flatten()
        if not 0 < known.sum() < len(known):
            return result
        result["mastery_auc"] = float(binary_auroc(torch.from_numpy(latent).flatten(), known))
    return result
