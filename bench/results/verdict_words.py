"""A verdict in words: its table, and what to conclude from it. All from plain numbers.

The numbers are those of :func:`bench.results.verdict.numbers`. Each method was trained with one
seed, so that what is said of two orders is said of these trainings.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.results import tables
from bench.results.answer_tables import short, with_interval
from bench.results.labels import ORDERS
from bench.results.verdict import FLOORS

UNITS = {"log_loss": "students", "accuracy": "test classes"}
WIDE = 3  # times what matters: an interval that says next to nothing


def table(numbers: Mapping[str, Any]) -> pd.DataFrame:
    """One row a method, the best first, and one column a number of answers or examples shown."""
    answers = numbers["judged_by"] == "log_loss"
    rows = []
    for method in numbers["methods"]:
        row = {"Method": name(method)}
        for n, reached in method["settings"].items():
            row[_heading(n, answers)] = _value(*reached["judged"], answers)
        if answers:
            row["AUC"] = short(method["headline"])
        row["Calibration"] = short(method["calibration_error"])
        row["Time"] = f"{method['seconds']:.0f} s"
        rows.append(row)
    return pd.DataFrame(rows)


def caption(numbers: Mapping[str, Any]) -> str:
    """What a reader of the table must know."""
    answers, units = numbers["judged_by"] == "log_loss", numbers["units"]
    folds = numbers["folds"]
    if not answers:
        return (
            f"Share of images told right, {numbers['ways']} classes to choose from; ± is a 95 % "
            f"interval over {units} classes that no training saw. Calibration: error of the "
            "probabilities, over all numbers shown. Time: of one training."
        )
    pooled = (
        f", each predicted once, by a model of {folds} that had not seen it" if folds > 1 else ""
    )
    return (
        "Log-loss of the answers asked for (less is better; a coin has .693), by the number of "
        f"answers shown; ± is a 95 % interval over {units:,} students{pooled}. AUC and calibration "
        "error: over all numbers shown. Time: of one training."
    )


def sentences(numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The verdict: heading and text of each part."""
    found = [
        ("Which method", _which(numbers)),
        ("To take", _to_take(numbers)),
        ("Second order", _orders(numbers)),
        ("Enough data", _enough(numbers)),
        ("Calibration", _calibration(numbers)),
    ]
    if numbers["left_out"]:
        words = _listed(numbers["left_out"])
        found.append(("Left out", f"{words}: not finished on all of the data."))
    return [
        (heading, "\n".join(map(_capital, text.split("\n")))) for heading, text in found if text
    ]


def markdown(
    numbers: Mapping[str, Any], title: str, read: Sequence[str], steps: Sequence[str]
) -> str:
    """The whole report.

    Args:
        numbers: of the verdict.
        title: of the page.
        read: what was read and planned, in sentences.
        steps: commands to go on with.
    """
    parts = [*map(tables.escaped, [f"# {title}", *read]), tables.markdown(table(numbers))]
    parts.append(tables.escaped(caption(numbers)))
    parts += [
        tables.escaped(f"**{heading}.**{_as_list(text)}") for heading, text in sentences(numbers)
    ]
    if steps:
        said = "Go on with, in the folder of results:"
        parts.append(f"{said}\n\n```bash\n" + "\n".join(steps) + "\n```")
    return "\n\n".join(parts) + "\n"


def _as_list(text: str) -> str:
    """Several lines as Markdown has them."""
    lines = text.split("\n")
    return f" {text}" if len(lines) == 1 else "\n\n" + "\n".join(f"* {line}" for line in lines)


# The parts ----------------------------------------------------------------------------------------


