"""Every error that this package raises on purpose.

    EdgeAutotunerError
    ├── ConfigError             a setting, flag or configuration file is wrong
    ├── VideoError              a source cannot be opened, read or decoded
    ├── TeacherError            a teacher cannot give labels
    │   └── NoLabelsFound       the teacher looked and found nothing to learn from
    ├── DatasetError            a dataset folder is damaged, or holds something else
    ├── WeightsError            weights are missing, damaged or of another architecture
    ├── TrainingError           training cannot start or go on
    │   ├── DeadlineTooShort    there is no time to learn anything
    │   └── TrainingDiverged    the loss became NaN or infinite
    ├── EvaluationError         ground truth and frames do not fit together
    ├── ModelBundleError        a bundle is damaged or of an unknown format
    ├── StorageError            the disk is full or refuses a write
    └── MissingDependency       an optional part of the package is not installed

Wrong arguments by a programmer stay `ValueError` and `TypeError`. Each class has the exit code that the
command line returns for it; `docs/reference/exit-codes.md` is the table.
"""

from __future__ import annotations

from typing import ClassVar


class EdgeAutotunerError(Exception):
    """Base of all errors of this package; the message says what, where and what to do."""

    exit_code: ClassVar[int] = 1


class ConfigError(EdgeAutotunerError):
    """A setting is wrong; the message names the file, line and key where it is known."""

    exit_code = 2


class VideoError(EdgeAutotunerError):
    """A video, stream or folder of pictures cannot be opened, read or decoded."""

    exit_code = 3


class TeacherError(EdgeAutotunerError):
    """A teacher cannot be loaded or cannot give labels."""

    exit_code = 4


class NoLabelsFound(TeacherError):
    """The teacher looked at the selected frames and found nothing above the threshold."""

    exit_code = 5


class DatasetError(EdgeAutotunerError):
    """A dataset folder is missing, damaged, or was made with other settings."""

    exit_code = 6


class WeightsError(EdgeAutotunerError):
    """Weights are missing, do not match their hash, or belong to another architecture."""

    exit_code = 7


class TrainingError(EdgeAutotunerError):
    """Training cannot start or cannot go on."""

    exit_code = 8


class DeadlineTooShort(TrainingError):
    """A training cannot learn anything in the time that it was given; the message says how much it needs."""

    exit_code = 14


class TrainingDiverged(TrainingError):
    """The loss became NaN or infinite; the best checkpoint so far is kept."""

    exit_code = 9


class EvaluationError(EdgeAutotunerError):
    """Ground truth, detections and frames do not fit together."""

    exit_code = 10


class ModelBundleError(EdgeAutotunerError):
    """A model bundle is missing, damaged, or of a format that this version does not know."""

    exit_code = 11


class StorageError(EdgeAutotunerError):
    """The disk is full or refuses a write; what was written before is intact."""

    exit_code = 12


class MissingDependency(EdgeAutotunerError):
    """An optional dependency is not installed; the message gives the install command."""

    exit_code = 13
