"""Shares and dropouts of the training mix, and how they are written on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from gradtts_interp.errors import InputError


@dataclass(frozen=True)
class MixConfig:
    """Shares of the training mix and its dropouts, all probabilities in [0, 1].

    Attributes:
        matched: One reference of the target's own style.
        dual: Pitch from one reference, voice from another.
        blend: Two styles with a known share over time.
        either: Two references offered alike, of which the target follows one, or one and then the other, or one in
            pitch and the other in voice; nothing else is said of style, pitch or energy, so that the noise decides.
        null: The style attention reads the null token (for guidance).
        null_text: The text encoder gets the null style.
        drop_prosody: The prosody vector is withheld from the score network.
        drop_name: Speaker and emotion tokens are withheld, drawn for each.
        drop_tokens: A random half of a reference's patches is hidden.
        one_sided: Of dual and blended items, the text encoder and the prosody numbers follow one style only, so that
            style attention alone says where the other is heard.
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
    either: float = 0.0
    null: float = 0.1
    null_text: float = 0.05
    drop_prosody: float = 0.25
    drop_name: float = 0.5
    drop_tokens: float = 0.2
    one_sided: float = 0.0
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
    """Read a training mix as it is written on the command line.

    Args:
        settings: ``name=value`` each, names of :class:`MixConfig`.

    Returns:
        The mix; what is not named is as by default.

    Raises:
        InputError: A name or value is none of these.
    """
    readers = {field.name: int if field.type == "int" else float for field in fields(MixConfig)}
    values: dict[str, Any] = {}
    for written in settings:
        name, _, value = (part.strip() for part in written.partition("="))
        try:
            values[name] = readers[name](value)
        except (KeyError, ValueError) as error:
            raise InputError(
                f"training mix {written!r}: expected name=number, with a name of {', '.join(readers)}"
            ) from error
    return MixConfig(**values)
