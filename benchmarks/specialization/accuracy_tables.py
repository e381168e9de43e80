"""Tables of the accuracy that specialization gives, and of what it costs; what is missing is "not measured"."""

from __future__ import annotations

from benchmarks.machine import machine_line
from benchmarks.markdown import table
from benchmarks.scenes import NGSIM, PETS, Scene
from benchmarks.specialization import off_the_shelf
from benchmarks.specialization.accuracy import CASES, SEEDS, Case
from benchmarks.specialization.cells import (
    NOTHING,
    Pair,
    Results,
    final_pair,
    mean_pair,
    measured_table,
    met,
    of_seeds,
    pair_of,
    result,
    spread,
    start_pair,
    two,
)
from edge_autotuner.evaluation import AGAINST_HUMAN, TEACHER

_WHAT = ["camera", "edge model, input", "teacher"]


def accuracy_table(results: Results) -> str:
    """Return one row per camera, edge model and teacher; several seeds as mean and half the range."""
    rows = [[*_what(case), *_accuracy_cells(results, case)] for case in CASES]
    head = [*_WHAT, "off the shelf", "teacher itself", "plain trial", "specialized", "seeds"]
    return measured_table(head, rows, n_labels=len(_WHAT))


def summary_table(results: Results) -> str:
    """Return the few columns for the README."""
    rows = []
    for case in CASES:
        start, _, _, final, _ = _accuracy_cells(results, case)
        rows.append([*_what(case), start, final])
    return measured_table([*_WHAT, "off the shelf", "specialized"], rows, n_labels=len(_WHAT))


def off_the_shelf_table(results: Results) -> str:
    """Return what untrained models score, beside what is known of them."""
    found = result(results, off_the_shelf.KEY)
    rows = []
    for (model, scene), known in off_the_shelf.KNOWN.items():
        cells = [NOTHING] * 4 if found is None else _protocol_cells(found[f"{model} {scene}"], known)
        rows.append([scene, model, two(known), *cells])
    head = ["known", "80 classes", "same", "80 classes, one box per object", "six classes"]
    return table(["camera", "edge model", *head], rows)


def validation_table(results: Results) -> str:
    """Return PETS by human boxes of the validation frames, which may choose settings."""
    rows = []
    for case in _cases_of(PETS):
        found = [one["validation"]["human"] for one in of_seeds(results, case)]
        rows.append([*_what(case)[1:], *_before_and_after(found)])
    return measured_table([*_WHAT[1:], "off the shelf", "specialized"], rows, n_labels=len(_WHAT) - 1)


def one_box_table(results: Results) -> str:
    """Return NGSIM with boxes of merged classes suppressing each other, too."""
    rows = []
    for case in _cases_of(NGSIM):
        found = [one["one_box"] for one in of_seeds(results, case)]
        rows.append([*_what(case)[1:], *_before_and_after(found)])
    return measured_table([*_WHAT[1:], "off the shelf", "specialized"], rows, n_labels=len(_WHAT) - 1)


def cost_table(results: Results) -> str:
    """Return what the first seed of each case took."""
    head = ["layers", "best epoch", "capture s", "annotation s", "training s", "ms per frame, before / after"]
    rows = [[*_what(case), *_cost_cells(results, case)] for case in CASES]
    return measured_table([*_WHAT, *head], rows, n_labels=len(_WHAT))


def machine_note(results: Results) -> str:
    """Return on what it was measured."""
    lines = sorted({f"{machine_line(one['machine'])}, torch {one['machine']['torch']}" for one in results.values()})
    return f"Measured on: {'; '.join(lines) or NOTHING}."


def _protocol_cells(found: Results, known: Pair) -> list[str]:
    everything = found["all classes"]
    pair = pair_of(everything)
    is_same = all(abs(a - b) <= off_the_shelf.MAX_DIFFERENCE for a, b in zip(pair, known, strict=True))
    one_box = two(pair_of(everything["one_box"])) if "one_box" in everything else ""
    return [two(pair), met(is_same), one_box, two(pair_of(found["street classes"]))]


def _accuracy_cells(results: Results, case: Case) -> list[str]:
    found = of_seeds(results, case)
    if not found:
        return [NOTHING] * 5
    plain = "" if case.plain is None else two(case.plain)
    teacher = pair_of(found[0]["scores"][AGAINST_HUMAN][TEACHER])
    final = spread([final_pair(one) for one in found])
    return [two(start_pair(found[0])), two(teacher), plain, f"**{final}**", str(len(found))]


def _before_and_after(found: list[Results]) -> list[str]:
    if not found:
        return [NOTHING, NOTHING]
    return [two(pair_of(found[0]["before"])), two(mean_pair(pair_of(one["after"]) for one in found))]


def _cost_cells(results: Results, case: Case) -> list[str]:
    found = result(results, f"accuracy/{case.name}/seed-{SEEDS[0]}")
    if found is None:
        return [NOTHING] * 6
    seconds, ms = found["seconds"], found["ms_per_frame"]
    stages = [f"{seconds[stage]:.0f}" for stage in ("capture", "annotation", "training")]
    return [found["layers"], str(found["best_epoch"]), *stages, f"{ms['before']:.1f} / {ms['after']:.1f}"]


def _what(case: Case) -> list[str]:
    trial = case.trial
    teacher = trial.teacher if case.n_epochs is None else f"{trial.teacher}, {case.n_epochs} epochs"
    return [trial.scene.name, f"{trial.edge_model}, {trial.input_px}", teacher]


def _cases_of(scene: Scene) -> list[Case]:
    return [case for case in CASES if case.trial.scene is scene]
