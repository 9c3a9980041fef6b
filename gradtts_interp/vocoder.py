"""From log-mel back to a waveform: a harmonic source under a filter, HiFi-GAN, or Griffin-Lim without a network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from gradtts_interp import files
from gradtts_interp.audio import mel_filters
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.models.precision import arithmetic
from gradtts_interp.pitch.contour import fill_unvoiced
from hifigan import CONFIGS, AnyConfig, Generator, GeneratorConfig, HarmonicConfig, HarmonicGenerator
from hifigan.generator import to_fused
from hifigan.harmonic import centre_phase

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
# The names that the mel contract has in an official config.json.
_OFFICIAL_MEL_FIELDS = {
    "sampling_rate": "sample_rate_hz", "n_fft": "n_fft", "hop_size": "hop_samples", "win_size": "window_samples",
    "num_mels": "n_mels", "fmin": "fmin_hz", "fmax": "fmax_hz",
}  # fmt: skip

EDGE_FRAMES = 2
"""Frames repeated on either side, so that the signal is longer than half a transform and its ends are not bent."""

MOMENTUM = 0.9
INVERSE_ROUNDS = 30

PitchContour = tuple[Tensor, Tensor]
"""F0 in Hz, > 0 everywhere, and voicing from 0 to 1, of each mel frame: (T,) each."""

AnyGenerator: TypeAlias = Generator | HarmonicGenerator

KINDS: dict[str, type[AnyConfig]] = {"hifigan": GeneratorConfig, "harmonic": HarmonicConfig}
"""Configuration of a generator by its kind, as a saved vocoder names it."""


class MelDecoder(nn.Module):
    """What every vocoder of this library does; a subclass says how one mel is decoded.

    Args:
        mel_config: The mel contract of the vocoder.
    """

    def __init__(self, mel_config: MelConfig) -> None:
        super().__init__()
        self.mel_config = mel_config

    @property
    def kind(self) -> str:
        """Name of what decodes."""
        return type(self).__name__

    def forward(self, mel: Tensor, mel_config: MelConfig, contour: PitchContour | None = None) -> Tensor:
        """Decode log-mels of one length.

        Args:
            mel: Log-mel (M, T) or (B, M, T).
            mel_config: The contract that ``mel`` was made by.
            contour: F0 in Hz and voicing, (T,) or (B, T) each. A vocoder with a harmonic source gives the audio exactly
                this F0, and reads one from the mel if None; the others follow the mel alone.

        Returns:
            Samples (N,) or (B, N) in [-1, 1], N = T * hop_samples.

        Raises:
            CheckpointError: The contracts differ.
            InputError: ``mel`` has another shape, no frames, or values that are not finite; or the contour does not
                belong to it.
        """
        self._require(mel, mel_config, contour)
        if mel.ndim == 3:
            return self._decode(mel, contour)
        return self._decode(mel[None], contour and (contour[0][None], contour[1][None]))[0]

    def decode(
        self, mels: Sequence[Tensor], mel_config: MelConfig, contours: Sequence[PitchContour] | None = None
    ) -> list[Tensor]:
        """Decode log-mels of several lengths, each at its own, so that padding never reaches the audio.

        Args:
            mels: Log-mels (M, T), T differing.
            mel_config: The contract that they were made by.
            contours: F0 in Hz and voicing of each, see :meth:`forward`.

        Returns:
            Samples (N,) of each, equal to what it gives alone.
        """
        given = [None] * len(mels) if contours is None else contours
        return [self(mel, mel_config, contour) for mel, contour in zip(mels, given, strict=True)]

    @property
    def context_frames(self) -> int:
        """Frames on each side that a frame's samples depend on."""
        raise NotImplementedError

    def decode_chunks(
        self, mel: Tensor, mel_config: MelConfig, contour: PitchContour | None = None, *, chunk_frames: int = 512
    ) -> Iterator[Tensor]:
        """Decode a mel of any length in pieces, each with its context on both sides, which is then thrown away.

        Memory depends on the piece and its context, not on the length of the mel.

        Args:
            mel: Log-mel (M, T).
            mel_config: The contract that ``mel`` was made by.
            contour: F0 in Hz and voicing (T,), see :meth:`forward`.
            chunk_frames: Frames of a piece; the last may be shorter.

        Yields:
            Tensor: Samples of each piece; in a row they are those of the mel decoded at once, but for rounding.

        Raises:
            InputError: ``chunk_frames`` is below 1, or the mel is no (M, T), or the contour does not belong to it.
        """
        if chunk_frames < 1 or mel.ndim != 2:
            raise InputError(f"chunks of {chunk_frames} frames of a mel {tuple(mel.shape)}; expected >= 1 and (M, T)")
        self._require(mel, mel_config, contour)
        frames = mel.shape[1]
        chunks = [slice(start, min(start + chunk_frames, frames)) for start in range(0, frames, chunk_frames)]
        contour = self._contour_of_chunks(mel, chunks) if contour is None else contour
        for chunk in chunks:
            yield self.decode_span(mel, mel_config, chunk, contour)

    def decode_span(
        self, mel: Tensor, mel_config: MelConfig, frames: slice, contour: PitchContour | None = None
    ) -> Tensor:
        """Decode some frames of a mel as they sound in the whole; no more of it is read than their context.

        Args:
            mel: Log-mel (M, T).
            mel_config: The contract that ``mel`` was made by.
            frames: Start and stop of the frames in [0, T].
            contour: F0 in Hz and voicing (T,), see :meth:`forward`.

        Returns:
            Samples of these frames; a harmonic source without a contour does not go on with its phase.
        """
        start, hop = max(0, frames.start - self.context_frames), self.mel_config.hop_samples
        piece = slice(start, frames.stop + self.context_frames)
        part = contour and (contour[0][piece], contour[1][piece])
        self._require(mel[:, piece], mel_config, part)
        before = contour and contour[0][: start + 1]
        audio = self._decode(mel[None, :, piece], part and (part[0][None], part[1][None]), before)[0]
        return audio[(frames.start - start) * hop : (frames.stop - start) * hop]

    def _contour_of_chunks(self, mel: Tensor, chunks: Sequence[slice]) -> PitchContour | None:
        """The contour that is read from a mel of any length; None for a vocoder that reads none."""
        return None

    def _require(self, mel: Tensor, mel_config: MelConfig, contour: PitchContour | None) -> None:
        """Raise unless a mel, by its contract, and its contour can be decoded."""
        self.mel_config.require_same(mel_config, "the vocoder", "the mel")
        bins = self.mel_config.n_mels
        if mel.ndim not in (2, 3) or mel.shape[-2] != bins or 0 in mel.shape:
            raise InputError(f"mel of shape {tuple(mel.shape)}; expected ({bins}, T) or (B, {bins}, T) with T > 0")
        strange = int((~torch.isfinite(mel)).sum())
        if strange:
            raise InputError(f"{strange} of {mel.numel()} mel values are NaN or infinite")
        if contour is None:
            return
        (f0_hz, voiced), shape = contour, (*mel.shape[:-2], mel.shape[-1])
        if f0_hz.shape != shape or voiced.shape != shape:
            shapes = f"{tuple(f0_hz.shape)}, {tuple(voiced.shape)}"
            raise InputError(f"contour of shapes {shapes}; expected {shape} as the mel")
        if not (torch.isfinite(f0_hz).all() and (f0_hz > 0).all()):
            raise InputError("contour with an F0 that is not finite and > 0; expected unvoiced frames interpolated")

    def _decode(self, mel: Tensor, contour: PitchContour | None, before: Tensor | None = None) -> Tensor:
        """Decode (B, M, T), with a contour (B, T) or without, to (B, N).

        Of a piece of a longer signal, ``before`` is the F0 of all frames up to its first, that one among them.
        """
        raise NotImplementedError


