"""Matching and loss of SSDLite on an input of 32x32, where every overlap can be worked out by hand.

The first map has four cells, (24, 24), (8, 24), (24, 8) and (8, 8), each with three anchors: 30 x 30, 85 x 42 and
42 x 85; the other five maps have one cell in the middle with six larger anchors each. Outputs of zero are the anchors
themselves, and one half for every class. The loss is 5 times that of the boxes and 3 times that of the classes.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from edge_autotuner.models.ssdlite_anchors import Anchors, decode_boxes
from edge_autotuner.training import Assignment, Target, match_anchors, ssdlite_loss

ANCHORS = Anchors.of_input(32, 32)
N = 4 * 3 + 5 * 6
LN2 = math.log(2)
WIDE, HIGH = 60 * math.sqrt(2), 60 / math.sqrt(2)

Box = tuple[float, float, float, float]


def around(x: float, y: float, width: float, height: float) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def target(*boxes: Box, class_ids: tuple[int, ...] = (), known: bool = True) -> Target:
    ids = class_ids or (0,) * len(boxes)
    return Target(torch.tensor(boxes).reshape(-1, 4), torch.tensor(ids, dtype=torch.int64), torch.full((N,), known))


def zeros() -> Tensor:
    return torch.zeros(1, N, 4 + 2)


def matched(labels: Target, outputs: Tensor | None = None) -> Assignment:
    boxes = decode_boxes(zeros() if outputs is None else outputs, ANCHORS.centres, ANCHORS.sizes)[0]
    return match_anchors(boxes, ANCHORS, labels)


def test_the_anchor_itself_is_matched_alone() -> None:
    # its neighbours overlap by 14 x 30 of 1800 - 420: 0.30, the wide one of its cell by 900 of 3600: 0.25
    result = matched(target(around(8, 8, 30, 30)))
    assert (result.cells.tolist(), result.objects.tolist(), result.ious.tolist()) == ([9], [0], [pytest.approx(1)])


def test_every_anchor_that_overlaps_by_half_is_matched() -> None:
    # the same anchor one cell to the left overlaps by (85 - 16) / (85 + 16) = 0.68, one cell up by 26 / 58 = 0.45
    result = matched(target(around(24, 24, WIDE, HIGH)))
    assert (result.cells.tolist(), result.objects.tolist()) == ([1, 4], [0, 0])
    assert result.ious.tolist() == pytest.approx([1, (WIDE - 16) / (WIDE + 16)])


def test_an_object_that_fits_no_anchor_gets_the_best_one() -> None:
    # 13 x 13 in 30 x 30: 0.19
    result = matched(target(around(24, 8, 13, 13)))
    assert (result.cells.tolist(), result.ious.tolist()) == ([6], [pytest.approx(169 / 900)])


def test_an_anchor_that_is_the_best_of_two_objects_goes_to_the_later_one() -> None:
    # the anchor of cell (8, 8) overlaps them by 26 / 34 and 25 / 35
    near, further = around(12, 8, 30, 30), around(8, 13, 30, 30)
    result = matched(target(near, further))
    assert (result.cells.tolist(), result.objects.tolist()) == ([9], [1])


def test_an_anchor_that_overlaps_two_objects_by_half_goes_to_the_one_that_it_overlaps_more() -> None:
    # cell (8, 8) overlaps the first by 26 / 34; the second by 20 / 40, which also fits cell (8, 24) better: 24 / 36
    first, second = around(8, 4, 30, 30), around(8, 18, 30, 30)
    result = matched(target(first, second))
    assert (result.cells.tolist(), result.objects.tolist()) == ([3, 9], [1, 0])
    assert result.ious.tolist() == pytest.approx([24 / 36, 26 / 34])


def test_what_the_network_says_changes_the_overlaps_and_not_the_match() -> None:
    outputs = zeros()
    outputs[0, 9, 0] = 5.0  # half an anchor to the right
    result = matched(target(around(8, 8, 30, 30)), outputs)
    assert (result.cells.tolist(), result.ious.tolist()) == ([9], [pytest.approx(15 / 45)])


def test_no_objects_and_objects_outside_claim_nothing() -> None:
    far_away = around(5000, 5000, 20, 20)
    assert matched(target()).cells.tolist() == []
    assert matched(target(far_away)).cells.tolist() == []
    beside_a_real_one = matched(target(far_away, around(8, 8, 30, 30)))
    assert (beside_a_real_one.cells.tolist(), beside_a_real_one.objects.tolist()) == ([9], [1])


def test_the_loss_of_an_object_that_is_predicted_exactly() -> None:
    parts = ssdlite_loss(zeros(), ANCHORS, [target(around(8, 8, 30, 30))])
    assert parts.n_positive == 1
    assert parts.box.item() == pytest.approx(0, abs=1e-6)
    assert parts.classes.item() == pytest.approx(3 * 2 * N * LN2 / 4)  # one half is wrong by a half everywhere
    assert (parts.objectness.item(), parts.distillation.item()) == (0, 0)
    assert parts.total.item() == pytest.approx(parts.classes.item(), abs=1e-5)


def test_the_class_score_shall_be_the_overlap() -> None:
    parts = ssdlite_loss(zeros(), ANCHORS, [target(around(24, 24, 20, 20), class_ids=(1,))])
    iou = 400 / 900
    assert parts.box.item() == pytest.approx(5 * (1 - iou**2))
    # cross entropy at one half is ln 2 whatever is wanted; its weight is the squared distance
    assert parts.classes.item() == pytest.approx(3 * LN2 * ((2 * N - 1) / 4 + (0.5 - iou) ** 2))


def test_only_matched_anchors_count_where_nothing_is_known() -> None:
    parts = ssdlite_loss(zeros(), ANCHORS, [target(around(8, 8, 30, 30), known=False)])
    assert parts.classes.item() == pytest.approx(3 * 2 * LN2 / 4)


def test_the_loss_is_divided_by_the_positive_anchors_of_the_batch() -> None:
    labels = target(around(24, 24, 20, 20))
    one, two = (ssdlite_loss(torch.cat([zeros()] * n), ANCHORS, [labels] * n) for n in (1, 2))
    assert two.n_positive == 2
    assert two.total.item() == pytest.approx(one.total.item())


def test_distillation_is_the_distance_to_the_reference_at_unknown_anchors() -> None:
    reference = zeros()
    reference[..., 4:] = 100.0  # sure of both classes
    labels = target(known=False)
    labels.is_known[:10] = True
    parts = ssdlite_loss(zeros(), ANCHORS, [labels], reference=reference, distill_weight=3.0)
    assert parts.distillation.item() == pytest.approx(3 * (N - 10) * 2 * LN2 / 4)
    same = ssdlite_loss(zeros(), ANCHORS, [labels], reference=zeros(), distill_weight=3.0)
    assert same.distillation.item() == 0
