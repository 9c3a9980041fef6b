"""The training mix: matched, dual and blended references, drawn per item.

A model that only ever saw matched references has no reason to read pitch from one place and timbre from another,
nor to have anything between two styles. So part of the items read pitch from one reference and voice from another
(*dual*), and part are true blends of two styles with a known share over time (*blend*).

Every draw is a pure function of a seed and a position, so a resumed run, or one on more processes, sees the same data.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gradtts_interp.alignment import fix_length
from gradtts_interp.config import MelConfig, parse_settings, readers_of
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.conditioning import readable_part
from gradtts_interp.interpolation.shares import PitchRegion
from gradtts_interp.models.style_encoder import NAMED_IN, ROLES
from gradtts_interp.pitch.contour import PROSODY_MEAN, PROSODY_STD, Contour, normalise_prosody
from gradtts_interp.styles import Style
from gradtts_interp.training.data import EMOTIONS, Item, StyleRef

KINDS = ("matched", "dual", "blend")
NOTHING_WITHHELD = {"null": False, "null_text": False, "prosody_known": True}


@dataclass(frozen=True)
class MixConfig:
    """Shares of the training mix and its dropouts, all probabilities in [0, 1].

    Attributes:
        matched: One reference of the target's own style.
        dual: Pitch from one reference, voice from another.
        blend: Two styles with a known share over time.
        null: The style attention reads the null token (for guidance).
        null_text: The text encoder gets the null style.
        drop_prosody: The prosody vector is withheld from the score network.
        drop_name: Speaker and emotion tokens are withheld, drawn for each.
        drop_tokens: A random half of a reference's patches is hidden.
        crop_frames: Target frames of a training crop.
        reference_frames: Reference frames (K).
        length_buckets: So many batches in a row are drawn together and sorted by the target's length, so that a batch
            needs little padding; 1 for none.
        length_multiple: Frames and tokens of a batch are padded to a multiple of it, so that a GPU, which prepares its
            convolutions anew for each shape, meets few shapes.
    """

    matched: float = 0.25
    dual: float = 0.3
    blend: float = 0.45
    null: float = 0.1
    null_text: float = 0.05
    drop_prosody: float = 0.25
    drop_name: float = 0.5
    drop_tokens: float = 0.2
    crop_frames: int = 128
    reference_frames: int = 128
    length_buckets: int = 1
    length_multiple: int = 1

    def __post_init__(self) -> None:
        """Refuse what is no probability, and lengths and buckets that cannot be."""
        for field in fields(self):
            value, counts = getattr(self, field.name), field.type == "int"
            if counts and value < 1:
                raise InputError(f"{field.name} is {value}; expected 1 or more")
            if not counts and not 0 <= value <= 1:
                raise InputError(f"training mix: {field.name} is {value}; expected a share or probability from 0 to 1")


def parse_mix(settings: Sequence[str]) -> MixConfig:
    """Read a training mix, ``name=value`` each with names of :class:`MixConfig`; what is not named is as by default."""
    return MixConfig(**parse_settings(settings, readers_of(MixConfig), "training mix"))


Reference = tuple[Style, str, NDArray[np.float32]]
"""A style, the role that it is read in, and how much of its plane may be read (M, K) in [0, 1]."""

Drawn = tuple[Item, Reference, Reference, NDArray]
"""Target, references A and B, share of B per frame."""


@dataclass(frozen=True)
class Batch:
    """A training batch. References have a leading axis of 2 (A, B).

    Attributes:
        ids: Token ids (B, L).
        id_lengths: (B,).
        durations: Frames of each token (B, L), 0 on padding.
        mel: Target log-mels (B, M, T), padded with silence.
        lengths: Target frames (B,).
        start: First frame of the crop (B,).
        share: Share of B over the target's frames (B, T); for references that are not blended: 0 (A) or 1 (dual).
        shared: (B,) 1 where the share is a share of queries (blend), 0 where keys alone decide (dual).
        reference: Reference log-mels (2, B, M, K).
        reference_lengths: (2, B).
        reference_mask: Readable part of the reference planes (2, B, M, K).
        role: Role numbers (2, B).
        speaker: Speaker rows, -1 unknown (2, B).
        emotion: Emotion vectors (2, B, E).
        prosody: Normalised prosody with flag (2, B, 5).
        null: (B,) bool, style attention dropped.
        null_text: (B,) bool, style of the text encoder dropped.
        prosody_known: (B,) 1 where the score network gets the prosody.
        kind: (B,) index into :data:`KINDS`.
        pitch: Voicing (0 or 1), log-F0 and energy of the target, the latter two in the units of the prosody vector
            (B, 3, T).
        level: Energy of the whole target in the same units (B,).
    """

    ids: Tensor
    id_lengths: Tensor
    durations: Tensor
    mel: Tensor
    lengths: Tensor
    start: Tensor
    share: Tensor
    shared: Tensor
    reference: Tensor
    reference_lengths: Tensor
    reference_mask: Tensor
    role: Tensor
    speaker: Tensor
    emotion: Tensor
    prosody: Tensor
    null: Tensor
    null_text: Tensor
    prosody_known: Tensor
    kind: Tensor
    pitch: Tensor
    level: Tensor

    def to(self, device: torch.device) -> Batch:
        """Move all tensors."""
        return Batch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


class Mixer:
    """Draws training examples.

    Kinds that the items cannot give (blends of styles that are heard nowhere else, or duals where no manner of pitch is
    shared by two voices) are left out, and the shares of the others grow.

    Args:
        items: Where targets and references come from.
        config: Shares and dropouts.
        mel: The mel contract.
        seed: Of all draws.
        target_split: Split that targets are taken from; None for all of the items.

    Raises:
        InputError: The mix has a share > 0 of no kind that the items can give.
    """

    def __init__(
        self,
        items: Iterable[Item],
        config: MixConfig,
        mel: MelConfig,
        *,
        seed: int = 0,
        target_split: str | None = None,
    ) -> None:
        self.config, self.mel, self.seed = config, mel, seed
        self._window: tuple[tuple[int, int], list[dict]] = ((-1, 0), [])
        self.by_voice: dict[str, list[Item]] = defaultdict(list)
        self.by_pitch: dict[str, list[Item]] = defaultdict(list)
        self.by_style: dict[StyleRef, list[Item]] = defaultdict(list)
        targets: dict[int, list[Item]] = {1: [], 2: []}
        for item in items:
            if len(item.styles) == 1:
                self.by_voice[item.styles[0].voice].append(item)
                self.by_pitch[item.styles[0].pitch].append(item)
                self.by_style[item.styles[0]].append(item)
            if target_split in (None, item.split):
                targets[len(item.styles)].append(item)
        self.singles = targets[1]
        self.blends = [item for item in targets[2] if all(style in self.by_style for style in item.styles)]
        duals = any(all(self._lenders(style)) for style in self.by_style)
        possible = (bool(self.singles), bool(self.singles) and duals, bool(self.blends))
        self.usual_prosody: dict[StyleRef, NDArray[np.float32]] = {
            style: np.stack([item.prosody for item in heard]).mean(0)
            for style, heard in self.by_style.items()
            if style.emotion.any()
        }
        given = {kind: getattr(config, kind) for kind in KINDS}
        weights = np.array([*given.values()]) * possible
        if weights.sum() <= 0:
            can = [kind for kind, ok in zip(KINDS, possible, strict=True) if ok]
            raise InputError(f"training mix {given}: expected one of them > 0 for {can or 'any items'}")
        self.kind_shares = weights / weights.sum()

    def batch(self, step: int, size: int, *, offset: int = 0, of: int | None = None) -> Batch:
        """The batch of a step.

        Args:
            step: Optimiser step.
            size: Items in this batch.
            offset: First item within the global batch (for one of several processes).
            of: Size of the global batch; ``size`` if None.

        Returns:
            The batch.
        """
        whole, buckets = of or size, self.config.length_buckets
        if buckets == 1:
            first = step * whole + offset
            return collate([self.example(first + i) for i in range(size)], self.config, self.mel)
        window, place = divmod(step, buckets)
        drawn = self._sorted_window(window, buckets * whole)
        start = int(np.random.default_rng([self.seed, window, 7]).permutation(buckets)[place]) * whole + offset
        return collate(drawn[start : start + size], self.config, self.mel)

    def _sorted_window(self, window: int, size: int) -> list[dict]:
        """Examples of several batches in a row by length, drawn once for all of them."""
        if self._window[0] != (window, size):
            drawn = [self.example(window * size + i) for i in range(size)]
            drawn.sort(key=lambda example: example["target"].frames)
            self._window = (window, size), drawn
        return self._window[1]

    def example(self, index: int) -> dict:
        """Example number ``index`` of the endless stream."""
        rng = np.random.default_rng([self.seed, index])
        return self._example(rng, KINDS[rng.choice(len(KINDS), p=self.kind_shares)])

    def example_of(self, kind: str, index: int, **given: Item) -> dict:
        """A draw of one kind with nothing withheld but by the kind; ``target`` may be given to a matched one."""
        return {**self._example(np.random.default_rng([self.seed, index]), kind, **given), **NOTHING_WITHHELD}

    def _example(self, rng: np.random.Generator, kind: str, **given: Item) -> dict:
        config = self.config
        target, a, b, share = getattr(self, f"_{kind}")(rng, **given)
        return {
            "target": target,
            "a": a,
            "b": b,
            "share": share,
            "kind": KINDS.index(kind),
            "start": int(rng.integers(0, max(target.frames - config.crop_frames, 0) + 1)),
            "null": rng.random() < config.null,
            "null_text": rng.random() < config.null_text,
            "prosody_known": rng.random() >= config.drop_prosody,
        }

    def _matched(self, rng: np.random.Generator, *, target: Item | None = None) -> Drawn:
        target = target or _pick(rng, self.singles)
        a = self._reference(rng, self._other(rng, self.by_style[target.styles[0]], target))
        return target, a, _hidden(a), np.zeros(target.frames, dtype=np.float32)

    def _dual(self, rng: np.random.Generator) -> Drawn:
        target = _pick(rng, self.singles)
        pitched, voiced = self._lenders(target.styles[0])
        if not pitched or not voiced:
            return self._matched(rng)
        a = self._reference(rng, _pick(rng, pitched), role="pitch")
        b = self._reference(rng, _pick(rng, voiced), role="rest", prosody=a[0].prosody)
        return target, a, b, np.ones(target.frames, dtype=np.float32)

    def _lenders(self, style: StyleRef) -> tuple[list[Item], list[Item]]:
        """Items of other voices with the pitch of a style, and of its voice with other pitches."""
        pitched = [i for i in self.by_pitch[style.pitch] if i.styles[0].voice != style.voice]
        return pitched, [i for i in self.by_voice[style.voice] if i.styles[0].pitch != style.pitch]

    def _blend(self, rng: np.random.Generator) -> Drawn:
        target = _pick(rng, self.blends)
        refs = [self._reference(rng, _pick(rng, self.by_style[s])) for s in target.styles]
        share = target.share
        assert share is not None
        if rng.random() < 0.5:  # A and B are names only
            refs, share = refs[::-1], 1 - share
        return target, refs[0], refs[1], share

    def _other(self, rng: np.random.Generator, candidates: list[Item], target: Item) -> Item:
        """Another utterance than the target: its own frames would leak what is said."""
        others = [i for i in candidates if i.text != target.text]
        return _pick(rng, others or candidates)

    def _reference(
        self, rng: np.random.Generator, item: Item, *, role: str = "whole", prosody: NDArray | None = None
    ) -> Reference:
        frames = self.config.reference_frames
        start = int(rng.integers(0, max(item.frames - frames, 0) + 1))
        part, heard = slice(start, start + frames), item.contour
        contour = Contour(heard.f0_hz[part], heard.voiced[part], heard.energy_db[part], heard.frame_rate_hz)
        region = PitchRegion(harmonics=1 if role == "whole" else int(rng.integers(1, 4)))
        mask = readable_part(contour, role, region, self.mel)
        if rng.random() < self.config.drop_tokens:
            mask = mask * _patch_noise(rng, mask.shape)
        style = item.styles[0]
        names_speaker, names_emotion = NAMED_IN[role]
        keep_speaker = names_speaker and rng.random() >= self.config.drop_name
        keep_emotion = names_emotion and rng.random() >= self.config.drop_name
        if prosody is None:
            # A manner that is named is known as a style bank knows it, by the mean of all that was heard in it; one
            # utterance alone would teach the model to trust such numbers as little as the noisy ones of a recording.
            prosody = self.usual_prosody.get(style, item.prosody) if keep_emotion else item.prosody
        reference = Style(
            name=item.id,
            speaker=style.speaker if keep_speaker and style.speaker >= 0 else None,
            emotion=style.emotion if keep_emotion else None,
            mel=item.mel[:, part].astype(np.float32),
            contour=contour,
            prosody=prosody,
        )
        return reference, role, mask


def _pick(rng: np.random.Generator, items: list[Item]) -> Item:
    return items[int(rng.integers(len(items)))]


def _hidden(reference: Reference) -> Reference:
    """A reference of which nothing can be read."""
    style, _, mask = reference
    return replace(style, speaker=None, emotion=None), "whole", np.zeros_like(mask)


def _patch_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Hide a random half of a plane in blocks of 8 x 8."""
    rows, columns = -(-shape[0] // 8), -(-shape[1] // 8)
    blocks = (rng.random((rows, columns)) < 0.5).astype(np.float32)
    return np.kron(blocks, np.ones((8, 8), dtype=np.float32))[: shape[0], : shape[1]]


def collate(examples: list[dict], config: MixConfig, mel: MelConfig) -> Batch:
    """Pad examples to one batch."""
    targets = [e["target"] for e in examples]
    multiple = config.length_multiple
    frames = fix_length(max(max(t.frames for t in targets), config.crop_frames), multiple)
    tokens = fix_length(max(len(t.ids) for t in targets), multiple)
    sides: list[list[Reference]] = [[e[k] for e in examples] for k in ("a", "b")]
    styles, width = [[style for style, _, _ in side] for side in sides], config.reference_frames

    def stack(values: list[NDArray], width: int, fill: float = 0.0) -> Tensor:
        # By hand, since np.pad takes longer than all else that is done for a batch.
        padded = np.full((len(values), *values[0].shape[:-1], width), fill, dtype=values[0].dtype)
        for row, value in zip(padded, values, strict=True):
            row[..., : value.shape[-1]] = value
        return torch.from_numpy(padded)

    references = [[style.mel for style in side if style.mel is not None] for side in styles]
    speakers = [[-1 if style.speaker is None else style.speaker for style in side] for side in styles]
    unnamed = np.zeros(len(EMOTIONS), dtype=np.float32)
    emotions = np.array([[unnamed if style.emotion is None else style.emotion for style in side] for side in styles])
    prosody = normalise_prosody(np.array([[style.prosody for style in side] for side in styles]))
    flags = {k: torch.tensor([e[k] for e in examples]) for k in ("null", "null_text", "kind", "start")}
    return Batch(
        ids=stack([t.ids for t in targets], tokens),
        id_lengths=torch.tensor([len(t.ids) for t in targets]),
        durations=stack([t.durations for t in targets], tokens),
        mel=stack([t.mel.astype(np.float32) for t in targets], frames, mel.log_silence),
        lengths=torch.tensor([t.frames for t in targets]),
        share=stack([e["share"] for e in examples], frames),
        shared=(flags["kind"] == KINDS.index("blend")).float(),
        reference=torch.stack([stack(side, width, mel.log_silence) for side in references]),
        reference_lengths=torch.tensor([[mask.shape[1] for *_, mask in side] for side in sides]),
        reference_mask=torch.stack([stack([mask for *_, mask in side], width) for side in sides]),
        role=torch.tensor([[ROLES[role] for _, role, _ in side] for side in sides]),
        speaker=torch.tensor(speakers),
        emotion=torch.from_numpy(emotions),
        prosody=functional.pad(torch.from_numpy(prosody), (0, 1), value=1.0),
        prosody_known=torch.tensor([float(e["prosody_known"]) for e in examples]),
        **flags,
        pitch=stack([_pitch(t) for t in targets], frames),
        level=torch.tensor([float(normalise_prosody(t.prosody)[2]) for t in targets]),
    )


def _pitch(item: Item) -> NDArray[np.float32]:
    """Voicing, log-F0 and energy of an item (3, T), as :class:`Batch` has them."""
    log_f0 = (np.log(item.contour.f0_hz) - PROSODY_MEAN[0]) / PROSODY_STD[0]
    energy = (item.contour.energy_db - PROSODY_MEAN[2]) / PROSODY_STD[2]
    return np.stack([item.contour.voiced, log_f0, energy]).astype(np.float32)
