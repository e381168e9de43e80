"""Whether a candidate may replace the deployed model: a paired bootstrap over the frames decides.

The frames are drawn again with replacement, the same ones for both models, so that a hard frame counts
against both. Neighbouring frames of one camera are alike, which this does not model: the interval is somewhat
too narrow when the evaluated frames lie close together in time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_autotuner.core.json_fields import FieldError, Fields
from edge_autotuner.errors import EvaluationError
from edge_autotuner.evaluation.average_precision import MatchTable
from edge_autotuner.evaluation.scores import nan_to_null, number_or_nan


@dataclass(frozen=True)
class BootstrapResult:
    """How much better the candidate is, in the tables' mean AP.

    Attributes:
        difference: candidate minus deployed on all frames, each once.
        lower: the (1 - confidence) quantile of the resampled differences: the one-sided lower bound.
        upper: the confidence quantile: the one-sided upper bound.
        probability_better: share of the resamples in which the candidate is strictly better.
        n_resamples: resamples that held at least one object and so have an AP.
    """

    difference: float
    lower: float
    upper: float
    probability_better: float
    n_resamples: int


@dataclass(frozen=True)
class PromotionDecision:
    """The verdict and the numbers behind it; nan where nothing could be measured.

    Attributes:
        promoted: whether the candidate replaces the deployed model.
        reason: one sentence for people.
        ap_candidate: in [0, 1], against the teacher's labels.
        ap_deployed: the same of the deployed model.
        difference: candidate minus deployed.
        lower_bound: one-sided lower bound of the difference.
        upper_bound: one-sided upper bound of the difference.
        probability_better: share of the resamples in which the candidate is strictly better.
        confidence: what the bounds hold with, in (0.5, 1).
        n_frames: frames compared.
        metric: what the two APs are, such as "AP50:75".
    """

    promoted: bool
    reason: str
    ap_candidate: float
    ap_deployed: float
    difference: float
    lower_bound: float
    upper_bound: float
    probability_better: float
    confidence: float
    n_frames: int
    metric: str = "AP50:95"

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; nan becomes null."""
        return dict(nan_to_null(asdict(self)))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PromotionDecision:
        """Read what `to_json` wrote.

        Raises:
            EvaluationError: a value is missing or unknown.
        """
        try:
            fields = Fields(values, "")
            fields.refuse_unknown({*_NUMBERS, "promoted", "reason", "n_frames", "metric"})
            return cls(
                promoted=fields.flag("promoted"),
                reason=fields.text("reason"),
                **{key: number_or_nan(fields, key, at_least=-1) for key in _NUMBERS},
                n_frames=fields.whole("n_frames", at_least=0),
                metric=fields.text("metric", default="AP50:95"),
            )
        except FieldError as exc:
            raise EvaluationError(f"promotion decision cannot be read from JSON: {exc}") from exc


_NUMBERS = (
    "ap_candidate",
    "ap_deployed",
    "difference",
    "lower_bound",
    "upper_bound",
    "probability_better",
    "confidence",
)


