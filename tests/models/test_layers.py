"""Layers that are quick on a CPU say what torch's own say, and learn as they do."""

import pytest
import torch
from einops import rearrange
from torch import nn
from torch.nn import functional

from gradtts_interp.models import estimator, layers
from gradtts_interp.models.estimator import LinearAttention, RegionGroupNorm
from gradtts_interp.models.layers import Linear, Mish


@pytest.mark.parametrize("shape", [(7, 12), (1, 5, 12), (2, 3, 4, 12), (0, 12)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_is_torchs(shape, bias):
    layer, x = Linear(12, 9, bias=bias), torch.randn(shape)
    with torch.no_grad():
        found = layer(x)
    torch.testing.assert_close(found, functional.linear(x, layer.weight, layer.bias), atol=1e-5, rtol=1e-5)


def test_a_linear_layer_learns_and_follows_autocast():
    layer, x = Linear(12, 9), torch.randn(4, 12)
    layer(x).sum().backward()
    torch.testing.assert_close(layer.weight.grad, x.sum(0).expand(9, -1))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-7), (torch.bfloat16, 4e-3)])
def test_mish_is_torchs_from_end_to_end_and_learns_as_it_does(dtype, tolerance):
    x = torch.linspace(-100, 100, 20001).to(dtype)
    gradient, answers, slopes = torch.randn(len(x)).to(dtype), [], []
    for mish in (Mish(), functional.mish):
        given = x.clone().requires_grad_()
        answers.append(mish(given))
        answers[-1].backward(gradient)
        assert torch.equal(given, x)
        slopes.append(given.grad)
    exact = x.double().requires_grad_()
    answer = functional.mish(exact)
    answer.backward(gradient.double())
    torch.testing.assert_close(answers[0].double(), answer, atol=1e-30, rtol=tolerance)
    ours, torchs = ((slope.double() - exact.grad).abs().max() for slope in slopes)
    assert answers[0].dtype == slopes[0].dtype == dtype and ours <= max(torchs, 1e-6)


@pytest.mark.parametrize("queries", [1, layers.QUERIES_AT_ONCE + 5])
def test_attention_in_bf16_is_as_exact_as_torchs(queries):
    q, k, v = (torch.randn(2, 3, n, 8, requires_grad=True) for n in (queries, 11, 11))
    bias = torch.randn(2, 1, 1, 11).masked_fill(torch.arange(11) > 8, -1e4)
    exact = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    gradient = torch.randn_like(exact)
    exact_slopes = torch.autograd.grad(exact, (q, k, v), gradient)
    found = layers.attend(*(x.bfloat16() for x in (q, k, v)), bias.bfloat16())
    torch.testing.assert_close(found.float(), exact, atol=0.05, rtol=0)
    for slope, right in zip(torch.autograd.grad(found, (q, k, v), gradient.bfloat16()), exact_slopes, strict=True):
        assert (slope - right).norm() < 0.02 * right.norm()
    assert torch.equal(layers.attend(q, k, v, bias), exact)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("lengths", [None, [6, 4]])
def test_self_attention_is_that_of_grad_tts(lengths, order):
    layer, x = LinearAttention(16), torch.randn(2, 16, 4, 6).contiguous(memory_format=order).requires_grad_()
    region = None if lengths is None else (torch.arange(6) < torch.tensor(lengths)[:, None])[:, None, None].float()
    q, k, v = rearrange(layer.to_qkv(x), "b (qkv h c) f t -> qkv b h c (f t)", qkv=3, h=4)
    if region is not None:
        k = k + (1 - region.expand(-1, -1, 4, -1).flatten(2))[:, :, None] * -1e9
    context = torch.einsum("bhdn,bhen->bhde", k.softmax(dim=-1), v)
    out = rearrange(torch.einsum("bhde,bhdn->bhen", context, q), "b h c (f t) -> b (h c) f t", f=4)
    expected, found, gradient = layer.to_out(out), layer(x, region), torch.randn_like(x)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert found.is_contiguous(memory_format=order)
    learnt = (x, *layer.parameters())
    for ours, right in zip(*(torch.autograd.grad(y, learnt, gradient) for y in (found, expected)), strict=True):
        torch.testing.assert_close(ours, right, atol=1e-4, rtol=1e-4)


def test_a_mask_that_hides_nothing_is_left_out():
    mask = torch.ones(1, 1, 4)
    assert layers.unless_whole(None) is None and layers.unless_whole(mask) is None
    mask[..., -1] = 0
    assert layers.unless_whole(mask) is mask
    meta = torch.ones(4, device="meta")
    assert layers.unless_whole(meta) is meta
    x = torch.randn(2, 3, 4).bfloat16()
    assert layers.masked(x, None) is x and torch.equal(layers.masked(x, mask), x * mask.bfloat16())


def test_layers_are_torchs_where_a_graph_is_traced(monkeypatch):
    network = nn.Sequential(Linear(4, 4), Mish())
    with torch.no_grad():
        traced = torch.jit.trace(network, torch.randn(2, 4))
    assert "mkldnn" not in str(traced.inlined_graph) and "aten::mish" in str(traced.inlined_graph)


def test_a_norm_over_regions_is_the_same_by_either_way(monkeypatch):
    norm, x = RegionGroupNorm(2, 6), torch.randn(3, 6, 4, 10)
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    region = (torch.arange(10) < torch.tensor([10, 7, 1])[:, None])[:, None, None].float()
    with torch.no_grad():
        quick = norm(x, region)
        monkeypatch.setattr(estimator, "eager_on_cpu", lambda _: False)
        torch.testing.assert_close(quick, norm(x, region) * region, atol=1e-5, rtol=1e-5)