def _which(numbers: Mapping[str, Any]) -> str:
    """Which method is best at each setting, by how much and how surely; a line for each."""
    answers, said = numbers["judged_by"] == "log_loss", []
    label = _labels(numbers)
    for n, best in numbers["best"].items():
        text = f"{_after(n, answers)}: {label[best['method']]}, {_value(*best['value'], answers)}"
        sure = [b for b in best["behind"] if b["sure"]]
        alike = [label[b["method"]] for b in best["behind"] if not b["sure"]]
        if alike:
            text += f"; not told apart from {_listed(alike)}"
        if sure:
            nearest, ahead = label[sure[0]["method"]], _value(*sure[0]["behind"], answers)
            text += f"; surely ahead of {nearest} by {ahead}"
            text += f" and of {len(sure) - 1} more" if len(sure) > 1 else ""
        said.append(f"{text}.")
    return "\n".join(said)


def _to_take(numbers: Mapping[str, Any]) -> str:
    """What is recommended, and why."""
    answers, label = numbers["judged_by"] == "log_loss", _labels(numbers)
    found, overall = numbers["recommended"], numbers["overall"]
    chosen, best = found["method"], overall["method"]
    text = f"Take {label[chosen]}."
    if chosen != best:
        text += (
            f" {_capital(label[best])} is the best on average, but not surely better than "
            f"{label[chosen]} ({_value(*found['gain'], answers)} ahead), which has fewer numbers "
            "to learn."
        )
    elif found["gain"]:
        text += (
            f" On average it is {_value(*found['gain'], answers)} ahead of "
            f"{label[found['floor']]}, the best of the simple ones."
        )
    elif chosen == found["floor"]:
        more = any(m["algorithm"] not in FLOORS for m in numbers["methods"])
        text += (
            " No method that learns more is better here."
            if more
            else " Nothing that learns more was compared with it."
        )
    if found["adapts"] is False and answers:
        text += (
            f" **These {numbers['units']:,} students are too few, or their answers too alike, to "
            "learn from the answers of one what the next will be:** nothing is surely better than "
            "what takes no notice of them, so take what is said of single students with care."
        )
    elif found["adapts"] is False:
        text += (
            " **The set is too small to learn from:** nothing is surely better than an untrained "
            "network; give more classes."
        )
    return text


def _orders(numbers: Mapping[str, Any]) -> str:
    """Which order was ahead, of each method that has both, and for what trainings that holds."""
    answers, said = numbers["judged_by"] == "log_loss", []
    for pair in numbers["orders"]:
        gain = (
            f"{_value(*pair['gain'], answers, signed=True)} for {pair['times']:.1f} times the time"
        )
        if not pair["sure"]:
            verdict = "no difference shown"
        else:
            order = ORDERS[2 if pair["gain"][0] > 0 else 1]
            verdict = f"{order} is ahead for these trainings"
        said.append(f"{pair['method']}: {verdict} ({gain}).")
    if len(said) == 1:  # a sentence more in the same line
        return f"{said[0]} {_covered(numbers)}"
    return "\n".join([*said, _covered(numbers)] if said else [])


def _covered(numbers: Mapping[str, Any]) -> str:
    """What an interval of the difference between the orders is over, and what it is not."""
    folds, unit = numbers["folds"], UNITS[numbers["judged_by"]]
    if folds == 1:
        return f"One training of each order: ± is over {unit}, not over seeds."
    return (
        f"One training of each order a fold, {folds} in all: ± is over {unit}, each predicted by "
        "one of them, not over seeds."
    )


def _enough(numbers: Mapping[str, Any]) -> str:
    """What can be told with so many units, and how many would tell more."""
    found, unit = numbers["enough"], UNITS[numbers["judged_by"]]
    if found["resolution"] is None:
        return ""
    answers = numbers["judged_by"] == "log_loss"
    what = "log-loss" if answers else "the share right"
    resolution, matters = (_plain(found[n], answers) for n in ("resolution", "matters"))
    text = f"With {found['units']:,} {unit}, differences of {resolution} in {what} can be told"
    if found["resolution"] <= found["matters"]:
        return f"{text}: enough to choose by."
    ratio = found["resolution"] / found["matters"]
    weak = "too few to choose by" if ratio > WIDE else "not enough for close calls"
    return f"{text}: {weak}. To tell {matters}, about {_round(found['needed'])} {unit} are needed."


