"""Tables of what options are worth, of better labels, of other cameras, and of what is forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.scenes import NGSIM, PETS, Scene
from benchmarks.specialization import ablations, bound, forgetting, transfer
from benchmarks.specialization.cameras import HIGHWAY
from benchmarks.specialization.cells import (
    NOTHING,
    Pair,
    Results,
    change,
    final_pair,
    measured_table,
    pair_of,
    result,
    two,
)

_COLUMNS = {
    "PETS": (PETS, False),
    "PETS, validation": (PETS, True),
    "NGSIM seq 1": (NGSIM, False),
    "highway (rough boxes)": (HIGHWAY, False),
}
"""Head -> camera, and whether its validation frames are meant."""


def ablation_table(results: Results) -> str:
    """Return each change of the default: what it adds to AP50 / AP on the scored and on PETS's validation frames."""
    defaults = {head: _score(results, ablations.DEFAULT, *column) for head, column in _COLUMNS.items()}
    rows = [["", "none: AP50 / AP", *(NOTHING if pair is None else two(pair) for pair in defaults.values())]]
    for one in ablations.ABLATIONS:
        cells = [_cell(results, one, defaults[head], *column) for head, column in _COLUMNS.items()]
        rows.append([one.group, f"{one.name} ({settings_text(ablations.changed(one))})", *cells])
    return measured_table(["", "change of the default", *_COLUMNS], rows, n_labels=2)


def bound_table(results: Results) -> str:
    """Return models trained on human and on the teacher's labels, scored on the other half of the human boxes."""
    words = {
        "start": "nothing: off the shelf",
        "teacher-labels-of-other-pictures": f"the teacher's labels of {bound.N_TRAINED} of the training pictures",
        "all-pictures": "the teacher's labels of all training pictures",
        "teacher-labels": f"the teacher's labels of the first half ({bound.N_TRAINED} pictures)",
        "human-labels": f"**human labels** of the first half ({bound.N_TRAINED} pictures)",
    }
    rows = []
    for name, text in words.items():
        found = result(results, f"bound/{name}")
        scores = [NOTHING, NOTHING] if found is None else [two(pair_of(found)), two(pair_of(found["one_box"]))]
        rows.append([text, *scores])
    return measured_table(["trained on", "scored on the other half", "one box per object"], rows, n_labels=1)


def transfer_table(results: Results) -> str:
    """Return models tuned on one camera and tested on both."""
    rows = []
    for name in (*transfer.STARTS, *transfer.trials()):
        found = result(results, f"transfer/{name}")
        start, _, camera = name.partition("-on-")
        where = transfer.CAMERAS[camera].name if camera else "nothing"
        cells = [NOTHING if found is None else two(pair_of(found[scene.name])) for scene in transfer.TESTED_ON]
        rows.append([start, where, *cells])
    head = ["edge model", "tuned on", *(f"tested on {scene.name}" for scene in transfer.TESTED_ON)]
    return measured_table(head, rows, n_labels=2)


def forgetting_table(results: Results) -> str:
    """Return what models know of their own and of other scenes, before and after, with and without guards."""
    rows = [["", "off the shelf", *_forgetting_cells(results, forgetting.START_KEY)]]
    for camera in transfer.CAMERAS:
        for guard in forgetting.GUARDS:
            cells = _forgetting_cells(results, forgetting.key_of(camera, guard))
            rows.append([transfer.CAMERAS[camera].name, guard, *cells])
    return measured_table(["specialized on", "guard", *forgetting.TEST_SETS], rows, n_labels=2)


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return dotted keys and values in short.

    >>> settings_text({"training.augmentation.flip": 0.0, "training.layers": "box"})
    'flip 0, layers box'
    """
    return ", ".join(f"{key.rpartition('.')[2]} {_short(value)}" for key, value in settings.items())


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _score(results: Results, name: str, scene: Scene, validation: bool) -> Pair | None:
    found = result(results, ablations.key_of(name, scene))
    if found is None:
        return None
    return pair_of(found["validation"]["human"]["after"]) if validation else final_pair(found)


def _cell(results: Results, one: ablations.Ablation, default: Pair | None, scene: Scene, validation: bool) -> str:
    if scene not in one.scenes:
        return ""
    pair = _score(results, one.name, scene, validation)
    return NOTHING if pair is None or default is None else change(pair, default)


def _forgetting_cells(results: Results, key: str) -> list[str]:
    found = result(results, key)
    return [NOTHING if found is None else two(pair_of(found[name])) for name in forgetting.TEST_SETS]
