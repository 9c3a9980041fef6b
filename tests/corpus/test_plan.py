from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from refusing import refused

from gradtts_interp.corpus.plan import BuildSettings, draw_share, make_plan
from gradtts_interp.corpus.speakers import continuous_voices, suits

SETTINGS = BuildSettings(held_out=32, bank_utterances=6, grid=1000, blends=300, voices=32, pitches=48)
SENTENCES = {"train": 500, "held_out": 32}


@pytest.fixture(scope="module")
def plan():
    return make_plan(SETTINGS, **SENTENCES)


def test_sizes_and_names_and_the_same_from_the_same_seed(plan):
    kinds = Counter(item.kind for item in plan)
    tests = kinds.pop("test")
    assert kinds == {"bank": 16 * 5 * 6, "grid": 1000, "blend": 300}
    assert 32 + 8 <= tests <= 32 + 8 * 8
    assert len({item.id for item in plan}) == len(plan)
    early = Counter(item.kind for item in plan[:200])  # whatever part is there is a small corpus
    assert min(early[kind] for kind in ("bank", "grid", "blend")) >= 15
    assert make_plan(SETTINGS, **SENTENCES) == plan
    assert make_plan(replace(SETTINGS, seed=1), **SENTENCES) != plan


def test_test_items_use_only_held_out_sentences_and_styles(plan):
    for item in plan:
        assert item.sentence.startswith("test-") == (item.split == "test") == (item.kind == "test")
    trained = {item.a[part] for item in plan if item.kind != "test" for part in ("voice", "pitch")}
    free = [item for item in plan if item.kind == "test" and item.speaker is None]
    held_out = {item.a[part] for item in free for part in ("voice", "pitch")}
    assert len(held_out) == 16 and trained.isdisjoint(held_out)
    assert {item.speaker for item in plan if item.kind == "test"} == {None, *range(16)}


def test_references_exist_for_blends_and_duals(plan):
    singles = Counter((item.a["voice"], item.a["pitch"]) for item in plan if item.kind in ("bank", "grid"))
    for item in plan:
        if item.kind == "blend":
            assert item.a != item.b
            assert min(singles[style["voice"], style["pitch"]] for style in (item.a, item.b)) >= 2
    grid = [(item.a["voice"], item.a["pitch"]) for item in plan if item.kind == "grid"]
    pitched = [any(p == pitch and v != voice for v, p in singles) for voice, pitch in grid]
    voiced = [any(v == voice and p != pitch for v, p in singles) for voice, pitch in grid]
    assert np.mean(np.logical_and(pitched, voiced)) > 0.95
    lent = [(voice, pitch) for voice, pitch in grid if pitch.startswith("s")]
    assert len(lent) / len(grid) == pytest.approx(0.1, abs=0.02)
    assert all(not pitch.startswith(f"{voice}-") for voice, pitch in lent)


def test_moving_shares_keep_the_formants_and_are_about_half(plan):
    blends = [item for item in plan if item.kind == "blend"]
    moving = [item for item in blends if item.share[0][1] != item.share[-1][1]]
    assert len(moving) / len(blends) == pytest.approx(0.5, abs=0.1)
    assert all(item.a["factors"].formant == item.b["factors"].formant for item in moving)
    between_speakers = [item for item in blends if item.a["voice"][0] == item.b["voice"][0] == "s"]
    assert len(between_speakers) / len(blends) > 0.25


def test_pitch_styles_suit_their_voices(plan):
    voices = continuous_voices(SETTINGS.seed, n=SETTINGS.voices)
    free = [item.a for item in plan if item.a["voice"] in voices]
    assert all(suits(voices[style["voice"]], style["factors"].f0_level_hz) for style in free)


def test_sentences_come_once_before_any_comes_again_and_few_are_set_apart(plan):
    trained = [item for item in plan if item.kind != "test"]
    keys = Counter(item.sentence for item in trained)
    assert len(keys) == 500 and max(keys.values()) - min(keys.values()) <= 1
    assert 0.005 < sum(item.split == "valid" for item in trained) / len(trained) < 0.05


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


def test_impossible_sizes_are_named():
    refused(
        lambda changes, sentences: make_plan(replace(SETTINGS, **changes), **{**SENTENCES, **sentences}),
        ({"grid": -1}, {}, "grid is -1; expected >= 0"),
        ({"valid_share": 2.0}, {}, "valid_share is 2.0; expected below 1"),
        ({"bank_utterances": 0, "grid": 0}, {}, "expected at least 2 styles"),
        ({}, {"train": 0}, "0 training and 32 held-out sentences; expected at least 1 of each"),
    )
