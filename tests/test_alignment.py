"""Alignment: official paths and durations, and what must hold for any input."""

import logging
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from refusing import refused

from gradtts_interp import alignment
from gradtts_interp.alignment import durations_from_log, expand, fix_length, maximum_path, sequence_mask


def pair_mask(tokens: list[int], frames: list[int]) -> torch.Tensor:
    """Mask (B, L, T) of valid (token, frame) pairs."""
    rows, columns = sequence_mask(torch.tensor(tokens)), sequence_mask(torch.tensor(frames))
    return (rows.unsqueeze(2) & columns.unsqueeze(1)).float()


def path_of(durations: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """1 where frame t belongs to token l, (B, L, T)."""
    before_end = (torch.arange(mask.shape[2]) < durations.cumsum(1).unsqueeze(2)).float()
    return before_end.diff(dim=1, prepend=torch.zeros_like(before_end[:, :1])) * mask


def official_durations(logw: torch.Tensor, mask: torch.Tensor, length_scale: float) -> torch.Tensor:
    """Frames of each token as the path of the official inference lays them."""
    scaled = torch.ceil(torch.exp(logw) * mask) * length_scale
    frames = torch.clamp_min(torch.sum(scaled, [1, 2]), 1).long()
    both = mask.transpose(1, 2) * sequence_mask(frames, max_length=fix_length(int(frames.max()), 4)).unsqueeze(1)
    return path_of(scaled.squeeze(1), both).sum(2).long()


def test_maximum_path_equals_official(golden):
    golden = golden.tensors
    path = maximum_path(golden["mas_value"], golden["mas_mask"])
    assert path.dtype == golden["mas_value"].dtype
    assert torch.equal(path, golden["mas_path"].to(path.dtype))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 12)), min_size=1, max_size=3), st.integers(0, 99))
def test_maximum_path_is_monotonic_and_complete(sizes, seed):
    tokens = [n for n, _ in sizes]
    frames = [n + more for n, more in sizes]
    mask = pair_mask(tokens, frames)
    value = torch.randn(mask.shape, generator=torch.Generator().manual_seed(seed)) + 50 * (1 - mask)
    given = value.clone()
    path = maximum_path(value, mask)
    assert torch.equal(path.sum(1), mask[:, 0]) and torch.equal(value, given)
    for i, (n, t) in enumerate(zip(tokens, frames, strict=True)):
        steps = path[i, :, :t].argmax(0).diff()
        assert path[i, 0, 0] == 1 and path[i, n - 1, t - 1] == 1
        assert set(steps.tolist()) <= {0, 1}


def test_maximum_path_refuses_more_tokens_than_frames():
    refused(
        maximum_path,
        (torch.zeros(1, 2, 3), torch.zeros(1, 2, 4), r"got \(1, 2, 3\) and \(1, 2, 4\)"),
        (torch.zeros(2, 5, 8), pair_mask([5, 5], [8, 3]), "item 1 has 5 tokens but only 3 frames"),
    )


@pytest.mark.parametrize("error", [RuntimeError("no locator available"), OSError("disk full")])
def test_search_compiles_where_nothing_can_be_cached(monkeypatch, caplog, error):
    import numba

    compile_search = numba.njit

    def refuse_cache(*args, cache=False, **kwargs):
        if cache:
            raise error
        return compile_search(*args, **kwargs)

    monkeypatch.setattr(numba, "njit", refuse_cache)
    with caplog.at_level(logging.WARNING):
        search = alignment._compiled_search.__wrapped__()
    path = np.zeros((2, 3), dtype=np.float32)
    search(np.array([[1, 1, 0], [0, 0, 1]], dtype=np.float32), 2, 3, path)
    assert path.tolist() == [[1, 1, 0], [0, 0, 1]]
    assert str(error) in caplog.text


@pytest.mark.parametrize("length_scale", [0.3, 0.91, 1.0, 1.7])
def test_ceil_durations_equal_the_official_path(length_scale):
    torch.manual_seed(0)
    logw, mask = torch.randn(4, 1, 40), sequence_mask(torch.tensor([40, 1, 17, 33])).unsqueeze(1).float()
    durations = durations_from_log(logw * mask, mask, length_scale=length_scale)
    assert durations.dtype == torch.int64
    assert torch.equal(durations, official_durations(logw * mask, mask, length_scale))


def test_round_durations():
    logw = torch.log(torch.tensor([[[2.4, 2.6, 0.01, 5.0]]]))
    mask = torch.tensor([[[1.0, 1.0, 1.0, 0.0]]])
    assert durations_from_log(logw, mask, rounding="round").tolist() == [[2, 3, 1, 0]]
    assert durations_from_log(logw, mask, length_scale=2.0, rounding="round").tolist() == [[5, 5, 1, 0]]


def test_durations_and_their_scale_are_finite():
    refused(
        lambda logw, scale: durations_from_log(torch.full((1, 1, 2), logw), torch.ones(1, 1, 2), length_scale=scale),
        *((0.0, scale, "length_scale: expected a finite number above 0, got") for scale in (0.0, math.nan, math.inf)),
        (math.nan, 1.0, "durations are not finite"),
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), min_size=1, max_size=3), st.integers(0, 3))
def test_expand_equals_the_path(rows, more):
    durations = torch.tensor(rows)
    frames = int(durations.sum(1).max()) + more
    values = torch.randn(len(rows), 3, 4)
    expected = values @ path_of(durations, torch.ones(len(rows), 4, frames))
    assert torch.equal(expand(values, durations, frames=frames), expected)


def test_expand_finds_the_number_of_frames_and_passes_gradient():
    values = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]], requires_grad=True)
    frames = expand(values, torch.tensor([[2, 1], [1, 0]]))
    assert frames.tolist() == [[[1, 1, 2]], [[3, 0, 0]]]
    frames.sum().backward()
    assert values.grad.tolist() == [[[2, 1]], [[1, 0]]]
