"""Share recipes: what each draws, how they combine, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.shares import Layout, Share
from gradtts_interp.pitch.masks import filter_centres_hz

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


def drawn(share: Share) -> np.ndarray:
    weight = share.render(LAYOUT).weight
    assert weight.shape == (80, FRAMES) and weight.dtype == np.float32
    return weight


def over_time(share: Share) -> np.ndarray:
    weight = drawn(share)
    assert (weight == weight[:1]).all()
    return weight[0]


def test_constant():
    assert (drawn(shares.constant(0.25)) == 0.25).all()


def test_step_at_its_time():
    assert over_time(shares.step(0.3)).tolist() == [0.0] * 6 + [1.0] * 14
    assert over_time(shares.step(0.0)).min() == 1 and over_time(shares.step(1.0)).max() == 0


def test_ramp():
    weight = over_time(shares.ramp(0.25, 0.75))
    assert (weight[:5] == 0).all() and (weight[15:] == 1).all()
    np.testing.assert_allclose(np.diff(weight[5:15]), 0.1, atol=1e-6)


def test_curve_passes_its_points_and_may_jump():
    weight = over_time(shares.curve([(0, 0), (0.5, 0.5), (0.5, 1), (1, 1)]))
    np.testing.assert_allclose(weight[:10], LAYOUT.positions[:10], atol=1e-6)
    assert (weight[10:] == 1).all()


def test_curve_as_text():
    np.testing.assert_array_equal(
        drawn(shares.parse_curve("0:0,0.4:0,0.6:1,1:1")), drawn(shares.curve([(0, 0), (0.4, 0), (0.6, 1), (1, 1)]))
    )


def test_words_and_phonemes():
    assert over_time(shares.words({1: 0.5})).tolist() == [0.0] * 10 + [0.5] * 10
    assert over_time(shares.phonemes({range(0, 2): 1.0, 2: 0.25})).tolist() == [1.0] * 10 + [0.25] * 10


def test_pitch_is_zero_on_the_bins_of_f0_only():
    share = shares.pitch(harmonics=2, width_bins=1)
    weight = drawn(share)
    assert (weight[:, :5] == 1).all()  # unvoiced
    low = {int(np.abs(filter_centres_hz(MEL) - f).argmin()) for f in (200.0, 400.0)}
    expected = sorted(b + d for b in low for d in (-1, 0, 1))
    assert np.flatnonzero(weight[:, 10] == 0).tolist() == sorted(set(expected))
    assert share.render(LAYOUT).pitch == share.pitch and share.pitch.harmonics == 2


def test_bands():
    weight = drawn(shares.bands(300, 2500, inside=0.75, outside=0.25))
    inside = (filter_centres_hz(MEL) >= 300) & (filter_centres_hz(MEL) < 2500)
    assert (weight[inside] == 0.75).all() and (weight[~inside] == 0.25).all() and 0 < inside.sum() < 80


def test_operators():
    a, b = shares.ramp(0.0, 1.0), shares.bands(0, 1000)
    np.testing.assert_allclose(drawn(a * b), drawn(a) * drawn(b))
    np.testing.assert_allclose(drawn(a + b), np.minimum(drawn(a) + drawn(b), 1))
    np.testing.assert_allclose(drawn(~a), 1 - drawn(a))
    np.testing.assert_allclose(drawn(~~a), drawn(a), atol=1e-7)
    assert (a * ~b).name == "ramp(0,1)*~bands(0-1000)"


@pytest.mark.parametrize("share", [shares.ramp(), shares.bands(0, 400), shares.pitch(), shares.constant(0.1)])
def test_shares_of_all_styles_sum_to_one(share):
    partition = share.render(LAYOUT).partition
    assert partition.shape == (2, 80, FRAMES)
    np.testing.assert_allclose(partition.sum(0), 1, atol=1e-6)
    np.testing.assert_array_equal(partition[1], drawn(share))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: shares.constant(1.1), r"constant 1\.1: expected a number from 0 to 1"),
        (lambda: shares.constant(float("nan")), "constant nan"),
        (lambda: shares.step(-0.1), r"step time -0\.1"),
        (lambda: shares.ramp(0.5, 0.5), r"ramp from 0\.5 to 0\.5: expected a start before the end"),
        (lambda: shares.ramp(0.5, 2), "ramp end 2"),
        (lambda: shares.ramp(-1, 0.5), "ramp start -1"),
        (lambda: shares.curve([]), "expected at least one point"),
        (lambda: shares.curve([(0, 0), (0.6, 0), (0.5, 1)]), "times .* fall"),
        (lambda: shares.curve([(0, 2)]), "curve share 2"),
        (lambda: shares.curve([(2, 0)]), "curve time 2"),
        (lambda: shares.parse_curve("0:0,0.4"), r"'0\.4' is not time:share; expected such as"),
        (lambda: shares.parse_curve("a:b"), "'a:b' is not time:share"),
        (lambda: shares.parse_curve(""), "'' is not time:share"),
        (lambda: shares.parse_curve("0:nan"), "curve share nan"),
        (lambda: shares.words({0: 2.0}), r"words 2\.0: expected a number from 0 to 1"),
        (lambda: drawn(shares.words({2: 1.0})), "words 2: the sentence has words 0 to 1"),
        (lambda: drawn(shares.phonemes({range(2, 5): 1.0})), "phonemes 3: the sentence has phonemes 0 to 2"),
        (lambda: drawn(shares.phonemes({-1: 1.0})), "phonemes -1"),
        (lambda: shares.bands(0, 400, inside=2), "band share 2"),
        (lambda: drawn(shares.bands(400, 300)), "band 400-300 Hz holds no mel bin"),
        (lambda: drawn(shares.bands(9000, 9500)), "band 9000-9500 Hz holds no mel bin"),
        (lambda: drawn(shares.pitch(harmonics=0)), "harmonics 0"),
        (lambda: shares.pitch().render(Layout(FRAMES, MEL)), "style A has no F0 contour"),
        (lambda: drawn(Share("odd", lambda at: np.zeros((3, 4)))), r"share odd: expected a plane \(80, 20\)"),
        (lambda: drawn(Share("big", lambda at: np.full((80, FRAMES), 2.0))), "share big: expected a plane"),
        (lambda: drawn(Share("nan", lambda at: np.full((80, FRAMES), np.nan))), "share nan: expected a plane"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_drawing_leaves_the_layout_as_it_is():
    before = LAYOUT.f0_hz.copy(), LAYOUT.voiced.copy()
    drawn(shares.pitch() * shares.words({0: 1.0}))
    assert np.array_equal(LAYOUT.f0_hz, before[0]) and np.array_equal(LAYOUT.voiced, before[1])
