from collections import Counter

import numpy as np
import pytest

from gradtts_interp.corpus.plan import BuildSettings, draw_share, make_plan
from gradtts_interp.corpus.speakers import continuous_voices, suits
from gradtts_interp.errors import InputError

SETTINGS = BuildSettings(held_out=32, bank_utterances=6, grid=1000, blends=300, voices=32, pitches=48)
SENTENCES = {"train": 500, "held_out": 32}


@pytest.fixture(scope="module")
def plan():
    return make_plan(SETTINGS, **SENTENCES)


def test_sizes_and_names(plan):
    kinds = Counter(item.kind for item in plan)
    tests = kinds.pop("test")
    assert kinds == {"bank": 16 * 5 * 6, "grid": 1000, "blend": 300}
    assert 32 + 8 <= tests <= 32 + 8 * 8
    assert len({item.id for item in plan}) == len(plan)


def test_whatever_part_is_there_is_a_small_corpus(plan):
    early = Counter(item.kind for item in plan[:200])
    assert min(early[kind] for kind in ("bank", "grid", "blend")) >= 15


def test_same_seed_same_plan(plan):
    assert make_plan(SETTINGS, **SENTENCES) == plan
    other = make_plan(BuildSettings(**{**SETTINGS.__dict__, "seed": 1}), **SENTENCES)
    assert other != plan


def test_test_items_use_only_held_out_sentences_and_styles(plan):
    for item in plan:
        assert item.sentence.startswith("test-") == (item.split == "test") == (item.kind == "test")
    trained = {key for item in plan if item.kind != "test" for key in (item.a.voice, item.a.pitch)}
    free = [item for item in plan if item.kind == "test" and item.speaker is None]
    held_out = {key for item in free for key in (item.a.voice, item.a.pitch)}
    assert len(held_out) == 16 and trained.isdisjoint(held_out)
    assert {item.speaker for item in plan if item.kind == "test"} == {None, *range(16)}


def test_every_style_of_a_blend_has_another_utterance(plan):
    singles = Counter((item.a.voice, item.a.pitch) for item in plan if item.kind in ("bank", "grid"))
    for item in plan:
        if item.kind == "blend":
            assert item.a != item.b
            assert singles[item.a.voice, item.a.pitch] >= 2 and singles[item.b.voice, item.b.pitch] >= 2


def test_dual_references_exist_for_nearly_every_grid_item(plan):
    cells = {(item.a.voice, item.a.pitch) for item in plan if item.kind in ("bank", "grid")}
    grid = [item.a for item in plan if item.kind == "grid"]
    pitched = [any(p == a.pitch and v != a.voice for v, p in cells) for a in grid]
    voiced = [any(v == a.voice and p != a.pitch for v, p in cells) for a in grid]
    assert np.mean(np.logical_and(pitched, voiced)) > 0.95


def test_some_speakers_pitches_are_lent_to_other_voices(plan):
    grid = [item for item in plan if item.kind == "grid"]
    lent = [item for item in grid if item.a.pitch.startswith("s")]
    assert len(lent) / len(grid) == pytest.approx(0.1, abs=0.02)
    assert all(not item.a.pitch.startswith(f"{item.a.voice}-") for item in lent)


def test_moving_shares_keep_the_formants_and_are_about_half(plan):
    blends = [item for item in plan if item.kind == "blend"]
    moving = [item for item in blends if item.share[0][1] != item.share[-1][1]]
    assert len(moving) / len(blends) == pytest.approx(0.5, abs=0.1)
    assert all(item.a.factors.formant == item.b.factors.formant for item in moving)
    between_speakers = [item for item in blends if item.a.voice[0] == item.b.voice[0] == "s"]
    assert len(between_speakers) / len(blends) > 0.25


def test_pitch_styles_suit_their_voices(plan):
    voices = continuous_voices(SETTINGS.seed, n=SETTINGS.voices)
    for item in plan:
        if item.a.voice in voices:
            factors = item.a.factors
            assert suits(voices[item.a.voice], factors)


def test_sentences_come_once_before_any_comes_again(plan):
    keys = Counter(item.sentence for item in plan if item.kind != "test")
    assert len(keys) == 500 and max(keys.values()) - min(keys.values()) <= 1


def test_few_items_are_set_apart_for_validation(plan):
    splits = Counter(item.split for item in plan if item.kind != "test")
    assert 0.005 < splits["valid"] / sum(splits.values()) < 0.05


def test_shares_are_of_three_kinds_and_legal():
    random = np.random.default_rng(0)
    kinds: Counter[str] = Counter()
    for _ in range(1000):
        points = draw_share(random)
        times, values = np.array(points).T
        assert times[0] == 0 and times[-1] == 1 and (np.diff(times) >= 0).all()
        assert values.min() >= 0 and values.max() <= 1
        kinds["constant" if len(points) == 2 else "step" if times[1] == times[2] else "ramp"] += 1
    assert kinds["constant"] == pytest.approx(500, abs=60)
    assert kinds["ramp"] == pytest.approx(300, abs=60)


def test_small_corpora_reuse_sentences():
    items = make_plan(BuildSettings(held_out=1, bank_utterances=1, grid=4, blends=2), train=1, held_out=1)
    assert {item.sentence for item in items} == {"train-00000", "test-00000"}


def test_impossible_sizes_are_named():
    with pytest.raises(InputError, match="grid is -1; expected >= 0"):
        BuildSettings(grid=-1)
    with pytest.raises(InputError, match="valid_share is 2.0; expected below 1"):
        BuildSettings(valid_share=2.0)
    with pytest.raises(InputError, match="expected at least 2 styles"):
        make_plan(BuildSettings(bank_utterances=0, grid=0, blends=1), **SENTENCES)
    with pytest.raises(InputError, match="0 training and 32 held-out sentences; expected at least 1 of each"):
        make_plan(SETTINGS, train=0, held_out=32)