def _calibration(numbers: Mapping[str, Any]) -> str:
    """Whether what is recommended says what it knows, and what a temperature is worth."""
    chosen = next(
        m for m in numbers["methods"] if m["algorithm"] == numbers["recommended"]["method"]
    )
    t, gain = chosen["temperature"], chosen["log_loss"] - chosen["log_loss_scaled"]
    text = (
        f"{name(chosen)}: log-loss {short(chosen['log_loss'])}, calibration error "
        f"{short(chosen['calibration_error'])}."
    )
    with_t = (
        f"log-loss {short(chosen['log_loss_scaled'])} and calibration error "
        f"{short(chosen['calibration_error_scaled'])}"
    )
    if gain < 0.001:
        return f"{text} A temperature does not help (validation asks for {t:.2f}: {with_t})."
    sure = "over-confident" if t > 1 else "too cautious"
    of_settings = (found.get("temperature", t) for found in chosen["settings"].values())
    each = dict.fromkeys(f"{one:.2f}" for one in of_settings)
    if len(each) > 1:  # trainings of their own
        return (
            f"{text} It is {sure}: with temperatures of {', '.join(each)}, one for each setting, "
            f"fitted to validation classes, {with_t}."
        )
    return (
        f"{text} It is {sure}: with log-odds divided by {t:.2f}, a temperature fitted to "
        f"validation students, {with_t}. `--temperature {t:.2f}` of `student` does that."
        if numbers["judged_by"] == "log_loss"
        else f"{text} It is {sure}: with a temperature of {t:.2f}, fitted to validation classes, "
        f"{with_t}. In Python: `torch.softmax(p.log() / {t:.2f}, -1)`."
    )


# Words ------------------------------------------------------------------------------------------


def _labels(numbers: Mapping[str, Any]) -> dict[str, str]:
    """What methods are called within a sentence, where commas list them."""
    return {m["algorithm"]: name(m) for m in numbers["methods"]}


def name(method: Mapping[str, Any]) -> str:
    """A method's name without commas.

    >>> name({"name": "Rasch, posterior mean", "order": None})
    'Rasch'
    >>> name({"name": "bilevel IRT", "order": 2})
    'second-order bilevel IRT'
    """
    words = method["name"].partition(",")[0]
    order = ORDERS.get(method["order"])
    return f"{order.replace(' ', '-')} {words}" if order else words


def _capital(sentence: str) -> str:
    """A sentence that may begin with a method's name."""
    return sentence[:1].upper() + sentence[1:]


def _heading(n: str, answers: bool) -> str:
    return f"{n} answer{'s' if n != '1' else ''}" if answers else f"{n}-shot"


def _after(n: str, answers: bool) -> str:
    return f"After {_heading(n, True)}" if answers else f"{n}-shot"


def _value(mean: float, half_width: float | None, answers: bool, signed: bool = False) -> str:
    """A number with its interval, as log-loss or in per cent."""
    sign = "+" if signed and mean > 0 else ""
    if answers:
        small = half_width is not None and abs(half_width) < 0.003
        half = float("nan") if half_width is None else half_width
        return sign + with_interval(mean, half, 4 if small else 3)
    half = "" if half_width is None else f" ± {100 * half_width:.1f}"
    return f"{sign}{100 * mean:.1f}{half} %"


def _plain(value: float, answers: bool) -> str:
    return short(value) if answers else f"{100 * value:.1f} %"


def _round(number: int) -> str:
    """Two digits of a number.

    >>> _round(1234), _round(87)
    ('1,200', '87')
    """
    return f"{int(float(f'{number:.2g}')):,}"


def _listed(names: Sequence[str]) -> str:
    """Names in words.

    >>> _listed(["Rasch"]), _listed(["a", "b", "c", "d", "e"])
    ('Rasch', 'a, b, c and 2 more')
    """
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
