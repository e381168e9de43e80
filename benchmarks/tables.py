"""Turns committed results into the Markdown tables of README.md and the docs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.capture import quality, soak, speed
from benchmarks.capture import tables as capture_tables
from benchmarks.capture.curve import CURVE, gate_curve
from benchmarks.kills import campaign as kills
from benchmarks.kills import tables as kills_tables
from benchmarks.labels import campaign as labels
from benchmarks.node import results as node
from benchmarks.node import tables as node_tables
from benchmarks.regions import campaign as regions
from benchmarks.service import hostile, hostile_tables
from benchmarks.service import load as service
from benchmarks.service import tables as service_tables
from benchmarks.simulation import campaign as simulation
from benchmarks.simulation import tables as simulation_tables
from benchmarks.specialization import accuracy_tables, option_tables, speed_tables
from benchmarks.specialization import results as specialization
from benchmarks.tracking import campaign as tracking
from benchmarks.unseen import grids
from edge_autotuner.errors import ConfigError
from edge_autotuner.models.catalogue import packaged_weights_folder

_ROOT = Path(__file__).resolve().parent.parent
_PAGES = (
    _ROOT / "README.md",
    _ROOT / "docs" / "specialization.md",
    _ROOT / "docs" / "capture-benchmarks.md",
    _ROOT / "docs" / "service.md",
    _ROOT / "docs" / "street-nano.md",
    _ROOT / "docs" / "simulated-world.md",
    _ROOT / "docs" / "how-to" / "count-objects.md",
    _ROOT / "docs" / "explanation" / "magnification.md",
    _ROOT / "docs" / "explanation" / "label-quality.md",
)
_CARD = packaged_weights_folder() / "street_nano.json"
_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def street_data_table(card: Mapping[str, Any]) -> str:
    """Return what street-nano was trained on."""
    lines = ["| clip | frames | licence |", "|---|---|---|"]
    lines += [f"| {clip['source']} | {clip['n_frames']} | {clip['licence']} |" for clip in card["data"]]
    return "\n".join(lines)


def street_scores_table(card: Mapping[str, Any]) -> str:
    """Return how good street-nano is beside the weights that it started from."""
    names = [card["start"]["name"], card["name"]]
    lines = [f"| camera | {names[0]} | {names[1]} |", "|---|---|---|"]
    lines += [
        f"| {camera} | {_pair(scores[names[0]])} | **{_pair(scores[names[1]])}** |"
        for camera, scores in card["scores"].items()
    ]
    return "\n".join(lines)


def kills_table(results: Mapping[str, Any]) -> str:
    """Return the kills by side and stage, and what was played."""
    if not results:
        return f"{node_tables.NOT_MEASURED.capitalize()}."
    return f"{kills_tables.kills_table(results)}\n\n{kills_tables.kills_line(results)}"


_TABLES: dict[str, tuple[Callable[..., str], tuple[Path, ...]]] = {
    "street_data": (street_data_table, (_CARD,)),
    "street_scores": (street_scores_table, (_CARD,)),
    "specialization_summary": (accuracy_tables.summary_table, (specialization.RESULTS,)),
    "specialization_aims": (speed_tables.aim_table, (specialization.RESULTS,)),
    "specialization_machine": (accuracy_tables.machine_note, (specialization.RESULTS,)),
    "specialization_accuracy": (accuracy_tables.accuracy_table, (specialization.RESULTS,)),
    "specialization_off_the_shelf": (accuracy_tables.off_the_shelf_table, (specialization.RESULTS,)),
    "specialization_validation": (accuracy_tables.validation_table, (specialization.RESULTS,)),
    "specialization_one_box": (accuracy_tables.one_box_table, (specialization.RESULTS,)),
    "specialization_costs": (accuracy_tables.cost_table, (specialization.RESULTS,)),
    "specialization_ablations": (option_tables.ablation_table, (specialization.RESULTS,)),
    "specialization_bound": (option_tables.bound_table, (specialization.RESULTS,)),
    "specialization_transfer": (option_tables.transfer_table, (specialization.RESULTS,)),
    "specialization_forgetting": (option_tables.forgetting_table, (specialization.RESULTS,)),
    "specialization_epochs": (speed_tables.epoch_table, (specialization.RESULTS,)),
    "specialization_pictures": (speed_tables.picture_table, (specialization.RESULTS,)),
    "specialization_cuda": (speed_tables.cuda_table, (specialization.RESULTS,)),
    "specialization_runs": (speed_tables.run_table, (specialization.RESULTS,)),
    "capture_summary": (capture_tables.summary_table, (speed.RESULTS, quality.RESULTS, soak.RESULTS)),
    "capture_targets": (capture_tables.target_table, (speed.RESULTS, quality.RESULTS, soak.RESULTS)),
    "capture_speed": (capture_tables.speed_table, (speed.RESULTS,)),
    "capture_machine": (capture_tables.machine_note, (speed.RESULTS,)),
    "capture_gates": (capture_tables.gate_table, (speed.RESULTS,)),
    "capture_median": (capture_tables.median_table, (speed.RESULTS,)),
    "capture_memory": (capture_tables.memory_table, (speed.RESULTS,)),
    "capture_methods": (capture_tables.method_table, (quality.RESULTS,)),
    "capture_ablation": (capture_tables.ablation_table, (quality.RESULTS,)),
    "capture_thresholds": (capture_tables.threshold_table, (quality.RESULTS,)),
    "capture_soak": (capture_tables.soak_table, (soak.RESULTS,)),
    "service_aims": (service_tables.aim_table, (service.RESULTS, node.RESULTS)),
    "service_machine": (service_tables.machine_note, (service.RESULTS,)),
    "service_load": (service_tables.load_table, (service.RESULTS,)),
    "service_overhead": (service_tables.overhead_line, (service.RESULTS,)),
    "service_decoding": (service_tables.decoding_table, (service.RESULTS,)),
    "service_memory": (service_tables.memory_line, (service.RESULTS,)),
    "hostile_machine": (hostile_tables.machine_note, (hostile.RESULTS,)),
    "hostile_refused": (hostile_tables.refused_table, (hostile.RESULTS,)),
    "hostile_refused_line": (hostile_tables.refused_line, (hostile.RESULTS,)),
    "hostile_accepted": (hostile_tables.accepted_table, (hostile.RESULTS,)),
    "hostile_tokens": (hostile_tables.token_line, (hostile.RESULTS,)),
    "node_rate": (node_tables.rate_table, (node.RESULTS,)),
    "node_rate_note": (node_tables.rate_note, (node.RESULTS,)),
    "node_start": (node_tables.start_table, (node.RESULTS,)),
    "node_start_note": (node_tables.start_note, (node.RESULTS,)),
    "node_uplink": (node_tables.uplink_table, (node.RESULTS,)),
    "node_uplink_note": (node_tables.uplink_note, (node.RESULTS,)),
    "kills": (kills_table, (kills.RESULTS,)),
    "labels_spurious": (labels.TABLES["spurious"], (labels.RESULTS,)),
    "labels_judging": (labels.TABLES["judging"], (labels.RESULTS,)),
    "labels_check": (labels.TABLES["check"], (labels.RESULTS,)),
    "regions": (regions.regions_table, (regions.RESULTS,)),
    "simulation_detectors": (simulation_tables.detector_table, (simulation.RESULTS,)),
    "simulation_poses": (simulation_tables.pose_table, (simulation.RESULTS,)),
    "simulation_scene_poses": (simulation_tables.scene_pose_table, (simulation.RESULTS,)),
    "simulation_speed": (simulation_tables.speed_table, (simulation.RESULTS,)),
    "simulation_specialization": (simulation_tables.specialization_table, (simulation.RESULTS,)),
    "simulation_week": (simulation_tables.week_line, (simulation.RESULTS,)),
    "grids": (grids.grid_table, (grids.RESULTS,)),
    "tracking": (tracking.tracking_table, (tracking.RESULTS,)),
}
"""Name between the markers -> what writes the table, and the committed results that it is given."""

_IN_PARTS = (
    service.RESULTS,
    node.RESULTS,
    kills.RESULTS,
    labels.RESULTS,
    regions.RESULTS,
    simulation.RESULTS,
    tracking.RESULTS,
    grids.RESULTS,
)
"""Results of which any part, or all, may be missing; their tables say so."""


def filled(text: str) -> str:
    """Return a page with the tables between its markers made new from the committed results.

    Raises:
        ConfigError: a marker names a table that does not exist, or there are no results for it.
    """

    def fill(match: re.Match[str]) -> str:
        if match[2] not in _TABLES:
            raise ConfigError(f"no table '{match[2]}'; tables: {', '.join(_TABLES)}")
        write, paths = _TABLES[match[2]]
        return f"{match[1]}{write(*map(_read, paths))}\n{match[3]}"

    return _MARKED.sub(fill, text)


def curve() -> str:
    """Return the drawing of recall against pixels sent, made new from the committed results.

    Raises:
        ConfigError: there are no results for it.
    """
    return gate_curve(_read(quality.RESULTS))


def write_all() -> list[Path]:
    """Fill the tables of all pages, draw the curve, and return what was written."""
    for page in _PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    CURVE.parent.mkdir(exist_ok=True)
    CURVE.write_text(curve(), encoding="utf-8")
    return [*_PAGES, CURVE]


def _read(path: Path) -> Any:  # noqa: ANN401 (JSON)
    if path in _IN_PARTS and not path.is_file():
        return {}
    if not path.is_file():
        command = path.stem.replace("_", "-")
        raise ConfigError(f"there are no results {path.name} yet; run `python -m benchmarks {command}` first")
    return json.loads(path.read_text(encoding="utf-8"))


def _pair(scores: Mapping[str, float]) -> str:
    return f"{scores['ap50']:.3f} / {scores['ap']:.3f}"
