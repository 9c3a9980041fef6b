"""From what was computed for a batch to the utterance that a user gets."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from torch import Tensor

from gradtts_interp.interpolation.attention.recorder import AttentionMapRecorder, StyleMassRecorder
from gradtts_interp.interpolation.noise.tuner import NoiseTuner
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.placement import Prepared, token_names, word_spans
from gradtts_interp.speech import Speech
from gradtts_interp.text.frontend import TokenizedText

logger = logging.getLogger(__name__)


def speech_of(
    model: GradTTS,
    i: int,
    text: TokenizedText,
    prepared: Prepared,
    mel: Tensor,
    audio: Tensor,
    noise: Tensor,
    settings: dict[str, Any],
    recorder: StyleMassRecorder | None,
    tuning: NoiseTuner | None,
) -> Speech:
    """Put together what is known of one line.

    Args:
        model: The model that spoke.
        i: Place of the line in the batch.
        text: The line.
        prepared: The batch.
        mel: Its log-mel (M, T).
        audio: Its samples (N,).
        noise: The noise it was made from (M, T).
        settings: How it was made.
        recorder: What recorded attention, or None.
        tuning: What tuned the noise, or None.

    Returns:
        The utterance.
    """
    blank = model.settings.add_blank
    durations = prepared.durations[i, : len(text.ids)].tolist()
    maps = (
        recorder.maps_of_item(i, text.tokens, settings["styles"])
        if isinstance(recorder, AttentionMapRecorder)
        else None
    )
    notes = [f"not in the dictionary: {o.word} as {' '.join(o.phones)} ({o.how})" for o in text.out_of_dictionary]
    shares = prepared.maps[i] if prepared.maps is not None else None
    if shares is not None and shares.exaggerated:
        beyond = f"the share of {', '.join(shares.exaggerated)} leaves 0 to 1, where what is realised may not follow it"
        logger.warning(beyond)
        notes.append(beyond)
    return Speech(
        text=text.text,
        audio=audio.float().cpu().numpy(),
        mel=mel.float().numpy(),
        shares=shares,
        durations=np.asarray(durations, dtype=np.int64),
        tokens=token_names(text, blank),
        words=word_spans(text, durations, blank),
        noise=noise.numpy(),
        attention=None if recorder is None else recorder.of_item(i, mel.shape[-1]),
        tuning=None if tuning is None else tuning.trace.of_item(i, mel.shape[-1]),
        attention_maps=maps,
        settings=settings,
        mel_config=model.settings.mel,
        notes=(*notes, *text.warnings),
    )
