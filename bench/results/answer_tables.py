"""What tables of right and wrong answers hold beside AUC: curves over the answers shown, and more.

All functions take the summary in numbers (:func:`bench.results.summary.summary`) and give it in
words.
"""

import pandas as pd

from bench.results.summary import FIRST_AHEAD, SECOND_AHEAD

MORE = {
    "accuracy": "Accuracy",
    "nll": "NLL",
    "brier": "Brier",
    "calibration_error": "Calibration error",
    "ability_correlation": "Ability, correlation",
    "mastery_auc": "Mastery, AUC",
}


def short(value: float, decimals: int = 3) -> str:
    """A number below 1 as the field writes it.

    >>> short(0.7831), short(-0.002), short(float("nan"))
    ('.783', '-.002', '-')
    """
    if pd.isna(value):
        return "-"
    return (
        f"{value:z.{decimals}f}".replace("0.", ".", 1)
        if abs(value) < 1
        else f"{value:.{decimals}f}"
    )


def with_interval(value: float, half_width: float, decimals: int = 3) -> str:
    """A number and the half-width of its interval.

    >>> with_interval(0.7831, 0.0021)
    '.783 ± .002'
    """
    if pd.isna(half_width) or pd.isna(value):
        return short(value, decimals)
    decimals = enough_decimals(value, half_width, decimals)
    return f"{short(value, decimals)} ± {short(half_width, decimals)}"


def enough_decimals(value: float, half_width: float, decimals: int, most: int = 6) -> int:
    """So many that an interval which excludes zero is seen to.

    >>> enough_decimals(0.00014, 0.00012, 4), enough_decimals(0.0014, 0.0002, 4)
    (5, 4)
    """
    size = abs(value)
    while size > half_width and round(size, decimals) <= round(half_width, decimals):
        if decimals >= most:
            break
        decimals += 1
    return decimals


def missing(metric: str, value: float | None, nll: float | None) -> str:
    """What stands for a headline that is no number, or a difference of two; empty if it is one.

    Answers that are all right, or all wrong, have no AUC, however well they are predicted.

    >>> missing("auc", None, 0.01), missing("auc", float("nan"), float("nan"))
    ('-', 'diverged')
    """
    if not pd.isna(value):
        return ""
    return "diverged" if metric != "auc" or pd.isna(nll) else "-"


def is_curve(rows: pd.DataFrame) -> bool:
    """Whether the rows of a data set show it at several numbers of answers."""
    return rows["metric"].eq("auc").all() and rows["shots"].nunique() > 1


def curve(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC of each method of one data set, one column a number of answers shown.

    Below the methods, one line for each pair of orders with second minus first.
    """
    lines: dict[str, dict[str, str]] = {}
    for row in rows.itertuples():
        cell = missing("auc", row.mean, row.nll) or with_interval(row.mean, row.half_width)
        lines.setdefault(row.label, {})[_heading(row.shots)] = cell
    for row in rows[rows["verdict"] != ""].itertuples():
        name = f"second − first: {row.label.partition(',')[0]}"
        name += f" ({row.variant})" if row.variant else ""
        cell = with_interval(row.difference, row.difference_half_width, 4)
        ahead = row.verdict in (SECOND_AHEAD, FIRST_AHEAD)
        lines.setdefault(name, {})[_heading(row.shots)] = cell + (" *" if ahead else "")
    columns = [_heading(n) for n in sorted(rows["shots"].unique())]
    table = pd.DataFrame.from_dict(lines, orient="index").reindex(columns=columns).fillna("-")
    return table.rename_axis("AUC, answers shown:").reset_index()


def shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Share of the way from floor to ceiling of each method, one column a number of answers."""
    between = rows[~rows["role"].isin(["floor", "ceiling"])]
    lines: dict[str, dict[str, str]] = {}
    for row in between.itertuples():
        cell = _share(row)
        lines.setdefault(row.label, {})[_heading(row.shots)] = cell
    columns = [_heading(n) for n in sorted(rows["shots"].unique())]
    table = pd.DataFrame.from_dict(lines, orient="index").reindex(columns=columns).fillna("-")
    return table.rename_axis("Way from item mean to ceiling:").reset_index()


def details(rows: pd.DataFrame) -> pd.DataFrame:
    """Every metric of every method, one row a cell of the grid."""
    shown = {name: words for name, words in MORE.items() if rows[name].notna().any()}
    found = []
    for row in rows.itertuples():
        line = {
            "Data": row.dataset,
            "Setting": row.setting,
            "Algorithm": row.label,
            "AUC": with_interval(row.mean, row.half_width),
            "Way to ceiling": _share(row),
        }
        found.append(line | {words: short(getattr(row, n)) for n, words in shown.items()})
    table = pd.DataFrame(found)
    return table if rows["share"].notna().any() else table.drop(columns="Way to ceiling")


def _share(row) -> str:
    if pd.isna(row.share):
        return "-"
    if pd.isna(row.share_half_width):
        return f"{100 * row.share:.0f} %"
    return f"{100 * row.share:.0f} ± {100 * row.share_half_width:.0f} %"


def _heading(shots: int) -> str:
    return f"n = {shots}"
