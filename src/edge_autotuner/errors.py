"""Every error that this package raises on purpose.

    EdgeAutotunerError
    ├── ConfigError             a setting, flag or configuration file is wrong
    ├── VideoError              a source cannot be opened, read or decoded
    ├── TeacherError            a teacher cannot give labels
    │   ├── NoLabelsFound       the teacher looked and found nothing to learn from
    │   ├── TeacherTimeout      a remote teacher does not answer now
    │   ├── TeacherRejected     a remote teacher refuses the question
    │   └── TeacherBadReply     a remote teacher answers with something else than labels
    ├── DatasetError            a dataset folder is damaged, or holds something else
    ├── WeightsError            weights are missing, damaged or of another architecture
    ├── TrainingError           training cannot start or go on
    │   ├── DeadlineTooShort    there is no time to learn anything
    │   └── TrainingDiverged    the loss became NaN or infinite
    ├── EvaluationError         ground truth and frames do not fit together
    ├── ModelBundleError        a bundle is damaged or of an unknown format
    ├── StorageError            the disk is full or refuses a write
    ├── ServiceError            the service cannot be talked to, for example because of its certificate
    │   ├── ServiceUnreachable  it does not answer now; later it may
    │   │   └── ServiceBusy     it has too much to do, and says when to ask again
    │   ├── ServiceRefused      it does not do what was asked, now or later
    │   └── ServiceBadReply     it answers with something that its interface does not know
    └── MissingDependency       an optional part of the package is not installed

Wrong arguments by a programmer stay `ValueError` and `TypeError`. Each class has the exit code that the
command line returns for it; `docs/reference/exit-codes.md` is the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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


class TeacherTimeout(TeacherError):
    """A remote teacher does not answer now; what it labelled before is kept, and the same command continues."""

    exit_code = 20


class TeacherRejected(TeacherError):
    """A remote teacher refuses: no valid token, no such model, or a picture that it does not take."""

    exit_code = 21


class TeacherBadReply(TeacherError):
    """A remote teacher answers with something that cannot be labels."""

    exit_code = 22


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


class ServiceError(EdgeAutotunerError):
    """The service cannot be talked to; trying again would not help."""

    exit_code = 15


class ServiceUnreachable(ServiceError):
    """The service does not answer: refused, silent, cut off, or not ready. Later it may.

    Attributes:
        retry_after_s: how long it asks to be left alone; None where it does not say.
    """

    exit_code = 16

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServiceBusy(ServiceUnreachable):
    """The service has too much to do, or this client has used up its share for now."""

    exit_code = 17


class ServiceRefused(ServiceError):
    """The service does not do what was asked; asking again changes nothing.

    Attributes:
        status: the HTTP status, 400 to 499; 0 where there is none.
        kind: the service's short name for the reason; empty where it gives none.
    """

    exit_code = 18

    def __init__(self, message: str, *, status: int = 0, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class ServiceBadReply(ServiceError):
    """The service answers with something that its interface does not know: an error of its own, or another program."""

    exit_code = 19


@contextmanager
def errors_about(setting: str) -> Iterator[None]:
    """Put the name of a setting before the message of each of our errors; its class stays."""
    try:
        yield
    except EdgeAutotunerError as exc:
        raise type(exc)(f"{setting}: {exc}") from exc
