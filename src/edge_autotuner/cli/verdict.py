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
    lines += _seen_by_a_user(evaluation)
    lines.append(evaluation.promotion.reason)
    return "\n".join(lines)


def _seen_by_a_user(evaluation: Evaluation) -> list[str]:
    """Return what is missed and falsely reported at the operating points, by the best truth that there is."""
    from edge_autotuner.evaluation.report.wording import alarms_text, objects_text

    for truth, of_whom in (("human", ""), ("teacher", "teacher's ")):
        before, after = evaluation.before.at_point.get(truth), evaluation.after.at_point.get(truth)
        if before is not None and after is not None and after.total.n_truths:
            what = f"of {after.total.n_truths} {of_whom}{objects_text(after)}"
            lines = [f"at the operating point, {what}:"]
            for when, one in (("before", before), ("after", after)):
                lines.append(f"  {when:<20} {one.total.n_truths - one.total.n_found} missed, {alarms_text(one)}")
            return lines
    return []


def _numbers(scores: Scores) -> str:
    return f"AP50 {scores.ap50:.3f}   AP50:95 {scores.ap:.3f}"
