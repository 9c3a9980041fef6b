"""Configurations: the mel contract shared with the vocoder, and the shape of the model."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gradtts_interp.errors import CheckpointError, InputError

GREATEST_EMPHASIS = 2.0
PRIORS = ("token", "frame")


@dataclass(frozen=True)
class MelConfig:
    """The mel contract: everything two models must agree on to exchange a log-mel.

    Attributes:
        sample_rate_hz: Samples per second of the audio.
        n_fft: Points of the Fourier transform.
        hop_samples: Samples from one frame to the next.
        window_samples: Samples under the Hann window.
        n_mels: Number of mel bins (M).
        fmin_hz: Lower edge of the lowest filter.
        fmax_hz: Upper edge of the highest filter.
        log_floor: Smallest mel magnitude before the logarithm.
        log_base: ``"e"``: natural logarithm, the only base in use in this family.
    """

    sample_rate_hz: int = 22050
    n_fft: int = 1024
    hop_samples: int = 256
    window_samples: int = 1024
    n_mels: int = 80
    fmin_hz: float = 0.0
    fmax_hz: float = 8000.0
    log_floor: float = 1e-5
    log_base: str = "e"

    @property
    def frame_rate_hz(self) -> float:
        """Mel frames per second."""
        return self.sample_rate_hz / self.hop_samples

    @property
    def log_silence(self) -> float:
        """The log-mel value of digital silence."""
        return math.log(self.log_floor)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> MelConfig:
        """Build from a mapping; an unknown or missing field is an error that names it."""
        return _from_dict(cls, values, "mel contract")

    def require_same(self, other: MelConfig, mine: str, theirs: str) -> None:
        """Raise unless ``other`` is the same contract.

        Args:
            other: The contract to compare with.
            mine: What this contract belongs to, for the message.
            theirs: What ``other`` belongs to.

        Raises:
            CheckpointError: A field differs; the message names the first one.
        """
        for f in dataclasses.fields(self):
            left, right = getattr(self, f.name), getattr(other, f.name)
            if left != right:
                raise CheckpointError(f"mel contracts differ: {f.name} is {left} for {mine} but {right} for {theirs}")


@dataclass(frozen=True)
class StyleConfig:
    """Style encoder and cross-attention. Absent for official checkpoints.

    Attributes:
        width: Channels of style tokens (D).
        patch_bins: Mel bins under one reference token.
        patch_frames: Frames under one reference token.
        heads: Attention heads of each cross-attention site.
        sites: U-Net places with cross-attention, of ``down0 down1 down2 mid up0 up1``.
        n_speakers: Rows of the speaker-token table; 0 for none.
        emotion_dim: Size of an emotion vector; 0 for none.
        prosody: Always true: the networks read a prosody vector per frame.
        pitch: Always true: they are shown an F0 contour.
    """

    width: int = 128
    patch_bins: int = 4
    patch_frames: int = 8
    heads: int = 4
    sites: tuple[str, ...] = ("down1", "down2", "mid", "up0")
    n_speakers: int = 0
    emotion_dim: int = 0
    prosody: bool = True
    pitch: bool = True

    def __post_init__(self) -> None:
        """Let JSON lists stand for tuples, and refuse models that know nothing of pitch."""
        object.__setattr__(self, "sites", tuple(self.sites))
        if not (self.prosody and self.pitch):
            raise InputError(f"style with prosody {self.prosody} and pitch {self.pitch}: expected both to be true")


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the acoustic model; names as in the official Grad-TTS where they exist there.

    Attributes:
        n_vocab: Symbols, the blank included.
        n_spks: Speakers of the official embedding; 1 means no speaker input.
        spk_emb_dim: Width of the official speaker embedding.
        n_enc_channels: Text-encoder width.
        filter_channels: Text-encoder feed-forward width.
        filter_channels_dp: Duration-predictor width.
        n_heads: Text-encoder attention heads.
        n_enc_layers: Text-encoder layers.
        enc_kernel: Feed-forward kernel of the text encoder.
        enc_dropout: Text-encoder dropout.
        window_size: Reach of relative positions.
        n_feats: Mel bins (M).
        dec_dim: Base width of the U-Net; 0 for none, a model of the prior alone, which needs ``prior`` "frame".
        beta_min: Noise schedule at t = 0.
        beta_max: Noise schedule at t = 1.
        pe_scale: Factor on diffusion time before its position code (1 or 1000).
        patch: 1 official; 2 folds 2x2 mel points into channels.
        prediction: What the network answers: ``"score"`` (official), ``"epsilon"`` (the noise), or ``"v"`` (velocity).
        prior: What the diffusion starts around: ``"token"`` (official), a vector a phone; ``"frame"``, the mean mel
            that a network over frames predicts from phones, durations, pitch, energy and style: what models with
            ``style`` have.
        prior_width: Channels of a frame prior.
        prior_phone_layers: Blocks over phones of a frame prior.
        prior_frame_layers: Blocks over frames of a frame prior.
        timbre_width: Channels of the encoder that gives a frame prior the pooled style.
        residual_std: Spread of the mel around its prior, which the diffusion sees divided by it; 1 official.
        temperature: What the initial noise is divided by where a call does not say; 1.5 official.
        formant_emphasis: What the formants of a sampled mel are multiplied by before it is decoded; 1 official.
        mel_mean: Subtracted from log-mels before the network.
        mel_std: Divides log-mels before the network.
        add_blank: Whether blanks are interspersed between tokens.
        word_boundaries: Whether a space token stands between words.
        style: Style encoder and attention, or None for an official model.
        mel: The mel contract.
    """

    n_vocab: int = 149
    n_spks: int = 1
    spk_emb_dim: int = 64
    n_enc_channels: int = 192
    filter_channels: int = 768
    filter_channels_dp: int = 256
    n_heads: int = 2
    n_enc_layers: int = 6
    enc_kernel: int = 3
    enc_dropout: float = 0.1
    window_size: int = 4
    n_feats: int = 80
    dec_dim: int = 64
    beta_min: float = 0.05
    beta_max: float = 20.0
    pe_scale: float = 1000
    patch: int = 1
    prediction: str = "score"
    prior: str = "token"
    prior_width: int = 256
    prior_phone_layers: int = 5
    prior_frame_layers: int = 8
    timbre_width: int = 192
    residual_std: float = 1.0
    temperature: float = 1.5
    formant_emphasis: float = 1.0
    mel_mean: float = 0.0
    mel_std: float = 1.0
    add_blank: bool = True
    word_boundaries: bool = True
    style: StyleConfig | None = None
    mel: MelConfig = field(default_factory=MelConfig)

    def __post_init__(self) -> None:
        """Refuse priors that there are not."""
        if self.prior not in PRIORS:
            raise InputError(f"prior {self.prior!r}: expected one of {', '.join(PRIORS)}")
        if (self.prior == "frame") != (self.style is not None):
            given = "no style" if self.style is None else "style"
            raise InputError(f"prior {self.prior!r} with {given}: expected 'frame' with style, or 'token' without")
        if not 0 < self.residual_std < math.inf:
            raise InputError(f"residual_std {self.residual_std}: expected a finite number > 0")
        if not 0 < self.temperature < math.inf:
            raise InputError(f"temperature {self.temperature}: expected a finite number > 0")
        if not 0 <= self.formant_emphasis <= GREATEST_EMPHASIS:
            raise InputError(f"formant_emphasis {self.formant_emphasis}: expected 0 to {GREATEST_EMPHASIS:g}")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Build from a mapping; an unknown field is an error that names it."""
        values = dict(values)
        if values.get("style") is not None:
            values["style"] = _from_dict(StyleConfig, values["style"], "style configuration")
        if "mel" in values:
            values["mel"] = MelConfig.from_dict(values["mel"])
        return _from_dict(cls, values, "model configuration")


def _from_dict(cls: type, values: dict[str, Any], what: str) -> Any:
    """Build a config dataclass from a mapping with a clear error for strange fields."""
    if not isinstance(values, dict):
        raise InputError(f"{what}: expected a JSON object, got {type(values).__name__}")
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(f"{what}: unknown field {unknown[0]!r}; expected some of {sorted(known)}")
    try:
        return cls(**values)
    except TypeError as error:  # a list or a word where a number belongs
        raise InputError(f"{what}: {error}") from error


_READERS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str}
_WRITTEN: dict[Any, str] = {int: "a whole number", float: "a number"}


def readers_of(kind: type, names: Iterable[str] | None = None) -> dict[str, Callable[[str], Any]]:
    """How a field of a dataclass is read as it is written on the command line, by its name; of all if None."""
    types = {f.name: str(f.type).removesuffix(" | None") for f in dataclasses.fields(kind)}
    return {name: _READERS[types[name]] for name in (types if names is None else names)}


def parse_settings(written: Iterable[str], readers: Mapping[str, Callable[[str], Any]], what: str) -> dict[str, Any]:
    """Read settings as they are written on the command line.

    Args:
        written: ``name=value`` each.
        readers: How the value of each name is read.
        what: What they are settings of, for the message.

    Returns:
        Value by name.

    Raises:
        InputError: A name or value is none of these.
    """
    values: dict[str, Any] = {}
    for setting in written:
        name, equals, value = (part.strip() for part in setting.partition("="))
        if name not in readers or not equals:
            raise InputError(f"{what} {setting!r}: expected name=value, with a name of {', '.join(readers)}")
        try:
            values[name] = readers[name](value)
        except ValueError as error:
            raise InputError(f"{what} {setting!r}: expected {_WRITTEN.get(readers[name], 'another value')}") from error
    return values


def help_of_settings(kind: type) -> dict[str, str]:
    """What the docstring of a dataclass says of each of its attributes, as help texts of a command are written."""
    attributes = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", attributes, re.MULTILINE)
    texts = {name: " ".join(text.replace("``", "").split()).rstrip(".") for name, text in found}
    return {name: text[:1].lower() + text[1:] for name, text in texts.items()}


def add_settings(parser: argparse.ArgumentParser, kind: type, names: Iterable[str]) -> None:
    """Declare an option for each of some numbers of a dataclass, with its default and what its docstring says of it.

    Args:
        parser: Parser of a command.
        kind: The dataclass.
        names: Names of its fields; an option has dashes for underscores.
    """
    defaults, texts = {f.name: f.default for f in dataclasses.fields(kind)}, help_of_settings(kind)
    for name, reader in readers_of(kind, names).items():
        default = defaults[name]
        text = texts[name] if default is None else f"{texts[name]} (default: %(default)s)"
        parser.add_argument("--" + name.replace("_", "-"), type=reader, default=default, help=text)
