"""What a run has achieved, in a few lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_autotuner.evaluation import Scores
    from edge_autotuner.pipeline.evaluation_result import Evaluation
    from edge_autotuner.pipeline.run import RunResult


def describe(result: RunResult) -> str:
    """Return the scores, the verdict, and where everything is."""
    return "\n".join(
        [
            describe_evaluation(result.evaluation),
            f"report: {result.report}",
            f"bundle: {result.bundle}",
        ]
    )


def describe_evaluation(evaluation: Evaluation) -> str:
    """Return a small table of scores and the promotion's reason."""
    lines = []
    for truth, by_detector in evaluation.comparison.scores.items():
        n_frames = evaluation.n_human_frames if truth == "human" else evaluation.n_frames
        lines.append(f"against {'human boxes' if truth == 'human' else 'the teacher'} on {n_frames} later frames:")
        lines += [f"  {name:<20} {_numbers(scores)}" for name, scores in by_detector.items()]
    before, after = evaluation.before.found, evaluation.after.found
    lines.append(f"objects found: {before.n_found} before, {after.n_found} after, of {after.n_truths}")
    lines.append(evaluation.promotion.reason)
    return "\n".join(lines)


def _numbers(scores: Scores) -> str:
    return f"AP50 {scores.ap50:.3f}   AP50:95 {scores.ap:.3f}"
