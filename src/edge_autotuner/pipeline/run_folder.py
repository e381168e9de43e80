"""The output folder of a run: where each stage keeps its results, and which stages are done.

DIR/settings.yaml     every setting, resolved
DIR/state.json        which stages are done, with what settings, in how many seconds
DIR/dataset/          frames, labels, manifest
DIR/training/HASH/    checkpoints and learning curves of one training; replay-HASH/ is what one replays
DIR/evaluation.json   scores and the promotion decision
DIR/bundles/          model bundles; DIR/bundle points at the deployed one
DIR/report.html       the page for people
DIR/job.json          where a service trains: what it was asked for
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from edge_autotuner.config import RunConfig, load_config
from edge_autotuner.config.settings_text import dump_yaml
from edge_autotuner.core.json_fields import FieldError, Fields, parse_json
from edge_autotuner.dataset.derived_files import keep_aside
from edge_autotuner.errors import ConfigError, DatasetError
from edge_autotuner.pipeline.loop import COMMANDS, STAGES, Stage
from edge_autotuner.storage import child_path
from edge_autotuner.storage.atomic import atomic_write_json, atomic_write_text, make_folder, remove_leftovers

SETTINGS_FILE = "settings.yaml"
STATE_FILE = "state.json"
_SETTINGS_HEAD = "# read by annotate, tune, evaluate, export and report; written by every command; sha256 "
CANDIDATE_WEIGHTS = "candidate.safetensors"

Result = TypeVar("Result")


@dataclass(frozen=True)
class StageRecord:
    """One finished stage.

    Attributes:
        fingerprint: of its settings and of what it was made from.
        seconds: time spent, of all its interrupted parts.
        finished_at: ISO 8601, UTC.
        summary: the stage's result as JSON values; `RunFolder.result` reads it.
    """

    fingerprint: str
    seconds: float
    finished_at: str
    summary: dict[str, Any] = field(default_factory=dict)


class RunFolder:
    """Paths of one run, and the record of its finished stages."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def dataset(self) -> Path:
        """Folder of the dataset."""
        return self.path / "dataset"

    @property
    def evaluation(self) -> Path:
        """File of scores and decision."""
        return self.path / "evaluation.json"

    @property
    def report(self) -> Path:
        """The HTML page."""
        return self.path / "report.html"

    def training(self, fingerprint: str) -> Path:
        """Folder of one training."""
        return child_path(self.path / "training", fingerprint, error=DatasetError)

    def candidate_weights(self, fingerprint: str) -> Path:
        """Weights that one training has made."""
        return self.training(fingerprint) / CANDIDATE_WEIGHTS

    def remove_leftovers(self) -> None:
        """Delete what killed commands have left half written."""
        for folder in (self.path, self.path / "bundles", *(self.path / "training").glob("**/")):
            remove_leftovers(folder)

    @property
    def has_settings(self) -> bool:
        """Whether a command has saved its settings here."""
        return (self.path / SETTINGS_FILE).is_file()

    def settings(self) -> RunConfig:
        """Return the settings that the last command saved here.

        Raises:
            DatasetError: this is not the folder of a run.
        """
        file = self.path / SETTINGS_FILE
        if not file.is_file():
            raise DatasetError(f"{self.path} is not the folder of a run; start with `edge-autotuner run` or `capture`")
        return load_config(file)

    def save_settings(self, config: RunConfig) -> None:
        """Write every setting, so that later commands on this folder need no flags.

        An edited file is kept under another name if the command uses other settings.
        """
        make_folder(self.path)
        path, text = self.path / SETTINGS_FILE, dump_yaml(config.model_dump(mode="json"))
        if _was_edited(path) and not _says(path, config):
            keep_aside(path, because="this command uses different settings")
        atomic_write_text(path, f"{_SETTINGS_HEAD}{hashlib.sha256(text.encode()).hexdigest()}\n{text}")

    def stage(self, name: str) -> StageRecord | None:
        """Return the record of a finished stage."""
        return self._state().get(name)

    def seconds(self) -> dict[str, float]:
        """Return how long each finished stage took."""
        return {name: record.seconds for name, record in self._state().items()}

    def require(self, name: str, *, before: str) -> StageRecord:
        """Return the record of a stage that another needs.

        Raises:
            DatasetError: it has not been done.
        """
        record = self.stage(name)
        if record is None:
            raise DatasetError(
                f"{self.path} has no finished {name}, which {before} needs; "
                f"run `edge-autotuner {COMMANDS[name]}` on it first, or `edge-autotuner run`"
            )
        return record

    def result(self, stage: Stage[Result], *, before: str) -> Result:
        """Return the result of a finished stage.

        Raises:
            DatasetError: it has not been done, or its record is not compatible with this version.
        """
        self.require(stage.name, before=before)
        result = self.find_result(stage)
        assert result is not None, "it has a record"
        return result

    def find_result(self, stage: Stage[Result]) -> Result | None:
        """Return the result of a stage, or None if it is not finished. Raises as `result`."""
        record = self.stage(stage.name)
        if record is None:
            return None
        try:
            result: Result = stage.result_class.from_json(Fields(record.summary, ""), record.seconds)
        except ValueError as exc:
            raise DatasetError(
                f"{self.path / STATE_FILE}: the {stage.name} record is not compatible with this version ({exc}); "
                f"run `edge-autotuner {stage.command}` again"
            ) from exc
        return result

    def finish(self, name: str, record: StageRecord) -> None:
        """Record a stage as done, and drop the records of later stages."""
        earlier = {stage: done for stage, done in self._state().items() if _is_before(stage, name)}
        make_folder(self.path)
        state = {stage: asdict(done) for stage, done in (earlier | {name: record}).items()}
        atomic_write_json(self.path / STATE_FILE, state)

    def _state(self) -> dict[str, StageRecord]:
        file = self.path / STATE_FILE
        if not file.is_file():
            return {}
        try:
            state = Fields(parse_json(file.read_bytes()), "")
            return {name: read_stage_record(state.inner(name)) for name in state.values if _is_stage(name)}
        except (OSError, ValueError) as exc:
            raise DatasetError(f"{file} is damaged ({exc}); delete it to check all stages again") from exc


def _was_edited(path: Path) -> bool:
    """Whether somebody has changed a file of settings since it was written."""
    if not path.is_file():
        return False
    head, _, text = path.read_bytes().partition(b"\n")
    written = head.removeprefix(_SETTINGS_HEAD.encode())
    return written != head and written != hashlib.sha256(text).hexdigest().encode()


def _says(path: Path, config: RunConfig) -> bool:
    try:
        return load_config(path) == config
    except ConfigError:
        return False


def _is_stage(name: str) -> bool:
    if name not in STAGES:
        raise FieldError(f"'{name:.40}' is not a stage")
    return True


def read_stage_record(fields: Fields) -> StageRecord:
    """Read a record as `state.json` holds it.

    Raises:
        ValueError: a value is missing, unknown or makes no sense.
    """
    fields.refuse_unknown({"fingerprint", "seconds", "finished_at", "summary"})
    datetime.fromisoformat(fields.text("finished_at"))
    return StageRecord(
        fields.text("fingerprint"),
        fields.number("seconds", at_least=0),
        fields.text("finished_at"),
        dict(fields.inner("summary").values) if "summary" in fields.values else {},
    )


def _is_before(stage: str, other: str) -> bool:
    return STAGES.index(stage) < STAGES.index(other)
