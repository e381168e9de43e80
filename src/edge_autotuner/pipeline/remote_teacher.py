"""Teachers that the service lends: the same looking and merging as with a local model, over one connection."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edge_autotuner.annotation import RegionTeacher
from edge_autotuner.config import AnnotationConfig
from edge_autotuner.config.annotation import REMOTE
from edge_autotuner.core import Deadline, LabelMap
from edge_autotuner.errors import MissingDependency

if TYPE_CHECKING:
    from edge_autotuner.client import Connection


class RemoteTeachers:
    """Opens teachers whose names begin with `remote:`; see `remote_teachers`."""

    def __init__(self, connection: Connection, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def stop(self) -> None:
        """End all requests and waits, also those of other threads; their teachers raise `TeacherError`."""
        self._connection.close()

    def open(
        self, config: AnnotationConfig, choose_labels: Callable[[LabelMap], LabelMap]
    ) -> tuple[RegionTeacher, str]:
        """Return the one teacher that the settings name, and the hash of its model.

        Args:
            config: its teacher is `remote:NAME`.
            choose_labels: says which classes it shall give, from those that it knows.

        Raises:
            ConfigError: the service has no such model, or it lacks a class.
            TeacherError: the service does not answer, refuses, or answers with something else.
        """
        from edge_autotuner.client import RemoteDetector, find_remote_model

        name = config.teacher.removeprefix(REMOTE)
        model = find_remote_model(self._connection, name, deadline=self._deadline)
        detector = RemoteDetector(
            self._connection,
            model,
            config.service,
            min_score=config.uncertain_score,
            max_detections=config.max_detections,
            deadline=self._deadline,
        )
        labels = choose_labels(detector.labels)
        return RegionTeacher(detector, config, labels=labels, name=config.teacher), model.sha256


@contextmanager
def remote_teachers(config: AnnotationConfig, deadline: Deadline) -> Iterator[RemoteTeachers | None]:
    """Connect to the service while the block runs; None where no teacher of the settings is a remote one.

    Raises:
        MissingDependency: the HTTP library is not installed.
        ConfigError: the certificates cannot be used.
    """
    if not config.remote_models:
        yield None
        return
    require_http()
    from edge_autotuner.client import Connection

    with Connection(config.service) as connection:
        yield RemoteTeachers(connection, deadline)


def require_http() -> None:
    """Make sure that the HTTP library is there.

    Raises:
        MissingDependency: it is not.
    """
    if importlib.util.find_spec("httpx2") is None:
        raise MissingDependency("a remote teacher needs httpx2: pip install 'edge-autotuner[edge]'")
