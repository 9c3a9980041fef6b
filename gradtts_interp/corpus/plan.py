"""Which sentence is spoken by whom and how: the whole corpus as a list, fixed by a seed before any sound is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradtts_interp.corpus.speakers import (
    EMOTIONS,
    N_SPEAKERS,
    Factors,
    Pitch,
    Voice,
    bank_pitches,
    bank_voices,
    continuous_pitches,
    continuous_voices,
)
from gradtts_interp.errors import InputError

Points = tuple[tuple[float, float], ...]

GRID_BANK_PITCH_SHARE = 0.1
GRID_UTTERANCES = 2
SAME_BASE_SHARE = 0.6
HELD_OUT_SEED_OFFSET = 77


@dataclass(frozen=True)
class BuildSettings:
    """Size of a corpus; with the seed it fixes every item.

    Attributes:
        seed: Same seed, same corpus.
        sentences: Distinct training sentences.
        held_out: Distinct test sentences.
        bank_utterances: Utterances per speaker and emotion.
        grid: Utterances of free combinations of voice and pitch style.
        blends: Utterances between two styles.
        voices: Continuous voices beside the speakers'.
        pitches: Continuous pitch styles.
        test_voices: Held-out voices.
        test_pitches: Held-out pitch styles.
        test_utterances: Utterances per held-out voice and pitch style.
        valid_share: Share of training items set apart for validation.
    """

    seed: int = 0
    sentences: int = 1000
    held_out: int = 60
    bank_utterances: int = 16
    grid: int = 4200
    blends: int = 2600
    voices: int = 32
    pitches: int = 96
    test_voices: int = 8
    test_pitches: int = 8
    test_utterances: int = 4
    valid_share: float = 0.02

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be."""
        for f in dataclasses.fields(self):
            if getattr(self, f.name) < 0:
                raise InputError(f"{f.name} is {getattr(self, f.name)}; expected >= 0")
        if not self.valid_share < 1:
            raise InputError(f"valid_share is {self.valid_share}; expected below 1")


@dataclass(frozen=True)
class StyleKey:
    """A voice and a pitch style by their names in the manifest, with the factors they stand for."""

    voice: str
    pitch: str
    factors: Factors

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"voice": self.voice, "pitch": self.pitch, "factors": self.factors.to_dict()}


@dataclass(frozen=True)
class Item:
    """One utterance to render.

    Attributes:
        id: Name of its files.
        kind: ``bank``, ``grid``, ``blend`` or ``test``.
        split: ``train``, ``valid`` or ``test``.
        sentence: Key of its sentence.
        a: Its style, or the first of two.
        b: Second style of a blend.
        share: Share of ``b`` over relative time, for blends.
        speaker: Index of the speaker, for items of the bank.
        emotion: Name of the emotion, for items of the bank.
    """

    id: str
    kind: str
    split: str
    sentence: str
    a: StyleKey
    b: StyleKey | None = None
    share: Points = field(default=())
    speaker: int | None = None
    emotion: str | None = None


@dataclass(frozen=True)
class Spoken:
    """Which sentences can be used: tokens by base voice and sentence key.

    Attributes:
        train: base -> sentence key -> tokens.
        test: The same of held-out sentences.
    """

    train: Mapping[str, Mapping[str, tuple[str, ...]]]
    test: Mapping[str, Mapping[str, tuple[str, ...]]]


def make_plan(settings: BuildSettings, spoken: Spoken) -> list[Item]:
    """Decide all items of a corpus.

    Args:
        settings: Sizes and seed.
        spoken: Sentences that were spoken and labelled well.

    Returns:
        Items: bank, grid, blend, test.

    Raises:
        InputError: A base voice has no usable sentence.
    """
    random = np.random.default_rng([settings.seed, 21])
    voices = {**bank_voices(), **continuous_voices(settings.seed, n=settings.voices)}
    pitches = continuous_pitches(settings.seed, n=settings.pitches)
    for sentences in (spoken.train, spoken.test):
        for base in {voice.base for voice in voices.values()}:
            if not sentences.get(base):
                raise InputError(f"base voice {base!r} has no usable sentence; expected at least 1")
    bank = _bank(settings, spoken, random)
    grid = _grid(settings, spoken, random, voices, pitches)
    cells = list({(item.a.voice, item.a.pitch): item.a for item in (*bank, *grid)}.values())
    blends = _blends(settings, spoken, random, cells)
    return [*bank, *grid, *blends, *_tests(settings, spoken, random)]


def _bank(settings: BuildSettings, spoken: Spoken, random: np.random.Generator) -> list[Item]:
    """Each speaker in each emotion."""
    items = []
    for speaker in range(N_SPEAKERS):
        for emotion in EMOTIONS:
            style = _bank_style(speaker, emotion)
            keys = _sentences(spoken.train[style.factors.base], settings.bank_utterances, random)
            for number, key in enumerate(keys):
                name = f"bank-s{speaker:02d}-{emotion}-{number:02d}"
                split = _split(settings, random)
                items.append(Item(name, "bank", split, key, style, speaker=speaker, emotion=emotion))
    return items


