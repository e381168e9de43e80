"""Remote teachers in the settings: one connection where one is needed, and none where none is."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from edge_autotuner.config import AnnotationConfig, RunConfig
from edge_autotuner.config.service import ServiceConfig
from edge_autotuner.core import COCO_80, Deadline, LabelMap
from edge_autotuner.errors import ConfigError, MissingDependency, TeacherRejected
from edge_autotuner.pipeline.annotation_stage import check_teacher
from edge_autotuner.pipeline.remote_teacher import remote_teachers
from support.runs.run_samples import Samples
from support.service.annotation_stub import MODEL, TOKEN, StubService

NAME = f"remote:{MODEL}"


def settings(url: str, teacher: str = NAME) -> AnnotationConfig:
    return AnnotationConfig(teacher=teacher, service=ServiceConfig(url=url, max_attempts=1))


def test_no_connection_without_a_remote_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with remote_teachers(AnnotationConfig(service=ServiceConfig(url="https://a.example")), Deadline()) as remote:
        assert remote is None


def test_the_http_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "httpx2" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    with (
        pytest.raises(MissingDependency, match="pip install"),
        remote_teachers(settings("https://a.example"), Deadline()),
    ):
        pass


def test_the_model_and_its_hash(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AUTOTUNER_TOKEN", TOKEN)
    asked: list[LabelMap] = []

    def choose(known: LabelMap) -> LabelMap:
        asked.append(known)
        return LabelMap(("car", "bus"))

    with StubService(samples.teacher) as stub, remote_teachers(settings(stub.url), Deadline()) as remote:
        assert remote is not None
        teacher, sha256 = remote.open(settings(stub.url), choose)
        assert (teacher.name, teacher.labels.names, sha256) == (NAME, ("car", "bus"), stub.sha256)
        assert teacher.input_size_wh == stub.spec.input_size_wh
        assert asked == [COCO_80]
        with pytest.raises(ConfigError, match=f"{NAME} does not support the classes cow-shed"):
            remote.open(settings(stub.url), lambda _: LabelMap(("cow-shed",)))


def test_each_of_several_is_checked(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AUTOTUNER_TOKEN", TOKEN)
    with StubService(samples.teacher) as stub:
        check_teacher(RunConfig(annotation=settings(stub.url, f"zoom,{NAME}")))
        with pytest.raises(ConfigError, match="has no model other; its models: changes"):
            check_teacher(RunConfig(annotation=settings(stub.url, f"{NAME},remote:other")))
        with pytest.raises(ConfigError, match=r"missing\.onnx does not exist"):
            check_teacher(RunConfig(annotation=settings(stub.url, f"{NAME},missing.onnx")))
        monkeypatch.setenv("EDGE_AUTOTUNER_TOKEN", "another")
        with pytest.raises(TeacherRejected, match="401"):
            check_teacher(RunConfig(annotation=settings(stub.url)))
