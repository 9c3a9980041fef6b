"""Tasks about single styles: is it understood, does it follow its reference, is it the right voice and manner."""

from __future__ import annotations

import numpy as np

from benchmarks.quality.context import QualityContext, foreign_references
from gradtts_interp.audio import read_audio
from gradtts_interp.corpus.speakers import EMOTIONS, main_base, speaker_voice
from gradtts_interp.corpus.teacher import VOICES
from gradtts_interp.evaluation.contours import level_semitones
from gradtts_interp.evaluation.speakers import cosine_similarity
from gradtts_interp.pitch.contour import Contour, prosody_vector, second_opinion

SPEAKER_SENTENCES = 3
RECORDINGS = ", recordings"
FACTORS = {"F0 level": "semitones", "F0 range": "f0_range", "rate": "rate", "energy": "energy_db"}


def following(context: QualityContext, index: int) -> list[dict]:
    """F0 level and spread of a render against those of its held-out reference, and likeness of the voice."""
    entry = context.unseen[index]
    style = context.style(entry)
    speech = context.render(context.sentence(index), style)
    error = abs(level_semitones(style.contour, speech.contour))
    rate = context.mel.sample_rate_hz
    likeness = cosine_similarity(
        context.encoder.embed(context.audio(entry), rate), context.encoder.embed(speech.audio, rate)
    )
    return [
        {
            "condition": "held-out reference",
            "item": entry["id"],
            "F0 error (semitones)": error,
            "within 1 semitone": float(error <= 1),
            "F0 spread of reference": float(prosody_vector(style.contour)[1]),
            "F0 spread of render": float(prosody_vector(speech.contour)[1]),
            "speaker similarity": likeness,
        }
    ]


def foreign(context: QualityContext, index: int) -> list[dict]:
    """A reference that training knows nothing of: F0 level of a render, and whose voice a public encoder takes it for.

    The encoder chooses among other recordings of all these voices. The reference itself is looked up there too, which
    says how well it can be done.
    """
    path = foreign_references()[index]
    style = context.tts.style(path)
    rate = context.mel.sample_rate_hz
    heard = {"recording": (style.contour, read_audio(path, rate).numpy())}
    for steps in (0, context.setting.steps):
        speech = context.render(context.sentence(index), style, num_inference_steps=steps)
        # Read as the reference was, since DIO takes octaves for the pitch of creaky voices.
        contour, _ = second_opinion(speech.audio, speech.contour, context.mel)
        heard["prior alone" if steps == 0 else "model"] = (contour, speech.audio)
    rows = []
    for condition, (contour, audio) in heard.items():
        error = abs(level_semitones(style.contour, contour))
        likeness = context.foreign_voices @ context.public_embedding(audio, rate)
        rows.append(
            {
                "condition": condition,
                "item": path.stem,
                "F0 error (semitones)": error,
                "within 1 semitone": float(error <= 1),
                "voice found among all": float(likeness.argmax() == index),
                "rank": float(1 + (likeness > likeness[index]).sum()),
                "cosine": float(likeness[index]),
            }
        )
    return rows


def speakers(context: QualityContext, index: int) -> list[dict]:
    """Is the render of a named speaker taken for that speaker, by an encoder trained on recordings."""
    speaker, sentence = divmod(index, SPEAKER_SENTENCES)
    rate = context.mel.sample_rate_hz
    natural = next(e for e in context.named if e["speaker"] == speaker)
    speech = context.render(context.sentence(sentence), context.tts.style(speaker=speaker))
    rows = []
    for condition, audio in (("recording", context.audio(natural)), ("model", speech.audio)):
        found = context.encoder.identify(audio, rate)
        voice = speaker_voice(speaker)
        row = {"condition": condition, "item": f"speaker {speaker}, sentence {sentence}"}
        row["top-1 of 16"] = float(found["speaker"] == speaker)
        row["base voice"] = float(found["base"] == VOICES[main_base(voice.timbre)])
        row["formant factor, error"] = abs(found["formant_factor"] - voice.formant)
        row["similarity to the speaker"] = found["similarity"][speaker]
        rows.append(row)
    return rows


def emotions(context: QualityContext, index: int) -> list[dict]:
    """Do the five emotions of a speaker differ as designed: order of F0 level, range, rate, energy.

    The recordings that the model learnt from are measured alike: what they do not do, the model cannot have learnt.
    """
    model, recordings = {}, {}
    for emotion in EMOTIONS:
        style = context.tts.style(speaker=index, emotion=emotion)
        spoken = [context.render(context.sentence(i), style) for i in range(2)]
        model[emotion] = np.mean([_manner(s.contour, len(s.durations)) for s in spoken], axis=0)
        recordings[emotion] = np.mean([_manner(*heard) for heard in context.bank(index, emotion)], axis=0)
    rows = []
    for ending, measured in (("", model), (RECORDINGS, recordings)):
        for place, (factor, key) in enumerate(FACTORS.items()):
            pairs = [(a, b) for a in EMOTIONS for b in EMOTIONS if EMOTIONS[a][key] < EMOTIONS[b][key]]
            right = [float(measured[a][place] < measured[b][place]) for a, b in pairs]
            row = {"condition": factor + ending, "item": f"speaker {index}", "whole order right": float(all(right))}
            row["pairs right"] = float(np.mean(right))
            lowest, highest = (pick(EMOTIONS, key=lambda e: EMOTIONS[e][key]) for pick in (min, max))
            found = [pick(measured, key=lambda e: measured[e][place]) for pick in (min, max)]
            row["lowest and highest right"] = float(found == [lowest, highest])
            rows.append(row)
    return rows


def _manner(contour: Contour, tokens: int) -> np.ndarray:
    """F0 level, F0 spread, tokens per second, level in dB."""
    level, spread, energy, _ = prosody_vector(contour)
    return np.array([level, spread, tokens * contour.frame_rate_hz / len(contour), energy])


def encoder(context: QualityContext, index: int) -> list[dict]:
    """The encoder of timbre itself, on held-out recordings."""
    entry = (context.named + context.unseen)[index]
    found = context.encoder.identify(context.audio(entry), context.mel.sample_rate_hz)
    named = entry["speaker"] is not None
    row = {"condition": "held-out sentence" if named else "held-out voice", "item": entry["id"]}
    row["top-1 of 16"] = float(found["speaker"] == entry["speaker"]) if named else None
    row["base voice"] = float(found["base"] == VOICES[main_base(entry["factors"]["timbre"])])
    row["formant factor, error"] = abs(found["formant_factor"] - entry["factors"]["formant"])
    return [row]
