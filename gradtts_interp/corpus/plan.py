"""The corpus as a list: which sentence is spoken by whom and how, fixed by a seed before any sound is made.

Once it is spoken, its manifest holds a line of JSON for each utterance.
"""

from __future__ import annotations

import dataclasses
import json
import lzma
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradtts_interp.corpus.speakers import (
    EMOTIONS,
    N_SPEAKERS,
    Factors,
    Pitch,
    bank_pitches,
    bank_voices,
    continuous_pitches,
    continuous_voices,
    speaker_pitch,
    speaker_voice,
    suits,
)
from gradtts_interp.errors import InputError

Entry = dict[str, Any]
Points = tuple[tuple[float, float], ...]
VoicedStyle = dict[str, Any]
"""``voice`` and ``pitch``, the names of the two in the manifest, and the ``factors`` they stand for."""

DATA = Path(__file__).parent / "data"
MANIFEST = "manifest.jsonl"
PARTIAL = "manifest.partial.jsonl"

GRID_BANK_PITCH_SHARE = 0.1
GRID_UTTERANCES = 2
BANK_BLEND_SHARE = 0.3
"""Of the blends, so many are between two styles of named speakers."""
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
        valid_share: Share of training items set apart for validation, 0 to 1.
    """

    seed: int = 0
    sentences: int = 11200
    held_out: int = 320
    bank_utterances: int = 30
    grid: int = 5000
    blends: int = 3400
    voices: int = 96
    pitches: int = 128
    test_voices: int = 8
    test_pitches: int = 8
    test_utterances: int = 1
    valid_share: float = 0.02

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be."""
        for f in dataclasses.fields(self):
            if getattr(self, f.name) < 0:
                raise InputError(f"{f.name} is {getattr(self, f.name)}; expected >= 0")
        if not self.valid_share < 1:
            raise InputError(f"valid_share is {self.valid_share}; expected below 1")


@dataclass(frozen=True)
class PlannedItem:
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
    a: VoicedStyle
    b: VoicedStyle | None = None
    share: Points = ()
    speaker: int | None = None
    emotion: str | None = None


def training_texts() -> list[str]:
    """Sentences to train on, the ones that add most sounds first; see ``resources/corpus/choose_texts.py``."""
    return (DATA / "train.txt").read_text(encoding="utf-8").splitlines()


def held_out_texts() -> list[str]:
    """Sentences that are never trained on."""
    return (DATA / "held_out.txt").read_text(encoding="utf-8").splitlines()


def make_plan(settings: BuildSettings, *, train: int, held_out: int) -> list[PlannedItem]:
    """Decide all items of a corpus.

    Items of all kinds are shuffled, so that whatever part of a corpus is there is a small corpus.

    Args:
        settings: Sizes and seed.
        train: Number of training sentences, whose keys are ``train-00000`` and so on.
        held_out: Number of held-out sentences, ``test-00000`` and so on.

    Returns:
        The items.

    Raises:
        InputError: There are no sentences, or too few styles to blend.
    """
    if not train or (settings.held_out and not held_out):
        raise InputError(f"{train} training and {held_out} held-out sentences; expected at least 1 of each")
    random = np.random.default_rng([settings.seed, 21])
    voices = {**bank_voices(), **continuous_voices(settings.seed, n=settings.voices)}
    pitches = continuous_pitches(settings.seed, n=settings.pitches)
    said = _said(settings, train, random)
    bank = _bank(settings, said)
    grid = _grid(settings, said, random, voices, pitches)
    blends = _blends(settings, said, random, bank, grid)
    items = [*bank, *grid, *blends, *_tests(settings, held_out)]
    return [items[i] for i in random.permutation(len(items))]


