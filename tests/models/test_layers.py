"""Layers that are quick on a CPU say what torch's own say, and learn as they do."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gradtts_interp.models import blocks, layers
from gradtts_interp.models.blocks import RegionGroupNorm
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mish_is_torchs_from_end_to_end(dtype):
    x = torch.linspace(-100, 100, 20001).to(dtype)
    with torch.no_grad():
        found = Mish()(x)
    exact = functional.mish(x.double())
    assert found.dtype == dtype
    torch.testing.assert_close(
        found.double(), exact, atol=1e-30, rtol={torch.float32: 3e-7, torch.bfloat16: 4e-3}[dtype]
    )


def test_mish_learns_and_leaves_its_argument():
    x = torch.randn(50, requires_grad=True)
    Mish()(x).sum().backward()
    expected = x.detach().clone().requires_grad_()
    functional.mish(expected).sum().backward()
    torch.testing.assert_close(x.grad, expected.grad)
    before = x.detach().clone()
    with torch.no_grad():
        Mish()(x)
    assert torch.equal(x, before)


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
        monkeypatch.setattr(blocks, "eager_on_cpu", lambda _: False)
        torch.testing.assert_close(quick, norm(x, region) * region, atol=1e-5, rtol=1e-5)


def test_only_a_cpu_that_learns_nothing_is_quick():
    assert not layers.eager_on_cpu(torch.zeros(1))
    with torch.no_grad():
        assert layers.eager_on_cpu(torch.zeros(1)) and not layers.eager_on_cpu(torch.zeros(1, device="meta"))