def _grid(
    settings: BuildSettings,
    spoken: Spoken,
    random: np.random.Generator,
    voices: Mapping[str, Voice],
    pitches: Mapping[str, Pitch],
) -> list[Item]:
    """Free combinations of ``GRID_UTTERANCES`` sentences each; some take a speaker's pitch style to another voice."""
    free = [(v, p) for v in voices for p in pitches]
    lent = [(v, p) for v in voices for p in bank_pitches() if not p.startswith(f"{v}-")]
    count = -(-settings.grid // GRID_UTTERANCES)
    n_lent = min(len(lent), round(GRID_BANK_PITCH_SHARE * count))
    n_free = min(len(free), count - n_lent)
    pairs = [*_choose(free, n_free, random), *_choose(lent, n_lent, random)]
    known = {**pitches, **bank_pitches()}
    items: list[Item] = []
    for voice, pitch in pairs:
        style = StyleKey(voice, pitch, Factors.of(voices[voice], known[pitch]))
        for key in _sentences(spoken.train[style.factors.base], GRID_UTTERANCES, random):
            split = _split(settings, random)
            items.append(Item(f"grid-{len(items):04d}", "grid", split, key, style))
    return items[: settings.grid]


def _blends(
    settings: BuildSettings, spoken: Spoken, random: np.random.Generator, cells: Sequence[StyleKey]
) -> list[Item]:
    """Two styles that both occur elsewhere, so that each has references."""
    if settings.blends and len(cells) < 2:
        raise InputError(f"{settings.blends} blends of {len(cells)} styles; expected at least 2 styles")
    items: list[Item] = []
    while len(items) < settings.blends:
        a = cells[int(random.integers(len(cells)))]
        same = random.uniform() < SAME_BASE_SHARE
        others = [c for c in cells if c != a and (c.factors.base == a.factors.base) == same]
        if not others:
            others = [c for c in cells if c != a]
        b = others[int(random.integers(len(others)))]
        of_a, of_b = spoken.train[a.factors.base], spoken.train[b.factors.base]
        shared = [key for key, tokens in of_a.items() if of_b.get(key) == tokens]
        if not shared:
            raise InputError(f"no sentence has equal tokens for {a.factors.base} and {b.factors.base}; expected some")
        key = shared[int(random.integers(len(shared)))]
        name, split = f"blend-{len(items):04d}", _split(settings, random)
        items.append(Item(name, "blend", split, key, a, b, draw_share(random)))
    return items


def _tests(settings: BuildSettings, spoken: Spoken, random: np.random.Generator) -> list[Item]:
    """Held-out sentences: once each by the speakers in turn, then by held-out voices and pitch styles."""
    items = []
    for number in range(settings.held_out):
        speaker = number % N_SPEAKERS
        style = _bank_style(speaker, "neutral")
        key = f"test-{number:04d}"
        if key in spoken.test[style.factors.base]:
            items.append(Item(f"test-{number:03d}", "test", "test", key, style, speaker=speaker, emotion="neutral"))
    seed = settings.seed + HELD_OUT_SEED_OFFSET
    voices = continuous_voices(seed, n=settings.test_voices, prefix="h")
    for voice_key, voice in voices.items():
        for pitch_key, pitch in continuous_pitches(seed, n=settings.test_pitches, prefix="q").items():
            style = StyleKey(voice_key, pitch_key, Factors.of(voice, pitch))
            keys = _sentences(spoken.test[voice.base], settings.test_utterances, random)
            for number, key in enumerate(keys):
                items.append(Item(f"test-{voice_key}-{pitch_key}-{number}", "test", "test", key, style))
    return items


def draw_share(random: np.random.Generator) -> Points:
    """Draw the share of B over relative time: 50 % constant, 30 % ramp, 20 % step.

    Args:
        random: Where the draws come from.

    Returns:
        Points (relative time, share), from time 0 to 1, joined by straight lines; a step has two points at one time.
    """
    kind = random.choice(("constant", "ramp", "step"), p=(0.5, 0.3, 0.2))
    if kind == "constant":
        share = round(float(random.uniform()), 4)
        return ((0.0, share), (1.0, share))
    if kind == "step":
        at = round(float(random.uniform(0.2, 0.8)), 4)
        return ((0.0, 0.0), (at, 0.0), (at, 1.0), (1.0, 1.0))
    start = round(float(random.uniform(0.0, 0.5)), 4)
    end = round(float(random.uniform(start + 0.2, 1.0)), 4)
    low, high = (0.0, 1.0) if random.uniform() < 0.5 else (round(float(x), 4) for x in random.uniform(size=2))
    return ((0.0, low), (start, low), (end, high), (1.0, high))


def share_at(points: Points, relative_time: np.ndarray) -> np.ndarray:
    """Read a share at relative times in [0, 1]; at the very time of a step it is already the new value."""
    times, values = (np.array(column, dtype=np.float64) for column in zip(*points, strict=True))
    return np.interp(relative_time, times, values)


def _bank_style(speaker: int, emotion: str) -> StyleKey:
    voice, pitch = f"s{speaker}", f"s{speaker}-{emotion}"
    return StyleKey(voice, pitch, Factors.of(bank_voices()[voice], bank_pitches()[pitch]))


def _sentences(of_base: Mapping[str, Any], count: int, random: np.random.Generator) -> list[str]:
    """Draw sentence keys, distinct as far as they reach."""
    keys = sorted(of_base)
    return [keys[int(i)] for i in random.choice(len(keys), size=count, replace=count > len(keys))]


def _choose(options: Sequence[tuple[str, str]], count: int, random: np.random.Generator) -> list[tuple[str, str]]:
    return [options[int(i)] for i in random.choice(len(options), size=count, replace=False)]


def _split(settings: BuildSettings, random: np.random.Generator) -> str:
    return "valid" if random.uniform() < settings.valid_share else "train"
