"""Tables of time and memory, and the table of everything that was aimed at."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from benchmarks.markdown import table
from benchmarks.specialization.accuracy import CASES, PUBLISHED, Case
from benchmarks.specialization.cells import (
    NOTHING,
    Pair,
    Results,
    final_pair,
    mean_pair,
    measured_table,
    met,
    of_named,
    of_seeds,
    result,
    start_pair,
    two,
)
from benchmarks.specialization.speed import seconds_per_epoch
from benchmarks.specialization.transfer import CAMERAS

_MIN_OVER_ALL, _MIN_OVER_RECOMPUTED, _MAX_MS, _MAX_RUN_S, _MAX_PEAK_MB = 8.0, 3.0, 70.0, 300.0, 1500.0
_MIN_ZOOM_SHARE = 0.8
_RUNS = {
    "speed/run-with-defaults": "defaults: street-nano, zoom",
    "speed/run-with-second-model": "yolox-nano, deimv2-femto",
}


def aim_table(results: Results) -> str:
    """Return what was aimed at, what was reached, and whether that is enough."""
    rows = [_target_row(results, case) for case in CASES if case.target is not None]
    rows.append(_small_input_row(results))
    rows += [_zoom_row(results, camera) for camera in CAMERAS]
    return table(["", "aim", "measured", "met"], [*rows, *_speed_rows(results)])


def epoch_table(results: Results) -> str:
    """Return seconds per epoch by what is frozen."""
    found = result(results, "speed/epochs")
    if found is None:
        return NOTHING
    seconds = seconds_per_epoch(found)
    rows = [
        [name, found["frozen"][name], f"{mode['n_parameters']:,}", ", ".join(f"{s:.1f}" for s in mode["seconds"]),
         f"{seconds[name]:.1f}", f"{seconds['all'] / seconds[name]:.1f}x"]
        for name, mode in found["modes"].items()
    ]  # fmt: skip
    head = ["layers", "frozen", "trained parameters", "all epochs, s", "s per epoch", "faster than all"]
    return (
        f"{table(head, rows)}\n\n{found['n_pictures']} pictures per epoch; {found['n_views']} views of each are kept."
    )


def picture_table(results: Results) -> str:
    """Return milliseconds per training picture: ours, the plain way, and the network alone."""
    found = result(results, "speed/picture")
    if found is None:
        return NOTHING
    plain_ms = statistics.median(found["plain_ms"])
    measured = {
        "ours, pictures of {}x{}".format(*found["canvas_wh"]): statistics.median(found["ours_ms"]),
        "the plain way, square pictures": plain_ms,
        **_same_network(found),
        **{f"the network alone, square pictures, {name}": ms for name, ms in found["network_ms"].items()},
    }
    rows = [[name, f"{ms:.1f}", f"{plain_ms / ms:.2f}x"] for name, ms in measured.items()]
    return table(["all layers", "ms per picture", "beside the plain way"], rows)


def _same_network(found: Results) -> dict[str, float]:
    """Return the network alone, as our training runs it; earlier results do not have it."""
    if "same_network_ms" not in found:
        return {}
    precision = "bfloat16" if found["is_mixed"] else "float32"
    name = "the network alone, pictures of {}x{}, {}".format(*found["canvas_wh"], precision)
    return {name: statistics.median(found["same_network_ms"])}


def run_table(results: Results) -> str:
    """Return what a whole run takes, stage by stage."""
    rows = [[text, *_run_cells(results, key)] for key, text in _RUNS.items()]
    head = ["PETS, video to bundle", "minutes", "seconds", "peak memory, GB", "promoted", "cores"]
    return measured_table(head, rows, n_labels=1)


def cuda_table(results: Results) -> str:
    """Return what a CUDA device trains per second, and how good its model is beside the CPU's, PETS, seed 0."""
    found, on_cpu = result(results, "speed/cuda"), result(results, "accuracy/pets-nano-416-femto/seed-0")
    if found is None:
        return NOTHING
    cells = [f"{found['images_per_s']:.0f}", two(final_pair(found))]
    row = [found["device"], *cells, NOTHING if on_cpu is None else two(final_pair(on_cpu))]
    return table(["device", "pictures per second", "AP50 / AP", "on the CPU"], [row])


