"""What the cells of the tables are made of: scores as text, seeds taken together, and what has not been measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.markdown import table
from benchmarks.specialization.accuracy import SEEDS, Case, case_of
from edge_autotuner.evaluation import AGAINST_HUMAN, OFF_THE_SHELF, SPECIALIZED

Results = Mapping[str, Any]
Pair = tuple[float, float]
"""AP50 and AP50:95."""

NOTHING = "not measured"


def result(results: Results, key: str) -> Any:  # noqa: ANN401 (JSON)
    """Return what a piece measured; None where it has not been run."""
    return results[key]["result"] if key in results else None


def of_seeds(results: Results, case: Case) -> list[Results]:
    """Return the results of a case, one per seed that was measured."""
    found = (result(results, f"accuracy/{case.name}/seed-{seed}") for seed in SEEDS)
    return [one for one in found if one is not None]


def of_named(results: Results, name: str) -> list[Results]:
    """Return the results of the case of this name, one per seed that was measured."""
    return of_seeds(results, case_of(name))


def measured_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, n_labels: int) -> str:
    """Return a table of those rows of which something has been measured; of none, "not measured".

    >>> print(measured_table(["camera", "AP"], [["PETS", "0.446"], ["highway", "not measured"]], n_labels=1))
    | camera | AP |
    |---|---|
    | PETS | 0.446 |

    Args:
        head: of the columns.
        rows: their cells.
        n_labels: the first columns say what is measured.
    """
    kept = [row for row in rows if any(cell not in (NOTHING, "", "0") for cell in row[n_labels:])]
    return table(list(head), [list(row) for row in kept]) if kept else NOTHING


def start_pair(one: Results) -> Pair:
    """Return the scores of the edge model as it was, against human boxes."""
    return pair_of(one["scores"][AGAINST_HUMAN][OFF_THE_SHELF])


def final_pair(one: Results) -> Pair:
    """Return the scores of the specialized edge model against human boxes."""
    return pair_of(one["scores"][AGAINST_HUMAN][SPECIALIZED])


def pair_of(scores: Results) -> Pair:
    """Return the two scores of a JSON entry."""
    return scores["ap50"], scores["ap"]


def mean_pair(pairs: Iterable[Pair]) -> Pair:
    """Return the means of AP50 and of AP50:95."""
    ap50, ap = zip(*pairs, strict=True)
    return statistics.mean(ap50), statistics.mean(ap)


def two(pair: Pair) -> str:
    """Return "0.961 / 0.702".

    >>> two((0.9612, 0.7))
    '0.961 / 0.700'
    """
    return f"{pair[0]:.3f} / {pair[1]:.3f}"


def spread(pairs: Sequence[Pair]) -> str:
    """Return mean and half the range over the seeds; of one seed, its value.

    >>> spread([(0.5, 0.25), (0.75, 0.25)])
    '0.625 ± 0.125 / 0.250 ± 0.000'
    """
    if len(pairs) == 1:
        return two(pairs[0])
    columns = zip(*pairs, strict=True)
    return " / ".join(f"{statistics.mean(column):.3f} ± {(max(column) - min(column)) / 2:.3f}" for column in columns)


def change(pair: Pair, before: Pair) -> str:
    """Return "+0.010 / -0.002"."""
    return f"{pair[0] - before[0]:+.3f} / {pair[1] - before[1]:+.3f}"


def met(is_met: bool) -> str:
    """Return whether an aim was reached, as the tables say it."""
    return "yes" if is_met else "**no**"
