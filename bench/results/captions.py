"""What stands below a table: all that a reader must know of its columns."""

import pandas as pd

from bench.results.summary import FIRST_AHEAD, NO_DIFFERENCE, NOT_ALIKE, SECOND_AHEAD, TOO_FEW

DIFFERS = "≠"  # beside a published result whose protocol is another one
ELSEWHERE = "†"  # beside what was measured on another kind of machine than its neighbours


def caption(
    table: pd.DataFrame, plain: pd.DataFrame, curves: pd.DataFrame, with_way: bool
) -> list[str]:
    """What a reader must know, one sentence an entry.

    Args:
        table: the summary in numbers, of all that is shown.
        plain: the rows of it that stand in a table with all columns.
        curves: those that stand in curves over the answers shown.
        with_way: whether the way to the ceiling is shown.
    """
    low, high = table["episodes"].min(), table["episodes"].max()
    episodes = f"{low}" if low == high else f"{low} to {high}"
    words = {
        "episodes": f"over {episodes} test episodes, for the models trained here: it does not "
        "cover other seeds",
        "runs and episodes": "over seeds and test episodes, where there are three seeds or more",
        "runs": "over folds (wider than Student's, as their training data overlap) or versions "
        "(Student t), where there are three or more",
    }
    over = [words[name] for name in words if (table["interval_over"] == name).any()]
    text = ["± is a 95 % interval " + "; ".join(over) + "."]
    verdicts = set(plain["verdict"])
    if table["verdict"].any():
        notes = ["is paired by test episode and has an interval of its own"]
        if NO_DIFFERENCE in verdicts:
            notes.append(f'"{NO_DIFFERENCE}" means that it holds zero')
        if few := [few for few in TOO_FEW.values() if few in verdicts]:
            few = " or ".join(f'"{words}"' for words in few)
            notes.append(f"{few} stands where a verdict would need three")
        if NOT_ALIKE in verdicts:
            notes.append(
                f'"{NOT_ALIKE}" stands where the orders differ in more than their order: in the '
                "length of training, the data or the network"
            )
        text.append(f"Second − first order {'; '.join(notes)}.")
    if curves["verdict"].isin([SECOND_AHEAD, FIRST_AHEAD]).any():
        text.append("* marks a difference whose interval excludes zero.")
    if curves["verdict"].isin(TOO_FEW.values()).any():
        text.append("One or two seeds have no *, as others may give something else.")
    if with_way:
        text.append(
            "Way to ceiling: 0 % is the item mean, 100 % what the exact Bayes posterior of the "
            "true generator predicts from the same answers; blank where the gap is within noise."
        )
    if len(plain):
        text.append("Before → after: before the first and after the last inner step at test.")
    elsewhere = plain["measured_elsewhere"]
    on = [name for name in plain["measured_on"][~elsewhere].unique() if name]
    by = f" on {' or '.join(on)}" if on else ""
    if len(plain):
        text.append(
            f"ms and MiB: median time of one meta-iteration{by}, and the memory it needs above "
            "what the process holds before it."
        )
    if elsewhere.any():
        others = " or ".join(plain["measured_on"][elsewhere].unique())
        text.append(
            f"{ELSEWHERE}: measured on {others} instead, and comparable with its like alone."
        )
    if plain["published"].notna().any():
        text.append(
            f"Published: what a paper reports; {DIFFERS} where its protocol differs, such as in "
            "the network or the length of training, or is not told in full."
        )
    if table["synthetic"].any():
        text.append("Synthetic data is drawn by a program: nobody collected it.")
    parts = list(dict.fromkeys(part for text in table["chosen"] for part in text.split("; ")))
    if "others: default" in parts:  # which says it of the runs without a choice too
        parts = [p for p in parts if p not in ("default", "others: default")] + ["others: default"]
    chosen = "; ".join(_together(parts))
    return [*text, f"Hyper-parameters: {chosen}."] if chosen else text


def _together(parts: list[str]) -> list[str]:
    """Names of arguments that the same is said of, in one part.

    >>> _together(["a and b: best of 4 trials", "b and c: best of 4 trials", "others: default"])
    ['a, b and c: best of 4 trials', 'others: default']
    """
    names: dict[str, list[str]] = {}
    for part in parts:
        name, _, words = part.rpartition(": ")
        names.setdefault(words if "best of" in words else part, []).extend(name.split(" and "))
    found = []
    for words, every in names.items():
        *first, last = dict.fromkeys(every)
        listed = f"{', '.join(first)} and {last}" if first else last
        found.append(f"{listed}: {words}" if "best of" in words else words)
    return found