def decide_promotion(
    candidate: MatchTable,
    deployed: MatchTable,
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> PromotionDecision:
    """Promote only when the one-sided lower bound of the difference in mean AP is above 0.

    Both tables hold detections on the same frames, matched with the teacher's labels. The bound is the (1 -
    `confidence`) quantile of the differences in `paired_bootstrap`. With fewer than two frames, or no objects, nothing
    can be concluded and the deployed model stays.
    """
    _check_same_frames(candidate, deployed)
    n_frames = candidate.n_frames
    if n_frames < 2:
        reason = f"not promoted: {n_frames} test frame{'s' if n_frames != 1 else ''}, at least 2 are needed to compare"
        return _undecided(reason, candidate, deployed, confidence)
    if candidate.n_truths == 0:
        reason = f"not promoted: the teacher labelled no object in the {n_frames} test frames, nothing to compare"
        return _undecided(reason, candidate, deployed, confidence)
    result = paired_bootstrap(candidate, deployed, n_resamples=n_resamples, confidence=confidence, seed=seed)
    promoted = bool(result.lower > 0)
    return PromotionDecision(
        promoted=promoted,
        reason=_explain(result, promoted, confidence, candidate),
        ap_candidate=candidate.mean_ap(),
        ap_deployed=deployed.mean_ap(),
        difference=result.difference,
        lower_bound=result.lower,
        upper_bound=result.upper,
        probability_better=result.probability_better,
        confidence=confidence,
        n_frames=n_frames,
        metric=candidate.metric,
    )


def choose_candidate(
    candidates: Mapping[str, MatchTable],
    deployed: MatchTable,
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[str, PromotionDecision]:
    """Return the name of the best of one or more candidates, and whether it may replace the deployed model.

    The best one has the highest lower bound of the difference; where nothing can be concluded, the highest AP. Trying
    several candidates gives the best one several chances, so each is judged with a confidence that makes all decisions
    together hold with `confidence` (Bonferroni). The other arguments are those of `decide_promotion`.
    """
    each = confidence if len(candidates) == 1 else 1 - (1 - confidence) / len(candidates)
    decisions = {
        name: decide_promotion(table, deployed, n_resamples=n_resamples, confidence=each, seed=seed)
        for name, table in candidates.items()
    }
    best = max(decisions, key=lambda name: _rank(decisions[name]))
    return best, decisions[best]


def _rank(decision: PromotionDecision) -> tuple[float, ...]:
    values = decision.lower_bound, decision.ap_candidate
    return (decision.promoted, *(-math.inf if math.isnan(value) else value for value in values))


def paired_bootstrap(
    candidate_table: MatchTable,
    deployed_table: MatchTable,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> BootstrapResult:
    """Resample the frames with replacement, the same for both, and compare the mean AP.

    Each of `n_resamples` draws takes as many frames as there are. `confidence`, in (0.5, 1), is the level of each
    one-sided bound. All values are nan when there is no frame or no object.

    Raises:
        EvaluationError: the tables are of different frames or truths.
    """
    _check_same_frames(candidate_table, deployed_table)
    if n_resamples < 1 or not 0.5 < confidence < 1:
        raise ValueError(f"expected n_resamples >= 1 and confidence in (0.5, 1), got {n_resamples} and {confidence}")
    n_frames = candidate_table.n_frames
    if candidate_table.n_truths == 0:
        return BootstrapResult(*(math.nan,) * 4, n_resamples=0)
    rng = np.random.default_rng(seed)
    differences = np.empty(n_resamples)
    for i in range(n_resamples):
        weights = np.bincount(rng.integers(0, n_frames, n_frames), minlength=n_frames)
        differences[i] = candidate_table.mean_ap(weights) - deployed_table.mean_ap(weights)
    differences = differences[~np.isnan(differences)]  # a draw of frames without objects has no AP
    if len(differences) == 0:
        return BootstrapResult(*(math.nan,) * 4, n_resamples=0)
    lower, upper = np.quantile(differences, [1 - confidence, confidence])
    return BootstrapResult(
        difference=candidate_table.mean_ap() - deployed_table.mean_ap(),
        lower=float(lower),
        upper=float(upper),
        probability_better=float(np.mean(differences > 0)),
        n_resamples=len(differences),
    )


def _check_same_frames(candidate: MatchTable, deployed: MatchTable) -> None:
    counts = [
        (table.n_frames, table.metric, {c: matches.n_truths.tolist() for c, matches in table.per_class.items()})
        for table in (candidate, deployed)
    ]
    if counts[0] != counts[1]:
        raise EvaluationError(
            f"candidate ({candidate.n_frames} frames, {candidate.n_truths} objects) and deployed model "
            f"({deployed.n_frames} frames, {deployed.n_truths} objects) were not matched against the same truths"
        )


def _undecided(reason: str, candidate: MatchTable, deployed: MatchTable, confidence: float) -> PromotionDecision:
    aps = candidate.mean_ap(), deployed.mean_ap()
    unknown = (math.nan,) * 3
    return PromotionDecision(
        False, reason, *aps, aps[0] - aps[1], *unknown, confidence, candidate.n_frames, candidate.metric
    )


def _explain(result: BootstrapResult, promoted: bool, confidence: float, candidate: MatchTable) -> str:
    frames = f"{candidate.n_frames} later frames, judged by the teacher's labels"
    change = f"{candidate.metric} changes by {result.difference:+.3f} on {frames}"
    bound = f"with {confidence:.0%} confidence by at least {result.lower:+.3f}"
    if promoted:
        return f"promoted: {change}, {bound}"
    return f"not promoted: {change}, but {bound}, which is not above 0; the deployed model stays"
