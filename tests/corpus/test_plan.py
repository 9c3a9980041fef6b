from collections import Counter

import numpy as np
import pytest

from gradtts_interp.corpus.flite import VOICES
from gradtts_interp.corpus.plan import BuildSettings, Spoken, draw_share, make_plan, share_at
from gradtts_interp.errors import InputError

SETTINGS = BuildSettings(sentences=60, held_out=32, bank_utterances=12, grid=2600, blends=200, voices=24, pitches=48)


def make_spoken(*, odd: str | None = None) -> Spoken:
    """Sentences of which every third has other tokens for the base ``odd``."""

    def tokens(part: str, count: int, base: str):
        return {f"{part}-{i:04d}": ("A", str(i), "x" if base == odd and i % 3 == 0 else "") for i in range(count)}

    return Spoken(*({base: tokens(part, n, base) for base in VOICES} for part, n in (("train", 60), ("test", 32))))


@pytest.fixture(scope="module")
def plan():
    return make_plan(SETTINGS, make_spoken())


def test_sizes_and_names(plan):
    kinds = Counter(item.kind for item in plan)
    assert kinds == {"bank": 16 * 5 * 12, "grid": 2600, "blend": 200, "test": 32 + 8 * 8 * 4}
    assert len({item.id for item in plan}) == len(plan)


def test_same_seed_same_plan(plan):
    assert make_plan(SETTINGS, make_spoken()) == plan
    other = make_plan(BuildSettings(**{**SETTINGS.__dict__, "seed": 1}), make_spoken())
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


def test_dual_references_exist_for_every_grid_item(plan):
    cells = {(item.a.voice, item.a.pitch) for item in plan if item.kind in ("bank", "grid")}
    for item in plan:
        if item.kind == "grid":
            assert any(p == item.a.pitch and v != item.a.voice for v, p in cells)
            assert any(v == item.a.voice and p != item.a.pitch for v, p in cells)


def test_some_speakers_pitches_are_lent_to_other_voices(plan):
    grid = [item for item in plan if item.kind == "grid"]
    lent = [item for item in grid if item.a.pitch.startswith("s")]
    assert len(lent) / len(grid) == pytest.approx(0.1, abs=0.02)
    assert all(not item.a.pitch.startswith(f"{item.a.voice}-") for item in lent)


def test_blends_are_mostly_of_one_base_and_share_tokens():
    spoken = make_spoken(odd="kal16")
    blends = [item for item in make_plan(SETTINGS, spoken) if item.kind == "blend"]
    same = [item for item in blends if item.a.factors.base == item.b.factors.base]
    assert len(same) / len(blends) == pytest.approx(0.6, abs=0.12)
    for item in blends:
        of_a, of_b = (spoken.train[style.factors.base][item.sentence] for style in (item.a, item.b))
        assert of_a == of_b


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


def test_share_at_reads_ramps_and_steps():
    ramp = ((0.0, 0.2), (0.5, 0.2), (1.0, 0.8))
    np.testing.assert_allclose(share_at(ramp, np.array([0.0, 0.5, 0.75, 1.0])), [0.2, 0.2, 0.5, 0.8])
    step = ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (1.0, 1.0))
    np.testing.assert_allclose(share_at(step, np.array([0.0, 0.2999, 0.3001, 1.0])), [0.0, 0.0, 1.0, 1.0])


def test_small_corpora_reuse_sentences():
    spoken = Spoken(*({base: {f"{part}-0000": ("A",)} for base in VOICES} for part in ("train", "test")))
    items = make_plan(BuildSettings(sentences=1, held_out=1, grid=4, blends=2), spoken)
    assert {item.sentence for item in items} == {"train-0000", "test-0000"}


def test_impossible_sizes_are_named():
    with pytest.raises(InputError, match="grid is -1; expected >= 0"):
        BuildSettings(grid=-1)
    with pytest.raises(InputError, match="valid_share is 2.0; expected below 1"):
        BuildSettings(valid_share=2.0)
    with pytest.raises(InputError, match="expected at least 2 styles"):
        make_plan(BuildSettings(bank_utterances=0, grid=0, blends=1), make_spoken())


def test_missing_sentences_are_named():
    spoken = make_spoken()
    with pytest.raises(InputError, match="base voice 'awb' has no usable sentence"):
        make_plan(SETTINGS, Spoken({**spoken.train, "awb": {}}, spoken.test))


def test_base_voices_without_common_tokens_are_named():
    spoken = Spoken(
        {base: {f"train-{i:04d}": (base,) for i in range(20)} for base in VOICES},
        make_spoken().test,
    )
    with pytest.raises(InputError, match="no sentence has equal tokens"):
        make_plan(SETTINGS, spoken)