def _said(settings: BuildSettings, sentences: int, random: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Splits and keys of training sentences without end, each sentence once before any comes again."""
    left: list[int] = []
    while True:
        split = "valid" if random.uniform() < settings.valid_share else "train"
        left = left or random.permutation(sentences).tolist()
        yield split, f"train-{left.pop(0):05d}"


def _bank(settings: BuildSettings, said: Iterator[tuple[str, str]]) -> list[PlannedItem]:
    """Each speaker in each emotion."""
    items = []
    for speaker in range(N_SPEAKERS):
        for emotion in EMOTIONS:
            style = _bank_style(speaker, emotion)
            for number in range(settings.bank_utterances):
                name = f"bank-s{speaker:02d}-{emotion}-{number:02d}"
                items.append(PlannedItem(name, "bank", *next(said), style, speaker=speaker, emotion=emotion))
    return items


def _grid(
    settings: BuildSettings,
    said: Iterator[tuple[str, str]],
    random: np.random.Generator,
    voices: Mapping[str, Factors],
    pitches: Mapping[str, Pitch],
) -> list[PlannedItem]:
    """Free combinations of ``GRID_UTTERANCES`` sentences each; some take a speaker's pitch style to another voice."""
    known = {**pitches, **bank_pitches()}
    free = [(v, p) for v in voices for p in pitches if suits(voices[v], known[p]["f0_level_hz"])]
    of_others = [(v, p) for v in voices for p in bank_pitches() if not p.startswith(f"{v}-")]
    lent = [(v, p) for v, p in of_others if suits(voices[v], known[p]["f0_level_hz"])]
    count = -(-settings.grid // GRID_UTTERANCES)
    n_lent = min(len(lent), round(GRID_BANK_PITCH_SHARE * count))
    n_free = min(len(free), count - n_lent)
    pairs = [*_choose(free, n_free, random), *_choose(lent, n_lent, random)]
    items: list[PlannedItem] = []
    for voice, pitch in pairs:
        style = _style(voice, pitch, voices[voice], known[pitch])
        for _ in range(GRID_UTTERANCES):
            items.append(PlannedItem(f"grid-{len(items):04d}", "grid", *next(said), style))
    return items[: settings.grid]


def _blends(
    settings: BuildSettings,
    said: Iterator[tuple[str, str]],
    random: np.random.Generator,
    bank: Sequence[PlannedItem],
    grid: Sequence[PlannedItem],
) -> list[PlannedItem]:
    """Two styles that both occur elsewhere, so that each has references; a share that moves keeps the formants."""
    named, every = ({(i.a["voice"], i.a["pitch"]): i.a for i in items} for items in (bank, [*bank, *grid]))
    of_bank, of_all = list(named.values()), list(every.values())
    if settings.blends and len(of_all) < 2:
        raise InputError(f"{settings.blends} blends of {len(of_all)} styles; expected at least 2 styles")
    items: list[PlannedItem] = []
    while len(items) < settings.blends:
        cells = of_bank if random.uniform() < BANK_BLEND_SHARE and len(of_bank) > 1 else of_all
        a, share = cells[int(random.integers(len(cells)))], draw_share(random)
        moves, formant = share[0][1] != share[-1][1], a["factors"].formant
        order = (cells[i] for i in random.permutation(len(cells)))
        b = next((c for c in order if c != a and not (moves and c["factors"].formant != formant)), None)
        if b is None:
            continue
        items.append(PlannedItem(f"blend-{len(items):04d}", "blend", *next(said), a, b, share))
    return items


def _tests(settings: BuildSettings, held_out: int) -> list[PlannedItem]:
    """Held-out sentences: once each by the speakers in turn, then by held-out voices and pitch styles."""
    items = []
    for number in range(min(settings.held_out, held_out)):
        speaker = number % N_SPEAKERS
        style = _bank_style(speaker, "neutral")
        name, key = f"test-{number:03d}", f"test-{number:05d}"
        items.append(PlannedItem(name, "test", "test", key, style, speaker=speaker, emotion="neutral"))
    random = np.random.default_rng([settings.seed, 22])
    seed = settings.seed + HELD_OUT_SEED_OFFSET
    voices = continuous_voices(seed, n=settings.test_voices, prefix="h")
    pitches = continuous_pitches(seed, n=settings.test_pitches, prefix="q")
    for voice_key, voice in voices.items():
        for pitch_key, pitch in pitches.items():
            style = _style(voice_key, pitch_key, voice, pitch)
            for number in range(settings.test_utterances if suits(voice, pitch["f0_level_hz"]) else 0):
                key = f"test-{int(random.integers(held_out)):05d}"
                items.append(PlannedItem(f"test-{voice_key}-{pitch_key}-{number}", "test", "test", key, style))
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


def _bank_style(speaker: int, emotion: str) -> VoicedStyle:
    """A named speaker in an emotion."""
    return _style(f"s{speaker}", f"s{speaker}-{emotion}", speaker_voice(speaker), speaker_pitch(speaker, emotion))


def _style(voice_name: str, pitch_name: str, voice: Factors, pitch: Pitch) -> VoicedStyle:
    """A voice with a prosody, and the names of both."""
    return {"voice": voice_name, "pitch": pitch_name, "factors": dataclasses.replace(voice, **pitch)}


def _choose(options: Sequence[tuple[str, str]], count: int, random: np.random.Generator) -> list[tuple[str, str]]:
    return [options[int(i)] for i in random.choice(len(options), size=count, replace=False)]


def load_entries(path: str | Path, *, fields: Sequence[str] = ("id", "kind", "split")) -> list[Entry]:
    """Read the manifest of a built corpus, or what there is of it while the corpus is being built.

    Args:
        path: A corpus folder, or a manifest, plain (``.jsonl``) or compressed (``.xz``).
        fields: What each entry must have.

    Returns:
        Its entries, in order.

    Raises:
        InputError: There is none, it is empty, or a line is damaged, named.
    """
    path, growing = Path(path), False
    if path.suffix not in (".jsonl", ".xz"):
        growing = not (path / MANIFEST).is_file() and (path / PARTIAL).is_file()
        path = path / (PARTIAL if growing else MANIFEST)
    try:
        content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        lines = content.decode("utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise InputError(
            f"{path} cannot be read: {error}; expected a manifest made by 'gradtts-interp corpus build'"
        ) from error
    if growing and lines and not lines[-1].endswith("\n"):
        lines = lines[:-1]  # the builder is writing it
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            missing = [name for name in fields if name not in entry]
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: {error}; expected a JSON object") from error
        if missing or not isinstance(entry, dict):
            raise InputError(f"{path}, line {number}: expected an item of the corpus builder, with {', '.join(fields)}")
        entries.append(entry)
    if not entries:
        raise InputError(f"{path} is empty; expected items of the corpus builder")
    return entries
