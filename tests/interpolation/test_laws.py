"""Laws of blending, for every mechanism alone and together, on a random model with open gates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import A, B

from gradtts_interp.errors import InputError
from gradtts_interp.interpolation import shares

TEXT = "Go."
MIXED = ("prior", "prosody", "attention")
MECHANISMS = [("prior",), ("prosody",), ("attention",), ("score",), MIXED, (*MIXED, "score")]
OWN = shares.dimensions(shares.ramp(0.2, 0.8), pitch=0.3, energy=0.9, timbre=shares.bands(0.0, 1000.0))
EVEN, RAMP, BANDS = shares.constant(0.5), shares.ramp(0.2, 0.8), shares.bands(0.0, 1000.0)
BLENDS = [*((share, mechanisms) for share in (EVEN, RAMP, BANDS) for mechanisms in MECHANISMS), (OWN, None)]
each_mechanism = pytest.mark.parametrize("mechanisms", MECHANISMS, ids="+".join)
each_blend = pytest.mark.parametrize(("share", "mechanisms"), BLENDS, ids=lambda value: getattr(value, "name", None))


def render(pipeline, a, b=None, share=None, text=TEXT, **options):
    options = {"num_inference_steps": 2, "seed": 3, **options}
    if not isinstance(text, str):
        options["callback_on_step_end"] = lambda *_: None  # one padded batch, on a CPU as well
    return pipeline(text, a, b, share=share, **options)


def assert_same(one, other):
    assert np.array_equal(one.durations, other.durations)
    np.testing.assert_allclose(one.mel, other.mel, atol=5e-5, rtol=0)  # nepers: rounding of sums in another order


@pytest.fixture(scope="module")
def plain(tiny_pipeline):
    return {"a": render(tiny_pipeline, A), "b": render(tiny_pipeline, B)}


@each_blend
def test_blend_of_a_style_with_itself_is_that_style(tiny_pipeline, plain, mechanisms, share):
    assert_same(render(tiny_pipeline, A, A, share, mechanisms=mechanisms), plain["a"])


@each_mechanism
@pytest.mark.parametrize(("weight", "name"), [(0.0, "a"), (1.0, "b")])
def test_ends_are_the_single_styles(tiny_pipeline, plain, mechanisms, weight, name):
    assert_same(render(tiny_pipeline, A, B, shares.constant(weight), mechanisms=mechanisms), plain[name])


@pytest.mark.parametrize("mechanisms", [("score",), ("prior", "prosody", "attention")], ids="+".join)
@pytest.mark.parametrize(("weight", "style"), [(0.0, A), (1.0, B)])
def test_ends_hold_under_guidance(tiny_pipeline, mechanisms, weight, style):
    blend = render(tiny_pipeline, A, B, shares.constant(weight), mechanisms=mechanisms, guidance=0.5)
    assert_same(blend, render(tiny_pipeline, style, guidance=0.5))


@each_blend
def test_swapping_styles_and_complementing_changes_nothing_nor_does_the_order_of_mechanisms(
    tiny_pipeline, mechanisms, share
):
    one = render(tiny_pipeline, A, B, share, mechanisms=mechanisms)
    assert_same(one, render(tiny_pipeline, B, A, ~share, mechanisms=mechanisms and mechanisms[::-1]))


BATCHES = {
    "one style": {},
    "guided": {"guidance": 1.0},
    **{"+".join(m): {"b": B, "share": RAMP, "mechanisms": m} for m in MECHANISMS},
    "by pitch": {"b": B, "share": shares.pitch()},
    "ties": {"b": B, "share": shares.words({0: 1.0}), "mechanisms": ("attention",)},
    "own shares": {"b": B, "share": OWN},
}


@pytest.mark.parametrize("options", BATCHES.values(), ids=BATCHES)
def test_a_batch_equals_its_lines(tiny_pipeline, options):
    lines = ["Go there now.", "A calm day."]
    batch = render(tiny_pipeline, A, text=lines, **options)
    assert len({len(speech.durations) for speech in batch}) == len(lines)
    for line, speech in zip(lines, batch, strict=True):
        alone = render(tiny_pipeline, A, text=line, **options)
        assert_same(speech, alone)
        np.testing.assert_allclose(speech.audio, alone.audio, atol=1e-5, rtol=0)
        assert np.array_equal(speech.noise, alone.noise) and np.array_equal(speech.share, alone.share)


@pytest.mark.parametrize("mechanisms", [None, ("prior", "score"), ("attention",)])
def test_the_complement_of_pitch_is_pitch_with_the_styles_exchanged(tiny_pipeline, mechanisms):
    one = render(tiny_pipeline, A, B, ~shares.pitch(), mechanisms=mechanisms)
    other = render(tiny_pipeline, B, A, shares.pitch(), mechanisms=mechanisms)
    assert_same(one, other)
    np.testing.assert_allclose(one.share, 1 - other.share)
    assert one.settings["styles"] == [A.name, B.name] and one.settings["share"] == "~pitch(1,1)"


@pytest.mark.parametrize("mechanisms", [(), *MECHANISMS], ids="+".join)
def test_each_mechanism_moves_an_uneven_blend(tiny_pipeline, plain, mechanisms):
    durations = [plain["a"].durations.tolist()]
    ends = [render(tiny_pipeline, style, durations=durations).mel for style in (A, B)]
    blend = render(tiny_pipeline, A, B, shares.constant(0.3), mechanisms=mechanisms, durations=durations).mel
    moved = [np.abs(blend - end).max() for end in ends]
    assert min(moved) > 1e-3 if mechanisms else moved[0] < 1e-5  # of nothing that blends, the dominant style alone


def test_inputs_are_left_as_they_are(tiny_pipeline):
    before = [a.copy() for s in (A, B) for a in (s.mel, s.emotion, s.prosody, s.contour.f0_hz, s.contour.voiced)]
    weights = {k: v.clone() for k, v in tiny_pipeline.model.state_dict().items()}
    render(tiny_pipeline, A, B, shares.pitch())
    render(tiny_pipeline, A, B, shares.ramp(), mechanisms=("score",), output_attention=True)
    after = [a for s in (A, B) for a in (s.mel, s.emotion, s.prosody, s.contour.f0_hz, s.contour.voiced)]
    assert all(np.array_equal(x, y) for x, y in zip(before, after, strict=True))
    assert all(torch.equal(v, weights[k]) for k, v in tiny_pipeline.model.state_dict().items())


# -- a share for each dimension -------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0, 1.2])
def test_equal_shares_of_all_dimensions_are_that_share(tiny_pipeline, plain, weight):
    each = shares.dimensions(timbre=weight, pitch=weight, energy=weight, rate=weight)
    durations = [plain["a"].durations.tolist()]
    both = (render(tiny_pipeline, A, B, share, durations=durations) for share in (each, shares.constant(weight)))
    assert_same(*both)


@pytest.mark.parametrize("dimension", ["timbre", "pitch", "energy", "rate"])
def test_each_dimension_moves_by_itself(tiny_pipeline, plain, dimension):
    moved = render(tiny_pipeline, A, B, shares.dimensions(**{dimension: 1.0}))
    if dimension == "rate":
        assert np.array_equal(moved.durations, plain["b"].durations)
    else:
        assert np.array_equal(moved.durations, plain["a"].durations)
        assert np.abs(moved.mel - plain["a"].mel).max() > 1e-3
    assert [name for name, plane in moved.shares.planes.items() if plane.any()] == [dimension]


def test_pitch_energy_and_rate_are_moved_by_prosody(tiny_pipeline):
    with pytest.raises(InputError, match="expected mechanism 'prosody', by which pitch, energy and rate move"):
        render(tiny_pipeline, A, B, OWN, mechanisms=("prior", "attention"))