def _run_cells(results: Results, key: str) -> list[str]:
    found = result(results, key)
    if found is None:
        return [NOTHING] * 5
    stages = ", ".join(f"{name} {seconds:.0f}" for name, seconds in found["seconds"].items())
    promoted = "yes" if found["promoted"] else "no"
    cores = str(results[key]["machine"]["cores"])
    return [f"{found['wall_s'] / 60:.1f}", stages, f"{found['peak_mb'] / 1000:.2f}", promoted, cores]


def _target_row(results: Results, case: Case) -> list[str]:
    assert case.target is not None, "only cases with a target have a row"
    trial, found = case.trial, of_seeds(results, case)
    published = PUBLISHED.get(trial.scene.name)
    aim = f">= {two(case.target)}" + (f" (best published {two(published)})" if published else "")
    epochs = "" if case.n_epochs is None else f", {case.n_epochs} epochs"
    return _pair_row(f"{trial.scene.name}, {trial.edge_model} at {trial.input_px}{epochs}", aim, found, case.target)


def _small_input_row(results: Results) -> list[str]:
    small, large = (of_named(results, f"pets-nano-{side}-femto") for side in (256, 416))
    what = "PETS, yolox-nano at 256, beside 416 off the shelf"
    target = start_pair(large[0]) if large else None
    if target is None:
        return [what, "no less", NOTHING, ""]
    return _pair_row(what, f">= {two(target)}", small, target)


def _pair_row(what: str, aim: str, found: list[Results], target: Pair) -> list[str]:
    if not found:
        return [what, aim, NOTHING, ""]
    reached = mean_pair(final_pair(one) for one in found)
    return [what, aim, two(reached), met(reached[0] >= target[0] and reached[1] >= target[1])]


def _zoom_row(results: Results, camera: str) -> list[str]:
    what = f"{CAMERAS[camera].name}, zoom as the teacher: share of the gain in AP50 / AP"
    aim = f">= {_MIN_ZOOM_SHARE:.0%}"
    zoom, femto = (of_named(results, f"{camera}-nano-416-{teacher}") for teacher in ("zoom", "femto"))
    if not zoom or not femto:
        return [what, aim, NOTHING, ""]
    gains = _gain(femto)
    shares = [own / other if other > 0 else None for own, other in zip(_gain(zoom), gains, strict=True)]
    text = " / ".join("no gain" if share is None else f"{share:.0%}" for share in shares)
    return [what, aim, text, met(all(share is not None and share >= _MIN_ZOOM_SHARE for share in shares))]


def _gain(found: list[Results]) -> Pair:
    before, after = start_pair(found[0]), mean_pair(final_pair(one) for one in found)
    return after[0] - before[0], after[1] - before[1]


def _speed_rows(results: Results) -> list[list[str]]:
    def row(what: str, key: str, aim: str, judge: Callable[[Results], tuple[str, bool]]) -> list[str]:
        found = result(results, key)
        if found is None:
            return [what, aim, NOTHING, ""]
        measured, is_met = judge(found)
        return [what, aim, measured, met(is_met)]

    def ratio(other: str, at_least: float) -> Callable[[Results], tuple[str, bool]]:
        def judge(found: Results) -> tuple[str, bool]:
            seconds = seconds_per_epoch(found)
            value = seconds[other] / seconds["box cached"]
            return f"{value:.1f}x", value >= at_least

        return judge

    def ms_per_picture(found: Results) -> tuple[str, bool]:
        ms = statistics.median(found["ours_ms"])
        return f"{ms:.1f} ms", ms <= _MAX_MS

    run = "speed/run-with-defaults"
    return [
        row("a cached epoch beside all layers", "speed/epochs", f">= {_MIN_OVER_ALL:g}x", ratio("all", _MIN_OVER_ALL)),
        row("the same beside recomputing", "speed/epochs", f">= {_MIN_OVER_RECOMPUTED:g}x",
            ratio("box recomputed", _MIN_OVER_RECOMPUTED)),
        row("one training picture, all layers", "speed/picture", f"<= {_MAX_MS:g} ms", ms_per_picture),
        row("PETS, from video to bundle, defaults", run, f"<= {_MAX_RUN_S / 60:g} min",
            lambda found: (f"{found['wall_s'] / 60:.1f} min", found["wall_s"] <= _MAX_RUN_S)),
        row("its peak memory", run, f"< {_MAX_PEAK_MB / 1000:g} GB",
            lambda found: (f"{found['peak_mb'] / 1000:.2f} GB", found["peak_mb"] < _MAX_PEAK_MB)),
    ]  # fmt: skip
