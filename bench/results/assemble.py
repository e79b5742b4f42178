"""The record of a run that was trained and tested, put together from what came out."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.results import schema
from bench.tasks.evaluation import Scores, concatenate, report
from bench.tasks.objectives import OBJECTIVES


def assemble(
    kind: str,
    scores: Sequence[Scores],
    recovered: Sequence[Mapping[str, float]],
    split: str,
    training: Mapping[str, Any],
    **fields: Any,
) -> dict[str, Any]:
    """A record as :class:`bench.results.schema.Record` has it, without its cost.

    Args:
        kind: of the tasks, a key of :data:`bench.tasks.objectives.OBJECTIVES`.
        scores: of all episodes, or of each view of them.
        recovered: how much each view tells of what lies behind synthetic answers.
        split: which episodes were scored, ``"test"`` or ``"val"``.
        training: as it stands in the record: ``iterations``, ``seconds``, ``validation`` and
            ``best_iteration``.
        fields: what goes in as it is: ``experiment``, ``algorithm``, ``synthetic``, ``chosen``,
            ``tuned`` and ``provenance``.
    """
    objective = OBJECTIVES[kind]
    episode = concatenate(scores)
    index = episode.pop("index")
    headline = episode[objective.headline][:, -1]
    return {
        "schema": schema.VERSION,
        **fields,
        "metrics": {
            "headline": objective.headline,
            "higher_is_better": objective.higher_is_better,
            **report(episode, scores[0].pooled if len(scores) == 1 else {}),
        },
        "evaluation": {
            "episodes": len(headline),
            "split": split,
            "index": index.tolist(),
            "per_episode": {objective.headline: headline.tolist()},
            "views": [_view(s, r) for s, r in zip(scores, recovered) if s.view is not None],
        },
        "training": dict(training),
        "cost": None,
    }


def _view(scores: Scores, recovery: Mapping[str, float]) -> dict[str, Any]:
    view = {
        "shots": scores.view.shots,
        "episodes": len(scores.index),
        "metrics": report(scores.episode, scores.pooled),
        "recovery": recovery,
    }
    if scores.view.source:
        view["source"] = scores.view.source
    return view
