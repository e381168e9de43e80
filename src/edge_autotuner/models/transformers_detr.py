"""RT-DETR v2 and D-FINE of the transformers library as networks that can be trained.

The layers are the library's; this module splits them where the layer modes begin, scales our pixels, and collects the
predictions of every decoder layer.

Sources: Lv et al., RT-DETRv2, arXiv 2407.17140; Zhao et al., RT-DETR, arXiv 2304.08069 (hybrid encoder, query
selection); Peng et al., D-FINE, arXiv 2410.13842.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_autotuner.core.json_fields import Fields, parse_json
from edge_autotuner.core.labels import LabelMap
from edge_autotuner.core.types import SizeWH
from edge_autotuner.errors import ConfigError
from edge_autotuner.models.detector_spec import DetectorSpec, Resize
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.models.transformers_folder import DETR_NMS_IOU, PixelScaling
from edge_autotuner.models.transformers_library import build_detr, library_version

_DESCRIPTION = "transformers"
_BELOW_BOX = ("backbone.", "encoder_input_proj.", "encoder.")
_CLASS_LAYERS = ("enc_score_head.", "decoder.class_embed.")


@dataclass(frozen=True)
class DetrPlan:
    """Configuration of a network, besides the number of its classes.

    Attributes:
        config: content of the model's `config.json`.
        pixels: scaling of pixels.
    """

    config: Mapping[str, Any]
    pixels: PixelScaling

    def to_metadata(self) -> dict[str, str]:
        """Return metadata for a weights file."""
        described = {"version": library_version(), "config": dict(self.config), "pixels": asdict(self.pixels)}
        return {_DESCRIPTION: json.dumps(described, sort_keys=True)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> DetrPlan:
        """Parse the metadata of `to_metadata`.

        Raises:
            ValueError: it is missing or damaged.
        """
        if _DESCRIPTION not in metadata:
            raise ValueError("the file does not describe its layers; use the model's original folder")
        try:
            described = Fields(parse_json(metadata[_DESCRIPTION]), "")
            pixels = described.inner("pixels")
            mean, std = ((r, g, b) for r, g, b in (pixels.numbers("mean", 3), pixels.numbers("std", 3)))
            return cls(dict(described.inner("config").values), PixelScaling(pixels.number("factor"), mean, std))
        except ValueError as exc:
            raise ValueError(f"the description of its layers is damaged ({exc})") from exc


class TransformersDetr(TrainableNetwork):
    """Backbone, hybrid encoder and decoder.

    Input is (B, 3, H, W) float, BGR, 0-255; frames are stretched to it. The output is (B, N, L * (4 + C)): one row per
    query, the best-scored query first as the encoder sees it. A row holds the answers of the L stages, the encoder's
    own proposal first and the last decoder layer last; each answer is a box (centre, width and height, in shares of
    the input) and class logits. There is no background class.

    Queries follow the content of the picture: row i of two pictures is unrelated.

    BatchNorm keeps its initial statistics, factors and offsets and is not trained. Dropout is off, and denoising
    queries for the library's own loss are left out. Positions are computed for the actual input, even if a
    configuration fixes them for one size.
    """

    resize: ClassVar[Resize] = "stretch"
    size_step_px: ClassVar[int] = 32
    has_fixed_places: ClassVar[bool] = False

    def __init__(self, architecture: str, n_classes: int, plan: DetrPlan) -> None:
        """Build a network with random weights.

        Raises:
            WeightsError: the library cannot build what the plan says.
            MissingDependency: the transformers library is not installed.
        """
        super().__init__(architecture, n_classes)
        self.plan = plan
        self.detr = build_detr(architecture, plan.config, n_classes)
        _freeze_batch_norm_inplace_(self.detr)
        _freeze_constants_inplace_(self.detr)
        std = torch.tensor(plan.pixels.std)[:, None, None]
        self.register_buffer("_factor", plan.pixels.factor / std, persistent=False)
        self.register_buffer("_offset", torch.tensor(plan.pixels.mean)[:, None, None] / std, persistent=False)
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Store the mode, which changes no layer."""
        super().train(mode)
        self.detr.eval()
        # D-FINE's decoder returns all its layers only in training mode
        self.detr.decoder.training = True  # type: ignore[union-attr]
        return self

    def features_before(self, images: Tensor, layers: str) -> tuple[Tensor, ...]:
        """Return the encoder's maps for "box", the backbone's for "top"."""
        if layers == "all":
            return (images,)
        maps = self._backbone_maps(images)
        return maps if layers == "top" else self._encoded(maps)

    def outputs_of(self, features: tuple[Tensor, ...], layers: str) -> Tensor:
        """Return (B, N, L * (4 + C)): boxes and class logits of all stages."""
        stages = self._stages(features, layers)
        return torch.cat([part for boxes_and_logits in stages for part in boxes_and_logits], dim=2)

    def last_answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, N, 4) boxes and (B, N, C) logits of the last decoder layer."""
        return self._stages((images,), "all")[-1]

    def _stages(self, features: tuple[Tensor, ...], layers: str) -> list[tuple[Tensor, Tensor]]:
        if layers == "all":
            features = self._backbone_maps(*features)
        if layers != "box":
            features = self._encoded(features)
        # in bfloat16, a box would be wrong by up to half a hundredth of the picture
        with torch.autocast(features[0].device.type, enabled=False):
            maps = tuple(x.to(cast(Tensor, self._factor).dtype) for x in features)
            # with the encoder's maps at hand, `inputs_embeds` only tells batch size and device
            found = self.detr(pixel_values=None, inputs_embeds=maps[0], encoder_outputs=(maps,))
        boxes, logits = found.intermediate_reference_points, found.intermediate_logits  # (B, L - 1, N, ...)
        return [(found.enc_topk_bboxes, found.enc_topk_logits), *zip(boxes.unbind(1), logits.unbind(1), strict=True)]

    def _backbone_maps(self, images: Tensor) -> tuple[Tensor, ...]:
        pixels = images.flip(1) * cast(Tensor, self._factor) - cast(Tensor, self._offset)  # RGB
        return tuple(self.detr.backbone.model(pixels).feature_maps)  # type: ignore[union-attr, operator]

    def _encoded(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        projections = cast(nn.ModuleList, self.detr.encoder_input_proj)
        projected = [project(x) for project, x in zip(projections, maps, strict=True)]
        return tuple(self.detr.encoder(inputs_embeds=projected).last_hidden_state)  # type: ignore[operator]

    def box_parameters(self) -> list[nn.Parameter]:
        """Query selection, decoder and heads."""
        return [parameter for name, parameter in self.detr.named_parameters() if not name.startswith(_BELOW_BOX)]

    def top_parameters(self) -> list[nn.Parameter]:
        """All but the backbone."""
        return [parameter for name, parameter in self.detr.named_parameters() if not name.startswith(_BELOW_BOX[0])]

    def decoded(self, input_size_wh: SizeWH) -> DecodedDetr:
        """Return the network with decoding."""
        return DecodedDetr(self, input_size_wh)

    def state_of_classes(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return the weights for some of the classes: their rows of every layer that scores classes."""
        return {
            name: tensor[list(rows)] if name.removeprefix("detr.").startswith(_CLASS_LAYERS) else tensor
            for name, tensor in self.state_dict().items()
        }

    def check_input_size(self, size_wh: SizeWH, setting: str) -> None:
        """Check that an input size has at least as many grid cells as the network has queries.

        Raises:
            ConfigError: the network does not accept it.
        """
        super().check_input_size(size_wh, setting)
        width, height = size_wh
        config: Any = self.detr.config
        n_places = sum((width // stride) * (height // stride) for stride in config.feat_strides)
        if n_places < config.num_queries:
            raise ConfigError(
                f"{setting}: {width}x{height} has {n_places} positions, fewer than the {config.num_queries} queries "
                f"of {self.architecture}; use a larger input"
            )

    def of_classes(self, n_classes: int) -> Self:
        """Return a network of the same layers for another number of classes."""
        return type(self)(self.architecture, n_classes, self.plan)

    def description(self) -> dict[str, str]:
        """Return metadata with layers and scaling of pixels."""
        return self.plan.to_metadata()

    def detector_spec(self, name: str, labels: LabelMap, input_size_wh: SizeWH) -> DetectorSpec:
        """Return pre- and post-processing of the exported network."""
        return DetectorSpec(name, labels, input_size_wh, self.resize, "bgr", "boxes_scores", nms_iou=DETR_NMS_IOU)


class DecodedDetr(nn.Module):
    """The network with decoding, for export.

    Returns corners (B, N, 4) in input pixels and scores (B, N, C). The library's own `post_process_object_detection`
    takes the N best pairs of a query and a class, so that one box may come back with several classes; here every
    query keeps its scores, and the detector takes the best class of each.
    """

    def __init__(self, network: TransformersDetr, input_size_wh: SizeWH) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("size_xyxy", torch.tensor([*input_size_wh, *input_size_wh]).float(), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and scores."""
        boxes, logits = self.network.last_answers(images)
        return corners_of(boxes) * cast(Tensor, self.size_xyxy), logits.sigmoid()


def corners_of(boxes_cxcywh: Tensor) -> Tensor:
    """Return (..., 4) corners of (..., 4) boxes given by centre, width and height."""
    centres, halves = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] / 2
    return torch.cat((centres - halves, centres + halves), dim=-1)


class FrozenBatchNorm(nn.Module):
    """BatchNorm with fixed statistics and without parameters."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.eps = norm.eps
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, getattr(norm, name).detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift each channel."""
        mean, variance = cast(Tensor, self.running_mean), cast(Tensor, self.running_var)
        weight, bias = cast(Tensor, self.weight), cast(Tensor, self.bias)
        return functional.batch_norm(x, mean, variance, weight, bias, training=False, eps=self.eps)


def _freeze_batch_norm_inplace_(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm(child))
        else:
            _freeze_batch_norm_inplace_(child)


def _freeze_constants_inplace_(detr: nn.Module) -> None:
    """Make buffers of parameters that are never trained: D-FINE keeps two constants as such."""
    for module in list(detr.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            if not parameter.requires_grad:
                delattr(module, name)
                module.register_buffer(name, parameter.detach().clone())
