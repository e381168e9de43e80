"""Weights come back as they were stored, official checkpoints are folded, and nothing foreign is executed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edge_autotuner.core import COCO_80, LabelMap
from edge_autotuner.errors import ConfigError, WeightsError
from edge_autotuner.models.torch_weights import network_bytes, with_classes
from edge_autotuner.models.yolox import ConvBlock, Yolox
from edge_autotuner.models.yolox_weights import load_yolox, save_yolox

LABELS = LabelMap(("person", "car", "bus"))


@pytest.fixture(scope="module")
def network() -> Yolox:
    torch.manual_seed(1)
    return Yolox("yolox-nano", len(LABELS)).eval()


def same_weights(a: Yolox, b: Yolox) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


# --- our own files


def test_own_files_hold_weights_architecture_and_classes(network: Yolox, tmp_path: Path) -> None:
    save_yolox(tmp_path / "w.safetensors", network, LABELS)
    loaded, labels = load_yolox(tmp_path / "w.safetensors", labels=COCO_80)  # the file's own classes win
    assert (loaded.architecture, labels, loaded.training) == ("yolox-nano", LABELS, False)
    assert same_weights(loaded, network)


def test_half_precision_halves_the_file_and_rounds_once(network: Yolox, tmp_path: Path) -> None:
    save_yolox(tmp_path / "full.safetensors", network, LABELS)
    save_yolox(tmp_path / "half.safetensors", network, LABELS, half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.52 * sizes[0]
    loaded, _ = load_yolox(tmp_path / "half.safetensors")
    for name, tensor in network.state_dict().items():
        assert loaded.state_dict()[name].dtype == torch.float32
        assert torch.equal(loaded.state_dict()[name], tensor.half().float())


def test_the_same_network_gives_the_same_bytes(network: Yolox) -> None:
    assert network_bytes(network, LABELS) == network_bytes(network, LABELS)


def test_weights_of_another_architecture_are_refused(network: Yolox, tmp_path: Path) -> None:
    save_yolox(tmp_path / "w.safetensors", network, LABELS)
    with pytest.raises(WeightsError, match=r"w\.safetensors does not contain weights of yolox-tiny"):
        load_yolox(tmp_path / "w.safetensors", architecture="yolox-tiny")
    with pytest.raises(WeightsError, match="unknown architecture 'yolo-v9'; known: yolox-nano"):
        load_yolox(tmp_path / "w.safetensors", architecture="yolo-v9")


def test_the_architecture_is_found_out_where_the_file_does_not_name_it(network: Yolox, tmp_path: Path) -> None:
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    assert load_yolox(tmp_path / "w.safetensors", labels=LABELS)[0].architecture == "yolox-nano"
    with pytest.raises(WeightsError, match="does not contain weights of yolox-nano or yolox-tiny or yolox-s"):
        load_yolox(tmp_path / "w.safetensors")  # three class rows are not COCO's 80


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_truncated_files_are_refused(keep: int, network: Yolox, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(network_bytes(network, LABELS)[:keep])
    with pytest.raises(WeightsError, match=r"cannot read weights .*w\.safetensors"):
        load_yolox(tmp_path / "w.safetensors")


@pytest.mark.parametrize("names", ["[", "5", '["car", "car"]'])
def test_damaged_class_names_are_refused(names: str, network: Yolox, tmp_path: Path) -> None:
    save_file(network.state_dict(), tmp_path / "w.safetensors", {"labels": names, "architecture": "yolox-nano"})
    with pytest.raises(WeightsError, match="the class names inside are damaged"):
        load_yolox(tmp_path / "w.safetensors")


def test_a_missing_file_is_answered_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights file at .*models list"):
        load_yolox(tmp_path / "absent.safetensors")


# --- official checkpoints


def official_checkpoint(network: Yolox) -> dict[str, Tensor]:
    """Return the network's state as it would be with a random BatchNorm behind every block's convolution."""
    state = {name: tensor for name, tensor in network.state_dict().items() if name.split(".")[-2].isdigit()}
    generator = torch.Generator().manual_seed(3)
    for name, block in network.named_modules():
        if isinstance(block, ConvBlock):
            channels = block.conv.out_channels
            state[f"{name}.conv.weight"] = block.conv.weight.detach()
            state[f"{name}.bn.weight"] = torch.rand(channels, generator=generator) + 0.5
            state[f"{name}.bn.bias"] = torch.randn(channels, generator=generator) * 0.1
            state[f"{name}.bn.running_mean"] = torch.randn(channels, generator=generator) * 0.1
            state[f"{name}.bn.running_var"] = torch.rand(channels, generator=generator) * 0.2 + 0.1
            state[f"{name}.bn.num_batches_tracked"] = torch.tensor(7)
    return state


def with_batch_norm(network: Yolox, state: dict[str, Tensor]) -> nn.Module:
    """Put real BatchNorm layers into a network: the slow path that folding must agree with."""
    for name, block in network.named_modules():
        if isinstance(block, ConvBlock):
            norm = nn.BatchNorm2d(block.conv.out_channels, eps=1e-3)
            norm.load_state_dict({key: state[f"{name}.bn.{key}"] for key in norm.state_dict()})
            nn.init.zeros_(block.conv.bias)  # type: ignore[arg-type]
            block.act = nn.Sequential(norm, block.act)
    return network.eval()


@pytest.mark.parametrize("wrapped", [True, False], ids=["under model", "plain"])
@torch.inference_mode()
def test_folding_equals_batch_norm(wrapped: bool, network: Yolox, tmp_path: Path) -> None:
    state = official_checkpoint(network)
    torch.save({"model": state, "start_epoch": 300} if wrapped else state, tmp_path / "yolox_nano.pth")
    folded, labels = load_yolox(tmp_path / "yolox_nano.pth", architecture="yolox-nano", labels=LABELS)
    slow = Yolox("yolox-nano", len(LABELS))
    slow.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    expected = with_batch_norm(slow, state)(image)
    assert labels == LABELS
    assert expected.abs().max() > 0.1
    # the same sums in another order: float32 rounding relative to the largest output; PyTorch's own eps, 1e-5,
    # would be off by 12 %
    assert (folded(image) - expected).abs().max() < 1e-4 * expected.abs().max()


class _Planted:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (self._command,)


def test_a_planted_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    torch.save({"model": _Planted(f"touch '{trace}'")}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match=r"evil\.pth contains more than tensors and was not opened"):
        load_yolox(tmp_path / "evil.pth")
    assert not trace.exists()
    torch.load(tmp_path / "evil.pth", weights_only=False)
    assert trace.exists()  # the file is armed: only our way of opening it is what keeps it from running


@pytest.mark.parametrize(
    "content", [pytest.param([torch.zeros(1)], id="list"), pytest.param({"model": {}}, id="nothing inside")]
)
def test_checkpoints_of_something_else_are_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"w\.pth"):
        load_yolox(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"no pickle at all"])
def test_garbage_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.pth"):
        load_yolox(tmp_path / "w.pth")


def test_a_checkpoint_without_all_of_a_batch_norm_is_refused(network: Yolox, tmp_path: Path) -> None:
    state = official_checkpoint(network)
    del state["head.stems.0.bn.running_var"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"does not contain weights of yolox-nano"):
        load_yolox(tmp_path / "w.pth", architecture="yolox-nano", labels=LABELS)


# --- fewer classes


@torch.inference_mode()
def test_chosen_classes_keep_their_rows(network: Yolox) -> None:
    fewer = with_classes(network, LABELS, LabelMap(("bus", "person")))
    image = torch.rand(1, 3, 32, 32) * 255
    before, after = network(image), fewer(image)
    assert after.shape == (1, 21, 7)
    assert torch.equal(after[..., :5], before[..., :5])
    # another number of output channels may be summed in another order
    assert torch.allclose(after[..., 5:], before[..., [7, 5]], atol=1e-5)
    for level in range(3):
        assert torch.equal(fewer.head.cls_preds[level].weight, network.head.cls_preds[level].weight[[2, 0]])
        assert torch.equal(fewer.head.cls_preds[level].bias, network.head.cls_preds[level].bias[[2, 0]])


def test_a_class_that_the_network_does_not_know_is_refused(network: Yolox) -> None:
    with pytest.raises(ConfigError, match="unknown class 'dog'"):
        with_classes(network, LABELS, LabelMap(("car", "dog")))


def test_a_file_of_thousands_of_unknown_tensors_is_no_long_message(tmp_path: Path) -> None:
    path = tmp_path / "many.safetensors"
    save_file({f"t{i}": torch.zeros(0) for i in range(5000)}, path)
    with pytest.raises(WeightsError, match="does not contain weights of yolox-nano") as refused:
        load_yolox(path)
    assert len(str(refused.value)) < 3000
