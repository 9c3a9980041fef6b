"""Share recipes: what each draws, how they combine, what they refuse."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from refusing import called, refused

from gradtts_interp.config import MelConfig
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.shares import (
    DIMENSIONS,
    Layout,
    PitchRegion,
    Share,
    parse_bands,
    parse_curve,
    parse_dimensions,
    parse_words,
    partition,
)
from gradtts_interp.pitch.masks import BANDS_HZ, band_mask, filter_centres_hz

MEL = MelConfig()
FRAMES = 20
LAYOUT = Layout(
    frames=FRAMES,
    mel=MEL,
    phones=((0, 4), (4, 10), (10, 20)),
    words=((4, 10), (10, 20)),
    f0_hz=np.full(FRAMES, 200.0),
    voiced=np.arange(FRAMES) >= 5,
)


def planes_of(share: Share) -> dict[str, np.ndarray]:
    """What a share draws after it was pickled, as it goes to other processes."""
    again = pickle.loads(pickle.dumps(share))
    assert (again.name, again.region) == (share.name, share.region)
    planes = again.render(LAYOUT).planes
    assert {(plane.shape, plane.dtype) for plane in planes.values()} == {((80, FRAMES), np.dtype(np.float32))}
    return planes


def drawn(share: Share) -> np.ndarray:
    return planes_of(share)["timbre"]


CENTRES = LAYOUT.positions
SECOND = 1 / MEL.frame_rate_hz  # of a frame; words lie at 4 to 10 and 10 to 20


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (shares.constant(0.25), [0.25] * 20),
        (shares.step(0.3), [0] * 6 + [1] * 14),
        (shares.step(0.0), [1] * 20),
        (shares.step(1.0), [0] * 20),
        (shares.step(f"{7 * SECOND}s"), [0] * 7 + [1] * 13),
        (shares.step("w2"), [0] * 10 + [1] * 10),
        (shares.step("w1.5"), [0] * 7 + [1] * 13),
        (shares.ramp(0.25, 0.75), np.clip((CENTRES - 0.25) * 2, 0, 1)),
        (shares.ramp("w1", "w3"), np.clip((CENTRES - 0.2) / 0.8, 0, 1)),
        (shares.ramp("0s", f"{40 * SECOND}s"), CENTRES / 2),  # beyond the end
        (shares.curve([(0, 0), (0.5, 0.5), (0.5, 1), (1, 1)]), np.where(CENTRES < 0.5, CENTRES, 1)),  # a jump
        (shares.curve([(0, 0), ("w2", 0.0), (f"{15 * SECOND}s", 1.0), ("1", 1.0)]), np.clip(4 * CENTRES - 2, 0, 1)),
        (parse_curve("0:a, 0.4:0,w2:a, w3:b"), np.clip(2 * CENTRES - 1, 0, 1)),
        (shares.words({1: 0.5}), [0] * 10 + [0.5] * 10),
        (parse_words("2:b"), [0] * 10 + [1] * 10),  # as text they count from 1
        (parse_words("1-2:0.25"), [0] * 4 + [0.25] * 16),
        (shares.phonemes({range(0, 2): 1.0, 2: 0.25}), [1] * 10 + [0.25] * 10),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_shares_over_time(share, expected):
    weight = drawn(share)
    assert (weight == weight[:1]).all()
    np.testing.assert_allclose(weight[0], expected, atol=1e-6)


def test_pitch_is_zero_on_the_bins_of_f0_only():
    share = shares.pitch(harmonics=2, width_bins=1)
    weight = drawn(share)
    assert (weight[:, :5] == 1).all()  # unvoiced
    low = {int(np.abs(filter_centres_hz(MEL) - f).argmin()) for f in (200.0, 400.0)}
    expected = sorted(b + d for b in low for d in (-1, 0, 1))
    assert np.flatnonzero(weight[:, 10] == 0).tolist() == sorted(set(expected))
    assert share.render(LAYOUT).region == share.region and share.region.harmonics == 2


def test_what_is_refused():
    refused(
        called,
        (lambda: shares.constant(1.6), r"constant 1\.6: expected a number from 0 to 1, or beyond from -0\.5 to 1\.5"),
        (lambda: shares.step(-0.1), r"time -0\.1: expected a relative time from 0 to 1, seconds such as 0\.5s, or wo"),
        (lambda: shares.ramp(0.5, 0.5), r"ramp from 0\.5 to 0\.5: expected a start before the end"),
        (lambda: shares.ramp(0.5, 2), "ramp end 2"),
        (lambda: shares.curve([]), "expected at least one point"),
        (lambda: shares.curve([(0, 0), (0.6, 0), (0.5, 1)]), "times .* fall"),
        (lambda: shares.curve([(0, 2)]), "curve share 2"),
        (lambda: parse_curve("0:0,0.4"), r"'0\.4' is not time:share; expected such as"),
        (lambda: parse_curve("a:b"), "curve time a: expected a relative time"),
        (lambda: parse_curve("0:nan"), "curve share nan"),
        (lambda: shares.words({0: 2.0}), r"words 2\.0: expected a number from 0 to 1"),
        (lambda: drawn(shares.words({2: 1.0})), "words 2: the sentence has words 0 to 1"),
        (lambda: drawn(shares.phonemes({range(2, 5): 1.0})), "phonemes 3: the sentence has phonemes 0 to 2"),
        (lambda: shares.bands(0, 400, inside=2), "band share 2"),
        (lambda: drawn(shares.bands(400, 300)), "band 400-300 Hz holds no mel bin"),
        (lambda: drawn(shares.pitch(harmonics=0)), "harmonics 0"),
        (lambda: shares.pitch().render(Layout(FRAMES, MEL)), "the style that gives it has no F0 contour"),
        (lambda: Share("odd", lambda at: np.zeros((3, 4))).render(LAYOUT), r"share odd: expected a plane \(80, 20\)"),
        (lambda: Share("big", lambda at: np.full((80, FRAMES), 2.0)).render(LAYOUT), "share big: expected a plane"),
        (lambda: shares.step("w0"), "step time w0: expected"),
        (lambda: shares.step("w2s"), "step time w2s: expected"),
        (lambda: shares.step("-1s"), "step time -1s"),
        (lambda: shares.ramp("1s", "0.5s"), r"ramp from 1s to 0\.5s: expected a start before the end"),
        (lambda: drawn(shares.ramp(1.0, "w1")), "ramp from 1 to w1: expected a start before"),
        (lambda: drawn(shares.step("w3.5")), r"time w3\.5: the sentence has words 1 to 2 \(w3 is its end\)"),
        (lambda: drawn(shares.curve([("w2", 0), (0.1, 1)])), r"curve: times w2, 0\.1 fall"),
        (lambda: parse_words("2-4"), "words '2-4': '2-4' is not words:share; expected such as 2-4:b,6:0.5"),
        (lambda: parse_words("2:c"), "'2:c' is not words:share"),
        (lambda: parse_words("0-2:b"), "0-2 is no range of words; expected such as 2-4, from 1"),
        (lambda: parse_words("1-3:b,2:a"), "2 was given twice; expected each word once"),
        (lambda: parse_bands("400"), "bands '400': '400' is not band:share; expected such as 0-400:a"),
        (lambda: parse_bands("f9:b"), "band 'f9': expected f0, f1-f2, f3-f4, or edges in Hz such as 0-400"),
        (lambda: parse_bands("400-300:b"), "400-300 Hz; expected a lower edge below the upper one"),
        (lambda: parse_bands("f0:a,300-900:b"), "bands f0 and 300-900 overlap"),
        (lambda: parse_bands("f0:a,f0:b"), "f0 was given twice"),
        (lambda: shares.spectrum({}), "bands: expected at least one"),
        (lambda: shares.band("f5"), "band 'f5'"),
        (lambda: shares.pitch(width_bins=-1), "width -1 bins"),
        (lambda: shares.dimensions(shares.pitch(), energy=1.0), r"share pitch\(1,1\) masks the references"),
        (lambda: parse_dimensions(["pitch"]), "'pitch' is not dimension=share; expected such as pitch=0.5"),
        (lambda: parse_dimensions(["tone=1"]), "with one of timbre, pitch, energy, rate"),
        (lambda: parse_dimensions(["rate=0", "rate=1"]), "rate was given twice"),
        (lambda: parse_dimensions(["pitch=f0:b"]), "pitch=f0:b: expected a number or a curve over time; only timbre"),
        (
            lambda: drawn(shares.constant(1.5) * shares.constant(1.5)),
            r"expected a plane \(80, 20\) within \[-0.5, 1.5\]",
        ),
    )


# -- words and bands as text ----------------------------------------------------------------------------------------


def test_other_words_follow_the_base():
    base = shares.bands(0, 1000, inside=0.5)
    weight = drawn(parse_words("1:b", base=base))
    assert (weight[:, 4:10] == 1).all()
    np.testing.assert_array_equal(weight[:, 10:], drawn(base)[:, 10:])
    assert parse_words("1:b", base=base).name == "words(1:1) over bands(0-1000)"


def test_bands():
    centres = filter_centres_hz(MEL)
    inside = (centres >= 300) & (centres < 2500)
    weight = drawn(shares.bands(300, 2500, inside=0.75, outside=0.25))
    assert (weight[inside] == 0.75).all() and (weight[~inside] == 0.25).all() and 0 < inside.sum() < 80
    np.testing.assert_array_equal(drawn(parse_bands("0-400:a,400-8000:b")), drawn(shares.bands(400, 8000)))
    np.testing.assert_array_equal(drawn(shares.band("f1-f2")), drawn(shares.bands(400, 2500)))
    named = 0.25 * drawn(shares.band("f0")) + drawn(shares.band("f3-f4"))
    np.testing.assert_array_equal(drawn(parse_bands("f0:0.25,F3-F4:b")), named)


def test_named_bands_part_the_bins():
    masks = [band_mask(*edges, 1, MEL)[:, 0] for edges in BANDS_HZ.values()]
    np.testing.assert_array_equal(np.sum(masks, axis=0), filter_centres_hz(MEL) < 5000)


# -- composition and pitch ------------------------------------------------------------------------------------------


def test_the_complement_of_pitch_exchanges_the_roles_and_sums_lose_them():
    """References are masked by role: the complement keeps them, exchanged; a product or sum is of the target alone."""
    share = shares.pitch(harmonics=2)
    assert (~share).region == PitchRegion(2, 1, from_second=True) and (~~share).region == share.region
    np.testing.assert_array_equal(drawn(~share), 1 - drawn(share))
    for composed in (share * shares.ramp(), shares.ramp() * share, share + shares.ramp(), ~(share * shares.ramp())):
        assert composed.region is None
    np.testing.assert_allclose(drawn(share * shares.ramp()), drawn(share) * drawn(shares.ramp()), atol=1e-6)


def test_names_of_compositions_read_back():
    a, b = shares.constant(0.5), shares.band("f0")
    assert ((a + b) * ~b).name == "(constant(0.5)+band(f0))*~band(f0)"
    assert shares.ramp("w1", "0.50s").name == "ramp(w1,0.5s)"
    assert (~(a * b)).name == "~(constant(0.5)*band(f0))"


def test_drawing_leaves_the_layout_as_it_is():
    before = LAYOUT.f0_hz.copy(), LAYOUT.voiced.copy()
    drawn(shares.pitch() * shares.words({0: 1.0}))
    assert np.array_equal(LAYOUT.f0_hz, before[0]) and np.array_equal(LAYOUT.voiced, before[1])


@pytest.mark.parametrize("excess", [1e-7, 5e-7])
def test_rounding_beyond_the_ends_is_brought_back(excess):
    for plane in (1 + excess, -excess):
        weight = Share("map", lambda at, plane=plane: np.full((80, FRAMES), plane)).render(Layout(FRAMES, MEL)).timbre
        assert weight.min() >= 0 and weight.max() <= 1
    assert drawn(shares.constant(1 + excess)).max() == 1 and drawn(shares.curve([(0, -excess), (1, 1)])).min() >= 0
    assert drawn(shares.constant(1.001)).min() == np.float32(1.001)


# -- a share for each dimension -------------------------------------------------------------------------------------


def test_one_share_is_that_of_all_dimensions():
    for share in (shares.ramp(), shares.bands(0, 400), shares.words({0: 1.0})):
        assert list(planes_of(share)) == list(DIMENSIONS)
        assert all(np.array_equal(plane, drawn(share)) for plane in planes_of(share).values())
        of_a, of_b = partition(drawn(share))
        assert np.array_equal(of_b, drawn(share)) and np.array_equal(of_a, drawn(~share))


def test_each_dimension_has_the_share_it_is_given_and_the_others_follow_the_base():
    found = planes_of(shares.dimensions(pitch=0.5, timbre=shares.band("f1-f2"), energy=shares.ramp()))
    assert (found["pitch"] == 0.5).all() and (found["rate"] == 0).all()
    np.testing.assert_array_equal(found["timbre"], drawn(shares.band("f1-f2")))
    np.testing.assert_array_equal(found["energy"], drawn(shares.ramp()))
    over = planes_of(shares.dimensions(shares.step(0.3), timbre=1.0))
    assert (over.pop("timbre") == 1).all()
    assert all(np.array_equal(plane, drawn(shares.step(0.3))) for plane in over.values())
    assert (planes_of(shares.dimensions(shares.dimensions(pitch=0.5), timbre=1.0))["pitch"] == 0.5).all()


def test_the_swap_of_pitch_is_a_preset_of_it():
    found = planes_of(shares.pitch())
    assert not any(found[name].any() for name in ("pitch", "energy", "rate")) and found["timbre"].mean() > 0.9
    other = planes_of(~shares.pitch())
    assert all((other[name] == 1).all() for name in ("pitch", "energy", "rate"))


def test_shares_combine_dimension_by_dimension():
    one, other = shares.dimensions(pitch=0.5, energy=1.0), shares.dimensions(shares.constant(0.5), timbre=shares.ramp())
    a, b = planes_of(one), planes_of(other)
    for name in DIMENSIONS:
        np.testing.assert_allclose(planes_of(one * other)[name], a[name] * b[name])
        np.testing.assert_allclose(planes_of(one + other)[name], np.minimum(a[name] + b[name], 1))
        np.testing.assert_allclose(planes_of(~one)[name], 1 - a[name])
        np.testing.assert_allclose(planes_of(~~one)[name], a[name], atol=1e-7)
    said = planes_of(shares.words({0: 1.0}, base=one))  # word 0 lies on frames 4 to 10
    assert (said["rate"][:, 4:10] == 1).all() and (said["rate"][:, 10:] == 0).all()
    assert (said["pitch"][:, 10:] == 0.5).all()


def test_a_share_may_exaggerate_and_says_so():
    found = shares.dimensions(pitch=-0.5, rate=shares.curve([(0, 0), (1, 1.5)])).render(LAYOUT)
    assert found.exaggerated == ("pitch", "rate") and (found.pitch == -0.5).all() and found.rate.max() > 1.4
    assert shares.ramp().render(LAYOUT).exaggerated == ()


def test_dimensions_as_text():
    found = parse_dimensions(["pitch=-0.25", "timbre = f0:a,400-8000:b", "energy=0:a,w2:b", "rate=b"])
    asked = shares.dimensions(
        timbre=shares.spectrum({"f0": 0.0, (400.0, 8000.0): 1.0}),
        pitch=-0.25,
        energy=shares.curve([(0, 0), ("w2", 1)]),
        rate=1.0,
    )
    assert all(np.array_equal(planes_of(found)[name], planes_of(asked)[name]) for name in DIMENSIONS)
    assert found.name == (
        "dimensions(timbre=bands(f0:0,400-8000:1),pitch=constant(-0.25),energy=curve(0:0,w2:1),rate=constant(1))"
    )
