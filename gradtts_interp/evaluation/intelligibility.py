"""Intelligibility by a recogniser that is not ours: PocketSphinx's free phone loop (extra ``eval``)."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray

from gradtts_interp.errors import InputError

RECOGNISER_RATE_HZ = 16000
SILENCES = {"SIL", "+SPN+", "+NSN+"}


@functools.cache
def _decoder() -> Any:
    try:
        from pocketsphinx import Decoder, get_model_path
    except ImportError as error:
        raise InputError("intelligibility needs PocketSphinx: pip install gradtts-interp[eval]") from error
    return Decoder(
        hmm=get_model_path("en-us/en-us"),
        allphone=get_model_path("en-us/en-us-phone.lm.bin"),
        lw=2.0,
        pip=0.3,
        beam=1e-10,
        pbeam=1e-10,
        loglevel="FATAL",
    )


def recognise_phones(audio: NDArray, sample_rate_hz: int) -> tuple[str, ...]:
    """Recognise phones without any knowledge of words.

    Args:
        audio: Samples (N,) in [-1, 1].
        sample_rate_hz: Their rate.

    Returns:
        ARPAbet phones without stress, silences left out.

    Raises:
        InputError: PocketSphinx is not installed.
    """
    samples = torch.as_tensor(np.asarray(audio, dtype=np.float32))
    samples = torchaudio.functional.resample(samples, sample_rate_hz, RECOGNISER_RATE_HZ)
    peak = float(samples.abs().max())
    scaled = samples * (0.7 / peak if peak > 0 else 1.0)  # the recogniser's own level, so that loudness does not count
    data = (scaled * 32767).round().clamp(-32768, 32767).to(torch.int16).numpy().tobytes()
    decoder = _decoder()
    decoder.reinit_feat()  # forget the features of earlier utterances, or their order would count
    decoder.start_utt()
    decoder.process_raw(data, full_utt=True)
    decoder.end_utt()
    return tuple(s.word for s in decoder.seg() if s.word not in SILENCES)


def plain_phones(tokens: Sequence[str]) -> tuple[str, ...]:
    """Phones of a token sequence without stress, pauses and punctuation; ``@AH0`` and ``AH0`` give ``AH``."""
    found = [re.sub(r"\d", "", token.lstrip("@")) for token in tokens]
    return tuple(phone for phone in found if phone.isalpha())


def phone_error_rate(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> float:
    """Edit distance over reference length, over all utterances together.

    Args:
        references: Phones that should be heard.
        hypotheses: Phones that were recognised.

    Returns:
        Rate >= 0; 0 is perfect.

    Raises:
        InputError: Nothing to compare, or lists of different length.
    """
    import jiwer

    if not references or len(references) != len(hypotheses):
        raise InputError(f"{len(references)} references and {len(hypotheses)} hypotheses: expected equal numbers > 0")
    return float(jiwer.wer([" ".join(r) for r in references], [" ".join(h) for h in hypotheses]))