class Vocoder(MelDecoder):
    """A trained generator, HiFi-GAN or one with a harmonic source, for inference; gradients pass from audio to mel.

    Args:
        config: Shape of the generator.
        mel_config: The mel contract it was trained on.
        refinement_rounds: Rounds of :func:`refine_phase` after a HiFi-GAN; 0 for one
            trained to the end, as the official ones are, and for a harmonic source, whose phase is right.
    """

    def __init__(self, config: AnyConfig, mel_config: MelConfig | None = None, *, refinement_rounds: int = 0) -> None:
        super().__init__(mel_config or MelConfig())
        if isinstance(refinement_rounds, bool) or not isinstance(refinement_rounds, int) or refinement_rounds < 0:
            raise InputError(f"refinement rounds {refinement_rounds!r}: expected a whole number >= 0; 0 is off")
        if refinement_rounds and isinstance(config, HarmonicConfig):
            raise InputError(f"refinement rounds {refinement_rounds} for a harmonic source; expected 0")
        self.refinement_rounds = refinement_rounds
        harmonic = isinstance(config, HarmonicConfig)
        more = ("sample_rate_hz", "n_fft", "fmin_hz", "fmax_hz") if harmonic else ()
        for name in ("hop_samples", "num_mels", *more):
            mine, wanted = getattr(config, name), getattr(self.mel_config, _OFFICIAL_MEL_FIELDS.get(name, name))
            if mine != wanted:
                raise CheckpointError(f"generator has {name} {mine}; the mel contract has {wanted}")
        self.generator: AnyGenerator = HarmonicGenerator(config) if harmonic else Generator(config).fuse()
        self.generator.eval()
        self.precision = "fp32"  # of the generator's arithmetic

    @property
    def kind(self) -> str:
        """Kind of the generator, a name of :data:`KINDS`."""
        return "harmonic" if isinstance(self.generator, HarmonicGenerator) else "hifigan"

    @property
    def context_frames(self) -> int:
        """Frames on each side that a frame's samples depend on: of the generator, and four for each refinement."""
        return generator_context(self.generator.config) + _transform_context(self.mel_config, self.refinement_rounds)

    @torch.no_grad()
    def read_contour(self, mel: Tensor) -> PitchContour:
        """Read F0 and voicing from mels, as is done where no contour is given.

        Args:
            mel: Log-mel (M, T) or (B, M, T).

        Returns:
            F0 in Hz, interpolated through unvoiced frames, and voicing, 0 or 1; (T,) or (B, T) each.

        Raises:
            InputError: The generator has no harmonic source.
        """
        if not isinstance(self.generator, HarmonicGenerator):
            raise InputError("a HiFi-GAN reads no contour; expected a vocoder with a harmonic source")
        rows = mel if mel.ndim == 3 else mel[None]
        log_f0, voicing = self.generator.pitch(rows.to(self.generator.window))
        voiced = voicing > 0
        pairs = zip(log_f0.exp().cpu().numpy(), voiced.cpu().numpy(), strict=True)
        f0_hz = torch.from_numpy(np.stack([fill_unvoiced(f0, flags) for f0, flags in pairs])).to(log_f0)
        return (f0_hz, voiced.to(f0_hz)) if mel.ndim == 3 else (f0_hz[0], voiced[0].to(f0_hz))

    def _decode(self, mel: Tensor, contour: PitchContour | None, before: Tensor | None = None) -> Tensor:
        if isinstance(self.generator, HarmonicGenerator):
            return self._decode_harmonic(mel, contour or self.read_contour(mel), before)
        parameter = next(self.parameters())
        with arithmetic(self.precision, parameter.device):
            audio = self.generator(mel.to(parameter))[:, 0].to(parameter.dtype)
        if self.refinement_rounds == 0:
            return audio
        magnitude = mel_magnitudes(mel.to(audio.device), self.mel_config)
        return refine_phase(audio.to(magnitude), magnitude, self.mel_config, rounds=self.refinement_rounds)

    def _decode_harmonic(self, mel: Tensor, contour: PitchContour, before: Tensor | None) -> Tensor:
        window, config, place = self.generator.window, self.generator.config, {}
        f0_hz, voiced = contour[0].to(window.device), contour[1].to(window)
        if before is not None:
            phase = centre_phase(before[None], config.sample_rate_hz, config.hop_samples)[:, -1]
            place = {"first_frame": len(before) - 1, "start_phase": phase}
        with arithmetic(self.precision, window.device):
            audio = self.generator(mel.to(window), f0_hz, voiced, **place)
        return audio[:, 0].clamp(-1.0, 1.0)

    def _contour_of_chunks(self, mel: Tensor, chunks: Sequence[slice]) -> PitchContour | None:
        if not isinstance(self.generator, HarmonicGenerator):
            return None
        # Gaps between voiced frames are filled over the whole.
        parts = []
        for chunk in chunks:
            start = max(0, chunk.start - self.context_frames)
            pair = self.read_contour(mel[:, start : chunk.stop + self.context_frames])
            parts.append([track[chunk.start - start : chunk.stop - start] for track in pair])
        f0_hz, voiced = (torch.cat(tracks) for tracks in zip(*parts, strict=True))
        filled = fill_unvoiced(f0_hz.cpu().numpy(), voiced.cpu().numpy() > 0)
        return torch.from_numpy(filled).to(f0_hz), voiced

    @classmethod
    def from_generator(
        cls, generator: AnyGenerator, mel_config: MelConfig | None = None, *, refinement_rounds: int = 0
    ) -> Vocoder:
        """Copy a generator in training (weight-normed or fused) into a vocoder."""
        vocoder = cls(generator.config, mel_config, refinement_rounds=refinement_rounds)
        _load(vocoder.generator, generator.state_dict(), "the generator")
        return vocoder

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Vocoder:
        """Load a vocoder of this library.

        Args:
            folder: Holds ``config.json`` (kind, generator and mel contract) and ``model.safetensors``.

        Returns:
            The vocoder on the CPU.

        Raises:
            CheckpointError: A file is missing, damaged, or does not fit the other; the message names the culprit.
        """
        folder = Path(folder)
        values = files.read_json(folder / CONFIG_FILE)
        try:
            config = KINDS[values.get("kind", "hifigan")].from_dict(values["generator"])
            mel_config = MelConfig.from_dict(values["mel"])
            vocoder = cls(config, mel_config, refinement_rounds=values.get("refinement_rounds", 0))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{folder / CONFIG_FILE} is no vocoder configuration: {error}") from error
        weights = folder / WEIGHTS_FILE
        _load(vocoder.generator, files.read_safetensors(weights), str(weights))
        return vocoder

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors`` (fused weights), each whole or not at all.

        Args:
            folder: Where to write; made when missing.
        """
        folder = Path(folder)
        state = {name: value.detach().cpu().contiguous() for name, value in self.generator.state_dict().items()}
        files.write_safetensors(folder / WEIGHTS_FILE, state)
        values = {
            "kind": self.kind,
            "generator": self.generator.config.to_dict(),
            "mel": self.mel_config.to_dict(),
            "refinement_rounds": self.refinement_rounds,
        }
        files.write_json(folder / CONFIG_FILE, values)

    @classmethod
    def from_official(cls, path: str | Path) -> Vocoder:
        """Load an official HiFi-GAN generator such as ``generator_v1`` or ``hifigan.pt``.

        Args:
            path: File made by ``torch.save``: a state dict, bare or under ``generator``. The official configuration is
                ``config.json`` beside it; where there is none, the published shape that the weights fit.

        Returns:
            The vocoder on the CPU.

        Raises:
            CheckpointError: A file is missing or damaged, holds code, or fits no configuration; the message names the
                first weight that differs.
        """
        path = Path(path)
        state = _read_official(path)
        config_path = path.parent / CONFIG_FILE
        if not config_path.is_file():
            return _fit_published(cls, state, path)
        values = files.read_json(config_path)
        mel_values = {mine: values[name] for name, mine in _OFFICIAL_MEL_FIELDS.items() if name in values}
        try:
            vocoder = cls(GeneratorConfig.from_dict(values), MelConfig(**mel_values))
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{config_path} is no HiFi-GAN configuration: {error}") from error
        _load(vocoder.generator, state, str(path))
        return vocoder


class GriffinLimVocoder(MelDecoder):
    """Phase by Griffin-Lim over a non-negative inverse of the mel filters: no training, no phase of its own.

    Args:
        mel_config: The mel contract.
        iterations: Rounds of Griffin-Lim.
        inverse_rounds: Rounds of multiplicative updates of the mel inverse.
    """

    def __init__(
        self, mel_config: MelConfig | None = None, *, iterations: int = 60, inverse_rounds: int = INVERSE_ROUNDS
    ) -> None:
        super().__init__(mel_config or MelConfig())
        self.iterations, self.inverse_rounds = iterations, inverse_rounds

    @property
    def context_frames(self) -> int:
        """Frames on each side that a frame's samples depend on: four for each round."""
        return _transform_context(self.mel_config, self.iterations)

    @torch.no_grad()
    def _decode(self, mel: Tensor, contour: PitchContour | None, before: Tensor | None = None) -> Tensor:
        import torchaudio

        config, frames = self.mel_config, mel.shape[-1]
        magnitude = mel_magnitudes(mel, config, rounds=self.inverse_rounds)
        audio = torchaudio.functional.griffinlim(
            nn.functional.pad(magnitude, (EDGE_FRAMES, EDGE_FRAMES), mode="replicate"),
            torch.hann_window(config.window_samples, device=mel.device),
            *(config.n_fft, config.hop_samples, config.window_samples),
            power=1.0,
            n_iter=self.iterations,
            momentum=0.99,
            length=(frames + 2 * EDGE_FRAMES - 1) * config.hop_samples,
            rand_init=False,
        )
        # Griffin-Lim centres frame i at i * hop, the mel at (i + 0.5) * hop.
        start = EDGE_FRAMES * config.hop_samples - config.hop_samples // 2
        return audio[:, start : start + frames * config.hop_samples].clamp(-1.0, 1.0)


