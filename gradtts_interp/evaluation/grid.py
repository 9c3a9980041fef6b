"""What ``evaluate interpolation`` renders: pairs of styles, conditions, weights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.contours import level_semitones
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.mechanisms import MECHANISMS
from gradtts_interp.interpolation.noise import NOISE
from gradtts_interp.interpolation.shares import Share
from gradtts_interp.job import StyleChoice
from gradtts_interp.pipeline import DEFAULT_MECHANISMS, ENVELOPE
from gradtts_interp.styles import StyleBank

MIX, TIME, FREQUENCY = MODES = ("mix", "time", "frequency")
WORLD, MORPH = BY_WORLD = "WORLD swap", "WORLD morph"
STATIC, HALF = "static mix", "hard half split"
MODE_TEXTS = {
    MIX: "the same share everywhere",
    TIME: "from A to B along the sentence",
    FREQUENCY: "pitch of A, voice of B",
}
REFERENCE, SWEEP = "reference", "sweep"
DEFAULT = "default"
WEIGHTS = tuple(float(w) for w in np.linspace(0, 1, 11))
FEW_WEIGHTS = (0.0, 0.5, 1.0)
SMALLEST_PAIR_SEMITONES = 4.0
SENTENCES = (
    "My sister carried a heavy basket.",
    "The quiet farmer painted seven boats.",
    "A yellow window opened in the morning.",
    "Nobody knew the name of the captain.",
    "We never walked along that old river.",
    "The young doctor remembered my number.",
)


@dataclass(frozen=True)
class Condition:
    """One way to blend.

    Attributes:
        name: What it is called in tables.
        mode: One of :data:`MODES`.
        mechanisms: Of the pipeline; None for the pipeline's choice.
        weights: Shares of B to render in mode mix.
    """

    name: str
    mode: str
    mechanisms: tuple[str, ...] | None = None
    weights: tuple[float, ...] = ()

    def share(self, weight: float = 0.5) -> Share:
        """The share to ask the pipeline for."""
        if self.mode == MIX:
            return shares.constant(weight)
        if self.mode == FREQUENCY:
            return shares.pitch()
        return {HALF: shares.step(0.5), STATIC: shares.constant(0.5)}.get(self.name, shares.ramp())


@dataclass(frozen=True)
class GridItem:
    """Two styles, a sentence and how to blend: the unit that is kept when a run is stopped.

    Attributes:
        index: Place of styles and sentence among the utterances of the evaluation.
        a: First style.
        b: Second style.
        text: The sentence.
        condition: How to blend; None for the anchors.
        example: Whether what is rendered is kept for the report.
    """

    index: int
    a: StyleChoice
    b: StyleChoice
    text: str
    condition: Condition | None
    example: bool = False

    @property
    def utterance(self) -> str:
        """Name of styles and sentence, in rows and of folders."""
        return f"{self.index:02d}_{self.a.name}_{self.b.name}"

    @property
    def id(self) -> str:
        """Name, unique in its run."""
        return f"{self.utterance}/{'anchors' if self.condition is None else slug(self.condition)}"


def slug(condition: Condition) -> str:
    """Mode and name of a condition, fit for a file."""
    return "-".join(re.findall(r"[^\W_]+", f"{condition.mode}-{condition.name}")).lower()


def conditions_of(modes: Sequence[str], *, has_style: bool, noise: bool, quick: bool) -> list[Condition]:
    """All conditions of some modes, baselines included.

    Args:
        modes: Of :data:`MODES`.
        has_style: Whether the checkpoint has style attention; official ones have the prior and the score only.
        noise: Whether noise tuning is among them.
        quick: Whether the sweeps have three weights instead of eleven.

    Returns:
        The conditions, the default one of each mode first.
    """
    sweep = FEW_WEIGHTS if quick else WEIGHTS
    found = []
    for mode in modes:
        weights = sweep if mode == MIX else ()
        found.append(Condition(DEFAULT, mode, weights=weights))
        found += [
            Condition(" + ".join(parts), mode, parts, weights=weights)
            for parts in _mechanisms(mode, has_style=has_style, noise=noise, quick=quick)
        ]
        found += [Condition(name, mode, weights=weights) for name in _BASELINES[mode]]
    return found


_BASELINES: dict[str, tuple[str, ...]] = {MIX: (MORPH,), TIME: (HALF, STATIC, MORPH), FREQUENCY: (WORLD,)}


def _mechanisms(mode: str, *, has_style: bool, noise: bool, quick: bool) -> list[tuple[str, ...]]:
    """Mechanisms measured one by one, and together where they differ from the default.

    ``score`` mixes what the other mechanisms have left unmixed. After all of them there is nothing left: its network
    evaluations are one and the same, and so is the speech. Such a combination is the default under another name.
    """
    if not has_style:  # the default is the prior, after which the score has nothing left to mix; WORLD for a pitch
        return [] if mode == FREQUENCY else [("score",)]
    if mode == MIX:  # prior and prosody mix style vectors: what every system with style vectors can do
        return [("prior", "prosody"), ("attention",), ("score",)]
    found: list[tuple[str, ...]] = [("prosody",), ("attention",), ("score",)]
    if mode == TIME:
        names = [name for name in MECHANISMS if name != ENVELOPE]  # it moves what the others have mixed
        every = [parts for size in range(1, len(names) + 1) for parts in combinations(names, size)]
        found = [parts for parts in every if not set(DEFAULT_MECHANISMS) - {ENVELOPE} <= set(parts)]
        if quick:  # also the mix of embeddings frame by frame, which singing synthesisers use
            found = [*((name,) for name in names), ("prior", "prosody")]
    tuned = [("attention", NOISE)] if noise and not quick else []
    return found + tuned


def pairs_of_bank(bank: StyleBank, count: int) -> list[tuple[StyleChoice, StyleChoice]]:
    """Pairs of neutral speakers whose F0 levels are at least four semitones apart.

    Args:
        bank: Styles of a checkpoint.
        count: How many, at least 1.

    Returns:
        The pair of the main command first if it is there, then pairs in a fixed order that uses all speakers alike.

    Raises:
        InputError: No pair is that far apart.
    """
    styles = {speaker: bank.styles.get((speaker, "neutral")) for speaker in bank.speakers}
    known = {speaker: style.contour for speaker, style in styles.items() if style and style.contour}
    apart = {(a, b): level_semitones(known[a], known[b]) for a, b in combinations(known, 2)}
    far = [pair for pair, semitones in apart.items() if abs(semitones) >= SMALLEST_PAIR_SEMITONES]
    if not far:
        raise InputError(
            f"no two speakers of the checkpoint are {SMALLEST_PAIR_SEMITONES:g} semitones apart; give --pairs"
        )
    left = [far[i] for i in np.random.default_rng(0).permutation(len(far))]
    chosen: list[tuple[int, int]] = []
    used: Counter[int] = Counter()
    while left and len(chosen) < count:
        main = not chosen and (10, 12) in left
        pair = (10, 12) if main else min(left, key=lambda pair: used[pair[0]] + used[pair[1]])
        left.remove(pair)
        chosen.append(pair if len(chosen) % 2 else pair[::-1])
        used.update(pair)
    return [(StyleChoice(a, "neutral"), StyleChoice(b, "neutral")) for a, b in chosen]


def parse_pair(text: str) -> tuple[StyleChoice, StyleChoice]:
    """Read a pair as on the command line: ``12:10``, ``12/happy:10`` or ``a.wav:b.wav``.

    Args:
        text: Two styles with a colon between them.

    Returns:
        The two.

    Raises:
        InputError: The text does not name two styles.
    """
    parts = [part.strip() for part in text.split(":")]
    if len(parts) != 2 or not all(parts):
        raise InputError(f"pair {text!r}: expected two styles, such as 12:10, 12/happy:10 or a.wav:b.wav")
    named = [part.partition("/") for part in parts]
    a, b = (
        StyleChoice(int(number), emotion or None) if number.isdigit() else StyleChoice(recording=part)
        for part, (number, _, emotion) in zip(parts, named, strict=True)
    )
    return a, b


def grid_items(
    pairs: Sequence[tuple[StyleChoice, StyleChoice]],
    texts: Sequence[str],
    conditions: Sequence[Condition],
    *,
    utterances: int,
    examples: int,
) -> list[GridItem]:
    """Lay pairs, sentences and conditions out as items.

    Args:
        pairs: Styles; utterance i has pair i modulo their number, and so with sentences.
        texts: Sentences.
        conditions: How to blend.
        utterances: How many pairs with a sentence.
        examples: How many of them are shown in the report.

    Returns:
        The anchors and conditions of each utterance, utterance by utterance.
    """
    found = []
    for i in range(utterances):
        what = (*pairs[i % len(pairs)], texts[(i + i // len(pairs)) % len(texts)])
        found += [GridItem(i, *what, condition, i < examples) for condition in (None, *conditions)]
    return found
