"""A model is one file: weights that are kept elsewhere are found wherever ONNX allows them, and refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper

from edge_autotuner.deployment import read_bundle
from edge_autotuner.errors import ModelBundleError, WeightsError
from edge_autotuner.models import describe_onnx
from edge_autotuner.models.onnx_detector import OnnxDetector, open_session
from edge_autotuner.models.onnx_external import check_one_file, check_onnx_file, read_onnx
from unit.deployment.test_bundle import made
from unit.models.tiny_onnx import SPEC, constant_model


def outside(name: str = "w") -> TensorProto:
    """A tensor that is kept in side.bin."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="side.bin")
    return tensor


def model_with(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.ModelProto.FromString(constant_model())
    change(model)
    return bytes(model.SerializeToString())


def sub_graph() -> onnx.GraphProto:
    return onnx.GraphProto(name="inner", initializer=[outside()])


def sparse() -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=outside())


def attribute(**values: object) -> onnx.NodeProto:
    return onnx.NodeProto(op_type="Constant", attribute=[onnx.AttributeProto(name="value", **values)])  # type: ignore[arg-type]


def marked(key: str = "") -> TensorProto:
    tensor = numpy_helper.from_array(np.ones(4, np.float32), "w")
    if key:
        tensor.external_data.add(key=key, value="side.bin")
    else:
        tensor.data_location = TensorProto.EXTERNAL
    return tensor


PLACES: dict[str, Callable[[onnx.ModelProto], object]] = {
    "initializer": lambda m: m.graph.initializer.append(outside()),
    "sparse values": lambda m: m.graph.sparse_initializer.append(sparse()),
    "sparse indices": lambda m: m.graph.sparse_initializer.append(onnx.SparseTensorProto(indices=outside())),
    "constant": lambda m: m.graph.node.append(attribute(t=outside())),
    "constants": lambda m: m.graph.node.append(attribute(tensors=[outside()])),
    "sparse constant": lambda m: m.graph.node.append(attribute(sparse_tensor=sparse())),
    "sparse constants": lambda m: m.graph.node.append(attribute(sparse_tensors=[sparse()])),
    "branch": lambda m: m.graph.node.append(attribute(g=sub_graph())),
    "branches": lambda m: m.graph.node.append(attribute(graphs=[sub_graph()])),
    "branch of a branch": lambda m: m.graph.node.append(attribute(g=onnx.GraphProto(node=[attribute(g=sub_graph())]))),
    "function": lambda m: m.functions.append(onnx.FunctionProto(node=[attribute(t=outside())])),
    "default of a function": lambda m: m.functions.append(
        onnx.FunctionProto(attribute_proto=[onnx.AttributeProto(name="value", t=outside())])
    ),
    "training": lambda m: m.training_info.append(onnx.TrainingInfoProto(initialization=sub_graph())),
    "algorithm": lambda m: m.training_info.append(onnx.TrainingInfoProto(algorithm=sub_graph())),
    "only the location": lambda m: m.graph.initializer.append(marked()),
    "only the entry": lambda m: m.graph.initializer.append(marked("location")),
    "another key": lambda m: m.graph.initializer.append(marked("checksum")),
}


@pytest.mark.parametrize("change", PLACES.values(), ids=PLACES)
def test_weights_elsewhere_are_found_wherever_they_are(tmp_path: Path, change: Callable[..., object]) -> None:
    content = model_with(change)
    with pytest.raises(WeightsError, match=r"stores weights in another file .* merge them"):
        check_one_file(content, "model")
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match="stores weights in another file"):
        read_onnx(tmp_path / "model.onnx", "model")
    with pytest.raises(WeightsError, match="stores weights in another file"):
        check_onnx_file(tmp_path / "model.onnx")


def test_a_second_graph_and_padded_numbers_hide_nothing() -> None:
    hidden = onnx.ModelProto(graph=sub_graph()).SerializeToString()
    with pytest.raises(WeightsError, match="stores weights in another file"):
        check_one_file(constant_model() + hidden, "model")  # protobuf merges what comes twice
    with pytest.raises(WeightsError, match="wrong type"):
        check_one_file(b"\x38\x01" + constant_model(), "model")  # a graph that is a number
    padded = b"\xf0\x80\x00\x81\x80\x00"  # data_location = 1 with more bytes than it needs
    tensor = b"\x2a" + bytes([len(padded)]) + padded
    with pytest.raises(WeightsError, match="stores weights in another file"):
        check_one_file(constant_model() + b"\x3a" + bytes([len(tensor)]) + tensor, "model")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no graph"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a usable ONNX model"),
        (b"\x80\x02}q\x00.", "not a usable ONNX model"),
        (b"\x00" * 100, "not a usable ONNX model"),
        (constant_model()[:-3], "truncated"),
        (b"\x18\x00\x00\x00ORTM" + b"\x00" * 64, "not a usable ONNX model"),
        (b"\x0b" * 100, "not a usable ONNX model"),
        (b"\xff" * 100, "not a usable ONNX model"),
    ],
    ids=["empty", "lfs", "pickle", "zeros", "cut", "ort", "groups", "ones"],
)
def test_what_is_no_model_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        check_one_file(content, "model")


@given(st.binary(max_size=300))
def test_any_bytes_are_accepted_or_refused(content: bytes) -> None:
    with suppress(WeightsError):
        check_one_file(content, "model")


@pytest.mark.parametrize("depth", [70, 900])
def test_deep_graphs_are_refused_without_recursion(depth: int) -> None:
    content = b""
    for _ in range(depth):
        for tag in (0x32, 0x2A, 0x0A):  # graph of an attribute, attribute of a node, node of a graph
            content = bytes([tag]) + _length(len(content)) + content
    content = b"\x3a" + _length(len(content)) + content
    with pytest.raises(WeightsError, match="nested deeper than 64"):
        check_one_file(content, "model")


def test_many_fields_are_refused_as_too_much_work() -> None:
    graph = b"\x0a\x00" * 1_100_000  # empty nodes
    with pytest.raises(WeightsError, match="more than 1000000 fields"):
        check_one_file(b"\x3a" + _length(len(graph)) + graph, "model")


def _length(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def test_nothing_runs_a_model_whose_side_file_is_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.ModelProto.FromString(constant_model())
    path = tmp_path / "model.onnx"
    onnx.save_model(model, str(path), save_as_external_data=True, location="side.bin", size_threshold=0)
    assert (tmp_path / "side.bin").is_file()
    monkeypatch.chdir(tmp_path)  # ONNX Runtime would find it here, for bytes too
    for source in (path, path.read_bytes()):
        with pytest.raises(WeightsError, match=r"another file \(side.bin\)"):
            OnnxDetector(source, SPEC)
        with pytest.raises(WeightsError, match="stores weights in another file"):
            open_session(source, "model")
    with pytest.raises(WeightsError, match="stores weights in another file"):
        describe_onnx(path, "yolox")
    merged = tmp_path / "one.onnx"
    onnx.save_model(onnx.load(str(path)), str(merged))  # what the message advises
    os.remove(tmp_path / "side.bin")
    OnnxDetector(merged, SPEC)


def test_a_bundle_with_weights_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelBundleError, match="stores weights in another file"):
        made(tmp_path / "bundle", model=model_with(PLACES["initializer"]))
    made(tmp_path / "fine")
    assert read_bundle(tmp_path / "fine").name == "street"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot read"):
        read_onnx(tmp_path / "none.onnx", "model")
    with pytest.raises(WeightsError, match="cannot read"):
        check_onnx_file(tmp_path / "none.onnx")
