"""Small detectors of the transformers library: narrow layers, random weights."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edge_autotuner.core import LabelMap
from edge_autotuner.core.types import SizeWH
from edge_autotuner.models.transformers_detr import DetrPlan, TransformersDetr
from edge_autotuner.models.transformers_folder import PixelScaling

ARE_INSTALLED = importlib.util.find_spec("transformers") is not None
NOT_INSTALLED = "the transformers library is not installed: pip install 'edge-autotuner[transformers]'"
RT_DETR, D_FINE = "rt-detr-v2", "d-fine"
MODEL_TYPES = {RT_DETR: "rt_detr_v2", D_FINE: "d_fine"}
MODEL_CLASSES = {RT_DETR: "RTDetrV2ForObjectDetection", D_FINE: "DFineForObjectDetection"}
N_QUERIES = 24

_WIDTHS = [8, 16, 24, 32]
_BACKBONES: dict[str, dict[str, Any]] = {
    RT_DETR: {
        "model_type": "rt_detr_resnet",
        "embedding_size": 8,
        "hidden_sizes": _WIDTHS,
        "depths": [1, 1, 1, 1],
        "layer_type": "basic",
        "out_indices": [2, 3, 4],
    },
    D_FINE: {
        "model_type": "hgnet_v2",
        "stem_channels": [3, 8, 8],
        "stage_in_channels": [8, *_WIDTHS[:3]],
        "stage_mid_channels": [8, 8, 8, 8],
        "stage_out_channels": _WIDTHS,
        "stage_num_blocks": [1, 1, 1, 1],
        "stage_numb_of_layers": [1, 1, 1, 1],
        "hidden_sizes": _WIDTHS,
        "depths": [1, 1, 1, 1],
        "out_indices": [2, 3, 4],
        "use_learnable_affine_block": True,
    },
}


def tiny_config(architecture: str, labels: LabelMap | None = None) -> dict[str, Any]:
    """Return the content of a config.json."""
    d = 32
    config = {
        "model_type": MODEL_TYPES[architecture],
        "architectures": [MODEL_CLASSES[architecture]],
        "backbone_config": _BACKBONES[architecture],
        "encoder_in_channels": _WIDTHS[1:],
        "encoder_hidden_dim": d,
        "encoder_ffn_dim": d,
        "encoder_attention_heads": 2,
        "d_model": d,
        "decoder_in_channels": [d, d, d],
        "decoder_ffn_dim": d,
        "decoder_layers": 2,
        "decoder_attention_heads": 2,
        "num_queries": N_QUERIES,
    }
    if labels is not None:
        config["id2label"] = {str(i): name for i, name in enumerate(labels)}
    return config


def tiny_network(architecture: str, n_classes: int = 2, seed: int = 0) -> TransformersDetr:
    """Return a network that can learn at once: signals of size one in all layers, and no layer of zeros."""
    torch.manual_seed(seed)
    network = TransformersDetr(architecture, n_classes, DetrPlan(tiny_config(architecture), PixelScaling()))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5 if module.weight.any() else 0.02)
    measure_statistics_inplace_(network)
    return network.eval()


@torch.no_grad()
def measure_statistics_inplace_(network: TransformersDetr) -> None:
    """Set the statistics of every BatchNorm to those of noise, layer by layer."""

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        (x,) = inputs
        norm.running_mean.copy_(x.mean(dim=(0, 2, 3)))  # type: ignore[operator, union-attr]
        norm.running_var.copy_(x.var(dim=(0, 2, 3), correction=0))  # type: ignore[operator, union-attr]

    norms = [module for module in network.modules() if hasattr(module, "running_var")]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    network(torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 255)
    for hook in hooks:
        hook.remove()


def write_folder(path: Path, architecture: str, labels: LabelMap, *, size_wh: SizeWH = (64, 64), **pixels: Any) -> Any:
    """Save a model as the transformers library does, and return the library's model."""
    transformers = importlib.import_module("transformers")
    config_class = getattr(transformers, MODEL_CLASSES[architecture].replace("ForObjectDetection", "Config"))
    config = config_class(**tiny_config(architecture), id2label=dict(enumerate(labels)))
    model = getattr(transformers, MODEL_CLASSES[architecture])(config).eval()
    model.model.load_state_dict(tiny_network(architecture, len(labels)).detr.state_dict(), strict=False)
    model.save_pretrained(path)
    scaling = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": False, **pixels}
    size = {"width": size_wh[0], "height": size_wh[1]}
    (path / "preprocessor_config.json").write_text(json.dumps({"size": size, **scaling}), encoding="utf-8")
    return model