@lru_cache(maxsize=8)
def mel_filterbank(config: MelConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """The mel filters of a contract (M, F), and their pseudo-inverse (F, M), on a device."""
    with torch.inference_mode(False):
        filters = torch.from_numpy(mel_filters(config))
        return filters.to(device), torch.linalg.pinv(filters).to(device)


def mel_magnitudes(log_mel: Tensor, config: MelConfig, *, rounds: int = INVERSE_ROUNDS) -> Tensor:
    """Find magnitudes that are not negative behind a mel.

    Args:
        log_mel: Log-mels (B, M, T).
        config: The mel contract.
        rounds: Multiplicative updates (Lee and Seung 2001).

    Returns:
        Magnitudes (B, F, T) whose mels are near.
    """
    filters, inverse = mel_filterbank(config, log_mel.device)
    mel = log_mel.to(filters).exp()
    magnitude = torch.matmul(inverse, mel).clamp(min=config.log_floor)
    target = torch.matmul(filters.T, mel)
    for _ in range(rounds):
        reached = torch.matmul(filters.T, torch.matmul(filters, magnitude))
        magnitude = magnitude * target / reached.clamp(min=1e-12)
    return magnitude


def refine_phase(audio: Tensor, magnitude: Tensor, config: MelConfig, *, rounds: int) -> Tensor:
    """Move audio towards given magnitudes, keeping as much of its phase as fits: fast Griffin-Lim from its own phase.

    A vocoder that is not fully trained repeats its waveform at the frame rate, which is heard as a buzz and measured
    as a wrong F0. A few rounds give back the magnitudes that the mel asks for, and the F0 with them. Above the highest
    filter the mel is silent and the generator is not: what it learnt of that band stays.

    Args:
        audio: Samples (B, N), N = T * hop.
        magnitude: Wanted magnitudes (B, F, T) on the mel's frames.
        config: The mel contract.
        rounds: Rounds, at least 1.

    Returns:
        Samples (B, N).

    Source: Perraudin, Balazs, Soendergaard 2013, "A fast Griffin-Lim algorithm".
    """
    hop, samples = config.hop_samples, audio.shape[-1]
    # Centred frames stand at multiples of the hop, the mel's half a hop later.
    lead = EDGE_FRAMES * hop - hop // 2
    length = samples + 2 * lead
    sizes = (config.n_fft, hop, config.window_samples, torch.hann_window(config.window_samples).to(audio))

    def analyse(x: Tensor) -> Tensor:
        return torch.stft(x, *sizes, return_complex=True)

    def synthesise(spectrum: Tensor) -> Tensor:
        fitted = wanted * spectrum / spectrum.abs().clamp(min=1e-9)
        return torch.istft(fitted, *sizes, length=length)

    wanted = nn.functional.pad(magnitude, (EDGE_FRAMES, EDGE_FRAMES), mode="replicate")
    spectrum = previous = analyse(nn.functional.pad(audio, (lead, lead)))
    covered = mel_filterbank(config, audio.device)[0].sum(0) > 0
    wanted = wanted.where(covered[:, None], spectrum.abs())
    for _ in range(rounds):
        reached = analyse(synthesise(spectrum))
        spectrum, previous = reached + MOMENTUM * (reached - previous), reached
    return synthesise(spectrum)[:, lead : lead + samples].clamp(-1.0, 1.0)


def generator_context(config: AnyConfig) -> int:
    """Frames on each side that a generator's samples depend on: the reach of all its convolutions, rounded up."""
    if isinstance(config, HarmonicConfig):
        return (config.blocks + 1) * (config.kernel // 2) + 2 * (config.n_fft // config.hop_samples)
    reach, rate = 3.0, 1  # of conv_pre, in frames; samples a frame
    for up, kernel in zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True):
        reach += math.ceil(kernel / up) / rate
        rate *= up
        plain = 1 if config.resblock == "1" else 0  # a plain convolution after each dilated one
        blocks = zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True)
        reach += max(sum((size - 1) // 2 * (d + plain) for d in dilations) for size, dilations in blocks) / rate
    return math.ceil(reach + 3.0 / rate)


def _transform_context(config: MelConfig, rounds: int) -> int:
    """Frames that rounds of analysis and synthesis reach, one transform's length each, and what the ends repeat."""
    return (rounds + 1) * -(-config.n_fft // config.hop_samples) + EDGE_FRAMES if rounds else 0


def _read_official(path: Path) -> dict[str, Tensor]:
    """Read the state dict of an official generator file, running no code of it."""
    content = files.read_torch(path)
    state = files.state_dict_of(content, "generator")
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f"{path} holds {found}; expected a state dict, bare or under 'generator'")
    return state


def _fit_published(cls: type[Vocoder], state: dict[str, Tensor], path: Path) -> Vocoder:
    """Load into the published shape whose weights have the same names and shapes."""
    failures = []
    for name in ("v1", "v2", "v3"):
        vocoder = cls(CONFIGS[name])
        try:
            _load(vocoder.generator, state, str(path))
            return vocoder
        except CheckpointError as error:
            failures.append(f"{name}: {error}")
    reasons = "; ".join(failures)
    raise CheckpointError(f"{path} fits none of the published shapes and has no config.json beside it ({reasons})")


def _load(generator: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load weights of any naming into a fused generator; the first that does not fit is named."""
    try:
        state = to_fused(state)
    except ValueError as error:
        raise CheckpointError(f"{source}: {error}") from error
    files.require_same_shapes(state, generator.state_dict(), source=source, owner="generator")
    generator.load_state_dict(state)
