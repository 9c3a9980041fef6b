"""Style attention: processors agree, positions stay, shares and masks hold, shapes come from the site."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from einops import rearrange
from refusing import refused
from tiny import TINY, tiny_model
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from gradtts_interp.config import StyleConfig
from gradtts_interp.models import style_attention
from gradtts_interp.models.style_attention import (
    LOG_ZERO,
    AttentionMapProcessor,
    AttentionMassProcessor,
    StyleAttnProcessor,
    StyleContext,
    StyleCrossAttention,
    context_of,
    join,
    plane_code,
    pool_plane,
)

BATCH, CHANNELS, WIDTH, HEIGHT, FRAMES = 2, 16, 12, 5, 6


def style_tokens(count: int, *, seed: int = 0, hidden: int = 0) -> StyleContext:
    """Random tokens, the last ``hidden`` of them padding."""
    random = torch.Generator().manual_seed(seed)
    weight = torch.ones(BATCH, count)
    weight[:, count - hidden :] = 0
    tokens = torch.randn(BATCH, count, WIDTH, generator=random)
    return context_of(tokens, weight)


def halves() -> torch.Tensor:
    """Style 0 owns the first half of time, style 1 the second; (B, 2, M, T)."""
    second = (torch.arange(12) >= 6).float().expand(BATCH, 1, 10, -1)
    return torch.cat([1 - second, second], dim=1)


@pytest.fixture
def site():
    torch.manual_seed(1)
    site = StyleCrossAttention(CHANNELS, WIDTH, heads=2, cell=2.0).eval()
    torch.nn.init.ones_(site.gate)
    return site


@pytest.fixture
def plane():
    return torch.randn(BATCH, CHANNELS, HEIGHT, FRAMES, generator=torch.Generator().manual_seed(2))


CONTEXTS = {
    "one style": lambda: join([style_tokens(7, hidden=2)]),
    "two styles by keys": lambda: join([style_tokens(3), style_tokens(4, seed=1, hidden=1)]),
    "two styles in halves": lambda: join([style_tokens(3), style_tokens(4, seed=1, hidden=1)], halves()),
    "two styles, even": lambda: join([style_tokens(3), style_tokens(4, seed=1)], torch.full((BATCH, 2, 10, 12), 0.5)),
}
every_context = pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS.keys())
MASK = torch.ones(BATCH, 1, 1, FRAMES)


@every_context
@torch.no_grad()
def test_processors_agree_and_mass_is_the_sum_of_the_map(site, plane, context, monkeypatch):
    context, maps, masses = context(), [], []
    sets = torch.rand(BATCH, context.tokens.shape[1], 3, generator=torch.Generator().manual_seed(3))
    expected = site(plane, MASK, context)
    site.attn.processor = AttentionMapProcessor(lambda weights, *_: maps.append(weights))
    torch.testing.assert_close(site(plane, MASK, context), expected, atol=1e-5, rtol=0)
    site.attn.processor = AttentionMassProcessor(lambda _: sets, masses.append)
    torch.testing.assert_close(site(plane, MASK, context), expected, atol=1e-5, rtol=0)
    assert maps[0].shape == (BATCH, 2, HEIGHT * FRAMES, context.tokens.shape[1])
    torch.testing.assert_close(masses[0], maps[0] @ sets[:, None], atol=1e-5, rtol=0)
    torch.testing.assert_close(maps[0].sum(-1), torch.ones_like(maps[0][..., 0]), atol=1e-5, rtol=0)
    parts = []  # of seven queries
    monkeypatch.setattr(style_attention, "LARGEST_PART", 7 * BATCH * 2 * context.tokens.shape[1])
    site.attn.processor = AttentionMapProcessor(lambda weights, *where: parts.append((weights, *where)))
    torch.testing.assert_close(site(plane, MASK, context), expected, atol=1e-5, rtol=0)
    assert [p[1].start for p in parts] == list(range(0, HEIGHT * FRAMES, 7))
    assert all(positions == HEIGHT * FRAMES and seen is context for _, _, positions, seen in parts)
    torch.testing.assert_close(torch.cat([p[0] for p in parts], dim=2), maps[0], atol=1e-6, rtol=0)


@every_context
@torch.no_grad()
def test_columns_are_the_bias_as_a_product(context):
    context, plane = context(), (HEIGHT, FRAMES)
    queries, keys = context.columns(*plane)
    assert queries.shape[1] == HEIGHT * FRAMES and queries.shape[-1] == keys.shape[-1] == 16
    bias = (queries @ keys.transpose(1, 2)).clamp_min(LOG_ZERO)
    torch.testing.assert_close(bias, context.bias(*plane).expand_as(bias), atol=0, rtol=1e-6)
    of_keys = torch.full((BATCH, 7, 10, 12), 1 / 7)
    assert replace(context, share=of_keys).columns(*plane) is None


@every_context
@torch.no_grad()
def test_in_bf16_a_site_and_its_mass_are_those_of_float32(site, plane, context):
    context, masses = context(), []
    sets = functional.one_hot(context.owner, 2).float()[None].expand(BATCH, -1, -1)
    for processor in (StyleAttnProcessor(), AttentionMassProcessor(lambda _: sets, masses.append)):
        site.attn.processor = processor
        exact = site(plane, MASK, context) - plane
        with torch.autocast("cpu", torch.bfloat16):
            found = site(plane, MASK, context) - plane
        assert (found - exact).norm() < 0.02 * exact.norm()
    torch.testing.assert_close(masses[1].float(), masses[0], atol=0.02, rtol=0)


def test_mass_takes_the_fused_kernel_with_the_same_gradient(site, plane):
    """Torch raises where the one kernel that is left does not fit, as with values wider than the queries."""
    context, masses, gradients = join([style_tokens(3), style_tokens(4, seed=1)], None), [], []
    sets = functional.one_hot(context.owner).float()[None].expand(BATCH, -1, -1)
    site.attn.processor = AttentionMassProcessor(lambda _: sets, masses.append)
    for kernel in (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH):
        read = plane.clone().requires_grad_()
        with sdpa_kernel(kernel):
            site(read, MASK, context)
            gradients.append(torch.autograd.grad(masses[-1][..., 0].square().sum(), read)[0])
    assert gradients[0].norm() > 1e-3
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-4)


@torch.no_grad()
def test_a_change_at_one_position_moves_that_position_alone(site, plane):
    """Wrong: a view for a transpose, by which bins and frames change places."""
    context, changed = join([style_tokens(7)]), plane.clone()
    changed[:, :, 4, 1] += torch.linspace(-1, 1, CHANNELS)
    moved = (site(changed, MASK, context) - site(plane, MASK, context)).abs().amax((0, 1)) > 0
    assert moved.nonzero().tolist() == [[4, 1]]


def test_position_codes_name_bins_and_frames_of_the_mel():
    fine = rearrange(plane_code(8, 12, 1.0, torch.device("cpu")), "(f t) c -> f t c", f=8)
    assert (fine[3, :, :32] == fine[3, :1, :32]).all() and (fine[:, 5, 32:] == fine[:1, 5, 32:]).all()
    assert (fine[3, 0, :32] - fine[4, 0, :32]).abs().max() > 0.1
    coarse = rearrange(plane_code(4, 6, 2.0, torch.device("cpu")), "(f t) c -> f t c", f=4)
    half_way = plane_code(1, 1, 2.0 * 2 * 1.5, torch.device("cpu"))[0, :32]
    torch.testing.assert_close(coarse[1, 0, :32], half_way, atol=1e-5, rtol=0)  # centre of cell 1 is at 3 bins


@torch.no_grad()
def test_a_query_without_keys_adds_nothing(site, plane):
    context = join([style_tokens(3), style_tokens(4, hidden=4)], halves())
    moved = (site(plane, MASK, context) - plane).abs().amax((0, 1, 2))
    assert (moved[:3] > 1e-4).all() and (moved[3:] == 0).all()


@torch.no_grad()
def test_padded_frames_are_left_alone(site, plane):
    mask = MASK.clone()
    mask[..., 4:] = 0
    context = join([style_tokens(7)])
    out = site(plane, mask, context)
    assert torch.equal(out[..., 4:], plane[..., 4:])
    torch.testing.assert_close(out[..., :4], site(plane, MASK, context)[..., :4], atol=0, rtol=0)


def test_processors_are_set_as_in_diffusers():
    model = tiny_model()
    assert list(model.attn_processors) == list(TINY.style.sites)
    one = StyleAttnProcessor()
    model.set_attn_processor(one)
    assert all(p is one for p in model.attn_processors.values())
    each = {name: AttentionMapProcessor(print) for name in model.attn_processors}
    model.set_attn_processor(each)
    assert model.attn_processors == each
    refused(model.set_attn_processor, ({"mid": one}, r"processors for \['mid'\] were given; expected \['down1'"))


@pytest.mark.parametrize("patch", [1, 2])
@torch.no_grad()
def test_shapes_follow_the_site(patch):
    """(64,80,228) (128,40,114) (256,20,57) down and back, with patch 1 and dim 64; here dim 16."""
    places = ("down0", "down1", "down2", "mid", "up0", "up1")
    style = StyleConfig(width=8, heads=2, sites=places)
    estimator = tiny_model(replace(TINY, dec_dim=16, patch=patch, style=style)).decoder.estimator
    seen = {}
    for name, site in estimator.style_attn.items():
        site.register_forward_pre_hook(lambda _, args, name=name: seen.update({name: tuple(args[0].shape[1:])}))
    frames = 228 if patch == 1 else 232
    x = torch.randn(1, 80, frames)
    tokens = context_of(torch.randn(1, 3, 8), torch.ones(1, 3))
    estimator(x, torch.ones(1, 1, frames), x, torch.tensor([0.5]), context=join([tokens]))
    sizes = {"down0": (16, 1), "down1": (32, 2), "down2": (64, 4), "mid": (64, 4), "up0": (32, 4), "up1": (16, 2)}
    assert seen == {n: (c, 80 // (s * patch), frames // (s * patch)) for n, (c, s) in sizes.items()}
    assert {n: s.cell for n, s in estimator.style_attn.items()} == {n: s * patch for n, (_, s) in sizes.items()}


def test_shares_are_pooled_by_area():
    plane = torch.arange(8.0).reshape(1, 1, 2, 4)
    assert pool_plane(plane, 1, 2).flatten().tolist() == [2.5, 4.5]
    assert pool_plane(plane, 2, 4) is plane


def test_contexts_refuse_what_does_not_belong_together():
    refused(join, ([style_tokens(3)], halves(), "2 shares were given for 1 styles"))
