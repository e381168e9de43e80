"""Tables of the specialization benchmark, from results made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.specialization import accuracy_tables, option_tables, speed_tables
from support.runs.specialization_samples import entry, scores, trained

TABLES = [
    accuracy_tables.summary_table,
    accuracy_tables.accuracy_table,
    accuracy_tables.off_the_shelf_table,
    accuracy_tables.validation_table,
    accuracy_tables.one_box_table,
    accuracy_tables.cost_table,
    option_tables.ablation_table,
    option_tables.bound_table,
    option_tables.transfer_table,
    option_tables.forgetting_table,
    speed_tables.aim_table,
    speed_tables.run_table,
    speed_tables.cuda_table,
]
NGSIM = "accuracy/ngsim-nano-416-femto/seed-"
PETS = "accuracy/pets-nano-416-femto/seed-"
EPOCHS = entry(
    {
        "n_pictures": 400,
        "n_views": 2,
        "frozen": {"all": "nothing", "box recomputed": "backbone", "box cached": "backbone"},
        "modes": {
            "all": {"seconds": [50.0, 40.0], "n_parameters": 900_000},
            "box recomputed": {"seconds": [22.0, 20.0], "n_parameters": 200_000},
            "box cached": {"seconds": [1.0, 25.0, 6.0, 5.0], "n_parameters": 200_000},
        },
    }
)


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def _row(table: str, *begin: str) -> list[str]:
    return next(row for row in _rows(table) if row[: len(begin)] == list(begin))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_what_is_missing_is_not_measured(table: Callable[[dict[str, Any]], str]) -> None:
    text = table({})
    assert "not measured" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_seeds_are_taken_together() -> None:
    results = {
        f"{NGSIM}0": trained((0.46, 0.28), (0.95, 0.70)),
        f"{NGSIM}2": trained((0.46, 0.28), (0.97, 0.71)),
    }
    row = _row(accuracy_tables.accuracy_table(results), "NGSIM seq 1", "yolox-nano, 416", "deimv2-femto")
    assert row[3:] == [
        "0.460 / 0.280", "0.900 / 0.600", "0.937 / 0.651", "**0.960 ± 0.010 / 0.705 ± 0.005**", "2",
    ]  # fmt: skip


def test_one_seed_has_no_spread() -> None:
    row = _row(accuracy_tables.accuracy_table({f"{PETS}0": trained((0.9, 0.4), (0.94, 0.45))}), "PETS")
    assert row[-2:] == ["**0.940 / 0.450**", "1"]


@pytest.mark.parametrize(
    ("reached", "is_met"),
    [((0.96, 0.70), "yes"), ((0.99, 0.699), "**no**"), ((0.959, 0.75), "**no**")],
    ids=["exactly", "AP missed", "AP50 missed"],
)
def test_both_numbers_must_reach_the_aim(reached: tuple[float, float], is_met: str) -> None:
    row = _row(speed_tables.aim_table({f"{NGSIM}0": trained((0.46, 0.28), reached)}), "NGSIM seq 1, yolox-nano at 416")
    assert row[-1] == is_met


def test_zoom_must_reach_its_share_of_the_gain() -> None:
    results = {
        f"{NGSIM}0": trained((0.5, 0.3), (0.9, 0.7)),
        "accuracy/ngsim-nano-416-zoom/seed-0": trained((0.5, 0.3), (0.9, 0.6)),
    }
    row = _row(speed_tables.aim_table(results), "NGSIM seq 1, zoom as the teacher: share of the gain in AP50 / AP")
    assert row[1:] == [">= 80%", "100% / 75%", "**no**"]


def test_no_gain_is_not_divided_by() -> None:
    results = {
        f"{PETS}0": trained((0.9, 0.4), (0.9, 0.5)),
        "accuracy/pets-nano-416-zoom/seed-0": trained((0.9, 0.4), (0.9, 0.5)),
    }
    row = _row(speed_tables.aim_table(results), "PETS, zoom as the teacher: share of the gain in AP50 / AP")
    assert row[2:] == ["no gain / 100%", "**no**"]


def test_a_small_input_is_compared_with_the_large_one_as_it_was() -> None:
    results = {
        f"{PETS}0": trained((0.905, 0.4), (0.94, 0.45)),
        "accuracy/pets-nano-256-femto/seed-0": trained((0.7, 0.2), (0.91, 0.39)),
    }
    row = _row(speed_tables.aim_table(results), "PETS, yolox-nano at 256, beside 416 off the shelf")
    assert row[1:] == [">= 0.905 / 0.400", "0.910 / 0.390", "**no**"]


def test_ablations_are_differences_from_the_default() -> None:
    results = {
        "ablations/pets/default": trained((0.9, 0.4), (0.92, 0.43), validation=(0.8, 0.5)),
        "ablations/pets/mosaics": trained((0.9, 0.4), (0.93, 0.42), validation=(0.81, 0.5)),
    }
    table = option_tables.ablation_table(results)
    assert _row(table, "", "none: AP50 / AP")[2:] == ["0.920 / 0.430", "0.800 / 0.500", "not measured", "not measured"]
    mosaics = next(row for row in _rows(table) if row[1].startswith("mosaics ("))
    assert mosaics[2:] == ["+0.010 / -0.010", "+0.010 / +0.000", "not measured", ""]
    assert len(_rows(table)) == 2 + 2, "changes that nobody has measured have no row"


def test_bound_and_transfer() -> None:
    results = {
        "bound/human-labels": entry({**scores(0.97, 0.75), "one_box": scores(0.98, 0.76)}),
        "transfer/street-nano-on-pets": entry({"PETS": scores(0.9, 0.4), "NGSIM seq 1": scores(0.2, 0.1)}),
    }
    assert _rows(option_tables.bound_table(results))[-1][1:] == ["0.970 / 0.750", "0.980 / 0.760"]
    row = _row(option_tables.transfer_table(results), "street-nano", "PETS")
    assert row[2:] == ["0.900 / 0.400", "0.200 / 0.100"]


def test_the_cache_is_judged_by_epochs_that_find_all_views() -> None:
    rows = {row[0]: row for row in _rows(speed_tables.epoch_table({"speed/epochs": EPOCHS}).split("\n\n")[0])}
    assert rows["box cached"][-2:] == ["5.0", "8.0x"]
    aims = speed_tables.aim_table({"speed/epochs": EPOCHS})
    assert _row(aims, "a cached epoch beside all layers")[1:] == [">= 8x", "8.0x", "yes"]
    assert _row(aims, "the same beside recomputing")[1:] == [">= 3x", "4.0x", "yes"]


def test_pictures_and_runs() -> None:
    results = {
        "speed/picture": entry(
            {
                "canvas_wh": [416, 320],
                "ours_ms": [50.0, 60.0, 55.0],
                "plain_ms": [110.0, 120.0, 100.0],
                "network_ms": {"contiguous": 88.0},
            }
        ),
        "speed/run-with-defaults": entry(
            {"wall_s": 330.0, "seconds": {"capture": 40.0}, "peak_mb": 1400.0, "promoted": False}
        ),
    }
    rows = _rows(speed_tables.picture_table(results))
    assert rows[2] == ["ours, pictures of 416x320", "55.0", "2.00x"]
    assert rows[-1] == ["the network alone, square pictures, contiguous", "88.0", "1.25x"]
    run = _row(speed_tables.run_table(results), "defaults: street-nano, zoom")
    assert run[1:] == ["5.5", "capture 40", "1.40", "no", "2"]
    aims = speed_tables.aim_table(results)
    assert _row(aims, "PETS, from video to bundle, defaults")[2:] == ["5.5 min", "**no**"]
    assert _row(aims, "its peak memory")[2:] == ["1.40 GB", "yes"]


def test_known_scores_must_be_reproduced() -> None:
    wide = {**scores(0.46, 0.28), "one_box": scores(0.55, 0.33)}
    narrow = {**scores(0.13, 0.06), "one_box": scores(0.13, 0.06)}
    found = {
        f"{model} {scene}": {"all classes": all_classes, "street classes": scores(0.5, 0.3)}
        for scene, model, all_classes in (
            ("PETS", "yolox-nano", scores(0.9, 0.4)),
            ("PETS", "ssdlite-mobilenet-v2", scores(0.825, 0.31)),
            ("NGSIM seq 1", "yolox-nano", wide),
            ("NGSIM seq 1", "ssdlite-mobilenet-v2", narrow),
        )
    }
    table = accuracy_tables.off_the_shelf_table({"accuracy/off-the-shelf": entry(found)})
    assert _row(table, "NGSIM seq 1", "yolox-nano")[2:] == [
        "0.454 / 0.280", "0.460 / 0.280", "yes", "0.550 / 0.330", "0.500 / 0.300",
    ]  # fmt: skip
    assert _row(table, "NGSIM seq 1", "ssdlite-mobilenet-v2")[4] == "**no**"


def test_a_cuda_device_is_compared_with_the_cpu() -> None:
    on_cuda = trained((0.9, 0.4), (0.94, 0.45))
    on_cuda["result"] |= {"device": "Fast GPU", "images_per_s": 812.4}
    results = {"speed/cuda": on_cuda, f"{PETS}0": trained((0.9, 0.4), (0.95, 0.44))}
    assert _rows(speed_tables.cuda_table(results))[2] == ["Fast GPU", "812", "0.940 / 0.450", "0.950 / 0.440"]


def test_the_machine_is_named_once() -> None:
    results = {f"{PETS}0": trained((0.9, 0.4), (0.9, 0.4)), "speed/epochs": EPOCHS}
    note = accuracy_tables.machine_note(results)
    assert note.count("Fast 9000") == 1
    assert note.endswith("torch 2.13.0.")
