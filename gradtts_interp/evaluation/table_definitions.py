"""Tables of an evaluation: their measures, what is wanted of each, and what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradtts_interp.evaluation.grid import FREQUENCY, MIX, REFERENCE, TIME
from gradtts_interp.evaluation.tables import Column, TableDefinition

SHARE_NAMES = {"f0": "F0", "energy": "level", "envelope": "envelope"}

PER = Column(
    "phone_error_rate",
    "phone error rate",
    wanted="low",
    definition="Edit distance over length between the phones of the text and "
    "those PocketSphinx's free phone loop hears. "
    "Its own errors are in it: compare with A.",
)
WER = Column(
    "word_error_rate",
    "word error rate",
    wanted="low",
    definition="Word edits over words of the text, by the recogniser given with --recogniser. Both sides normalised: "
    "numbers and abbreviations as words, small letters, no punctuation.",
)
CER = Column(
    "character_error_rate", "character error rate", wanted="low", definition="The same for characters, with spaces."
)
KEPT = Column(
    "voicing_kept",
    "voicing kept",
    "",
    "1",
    "Frames where A and B are voiced that are voiced in the blend too. Shares of F0 and envelope are means over these "
    "alone: where few are left, the blend is hoarse, whatever its share.",
)
HEARD = (PER, WER, CER)
TO_A = Column("cosine_to_a", "voice: cosine to A", definition="Cosine of speaker embeddings, the blend's and A's.")
TO_B = Column("cosine_to_b", "voice: cosine to B", definition="Cosine of speaker embeddings, the blend's and B's.")
RTF = Column("rtf", "time factor", definition="Seconds of computing per second of speech, on this machine.")
PEAK = Column(
    "peak_mib", "peak memory", "MiB", definition="Peak of the process (of the device, on CUDA) in a rendering."
)
LOSSES = (
    Column(
        "loss_before", "loss before tuning", definition="Objective of noise tuning at its first step, mean of windows."
    ),
    Column("loss_after", "loss after", definition="The same after its last step."),
)

DISTANCES: tuple[Column, ...] = (
    Column(
        "f0_rms_cents",
        "F0 error, RMS",
        "cents",
        "0",
        "Root mean square of 1200·log2 of the ratio of F0, over frames where both are voiced.",
    ),
    Column("f0_mean_cents", "F0 error, mean", "cents", "0", "Mean of 1200·log2 of the ratio: above 0 is too high."),
    Column("f0_correlation", "F0 r", "", "1", "Pearson correlation of log-F0 where both are voiced."),
    Column("coverage", "F0 coverage", "", "1", "Frames where both are voiced, of those where the reference is."),
    Column("gpe", "GPE", "", "0", "Gross pitch errors: both-voiced frames more than 20 % off."),
    Column("octave", "octave errors", "", "0", "Both-voiced frames within 200 cents of an octave off."),
    Column("vde", "VDE", "", "0", "Voicing decision errors: frames whose voicing differs."),
    Column("ffe", "FFE", "", "0", "F0 frame error: frames with a gross or a voicing error, of all frames."),
    Column("energy_rmse_db", "level error", "dB", "0", "RMS difference of frame levels after removing the mean."),
    Column("energy_correlation", "level r", "", "1", "Pearson correlation of frame levels in dB."),
    Column("mcd_db", "MCD", "dB", "0", "Mel-cepstral distortion without c0, order 34, frames aligned as stated."),
    Column("envelope_db", "envelope", "dB", "0", "Distance of spectral envelopes that see neither level nor pitch."),
    Column("cosine", "voice: cosine", "", "1", "Cosine of speaker embeddings."),
    Column("duration_ms", "phone durations", "ms", "0", "Mean absolute error of phone durations."),
    Column("rate_ratio", "speaking rate", "", "1", "Phones per second, synthesis over reference."),
)


FOLLOWING = (
    KEPT,
    Column(
        "lag_ms", "lag", "ms", "0", "Delay of the realised F0 share behind the one asked for, by cross-correlation."
    ),
    Column("leakage", "leakage", "", "0", "Where the share is 0: mel distance to A over the distance of A and B."),
    Column(
        "seam",
        "seam",
        "",
        "1",
        "99th percentile of the mel's steps from frame to frame in the transition, over the mean of A's and B's there.",
    ),
)
SELECTIVE = (
    Column("f0_rms_to_a", "F0 error to A, RMS", "cents", "0", "RMS of 1200·log2 of the ratio to A's F0, both voiced."),
    Column("f0_coverage", "coverage", "", "1", "Frames where both are voiced, of those where A is."),
    Column("f0_correlation_to_a", "F0 r with A", "", "1", "Pearson correlation of log-F0 with A's."),
    Column("gpe_to_a", "GPE to A", "", "0", "Both-voiced frames more than 20 % off A's F0."),
    Column("f0_rms_to_b", "F0 error to B, RMS", "cents", "", "The same against B: how far F0 had to move."),
    Column("envelope_share", "envelope share of B", "", "1", "Projection of blend − A on B − A, over voiced frames."),
    Column("envelope_to_b_db", "envelope to B", "dB", "0", "Distance to B of envelopes without level and pitch."),
    Column(
        "selectivity",
        "unwanted movement",
        "",
        "0",
        "With B as the start: the part of the way to A that the envelope moved, which it should not, per part that F0 "
        "moved, which it should.",
    ),
)
MORPHING = (
    Column(
        "correspondence",
        "correspondence",
        "",
        "0",
        "How far the ends of the sweep are from A and B, in parts of the way from A to B. This and the next three by "
        "mel-cepstral distortion, after SoundMorpher, whose distance is a learnt one.",
    ),
    Column("intermediateness", "intermediateness", "", "0.5", "Distance of the middle to the first, of those to both."),
    Column("smoothness", "smoothness", "", "0", "Standard deviation of the steps of the sweep over their mean."),
    Column("directness", "directness", "", "1", "Distance of the ends over the sum of the steps: less for detours."),
)


def _share(name: str, key: str, label: str, unit: str, wanted: str, definition: str) -> Column:
    return Column(f"{name}_{key}", f"{SHARE_NAMES[name]}: {label}", unit, wanted, definition)


def _shares(key: str, label: str, wanted: str, definition: str, names: Sequence[str] = tuple(SHARE_NAMES)) -> tuple:
    return tuple(_share(name, key, label, "", wanted, definition) for name in names)


GRID_TABLES = (
    TableDefinition(
        MIX,
        "The same share everywhere",
        "A constant share of B, swept from 0 to 1. Realised shares are "
        "projections on the way from A to B, of renderings "
        "with the same durations and the same noise; at weight 0.5 a share of 0.5 is wanted.",
        (
            *_shares(
                "share",
                "share at 0.5",
                "0.5",
                "Mean over frames of the projection of blend − A on B − A, in [−0.5, 1.5].",
            ),
            KEPT,
            *_shares(
                "sweep_error",
                "error",
                "0",
                "Root mean square of realised share minus weight, over the sweep.",
                ("f0", "envelope"),
            ),
            *_shares(
                "linearity",
                "R²",
                "1",
                "1 − squared error from share = weight over variance: no slope is fitted.",
                ("f0", "envelope"),
            ),
            *_shares(
                "monotonicity", "Spearman", "1", "Rank correlation of realised share with weight.", ("f0", "envelope")
            ),
            *MORPHING,
            TO_A,
            TO_B,
            Column("endpoint_a", "weight 0 against A", "", "0", "Largest difference of log-mels."),
            Column("endpoint_b", "weight 1 against B", "", "0", "Largest difference of log-mels."),
            *HEARD,
            RTF,
            PEAK,
        ),
    ),
    TableDefinition(
        TIME,
        "From A to B along the sentence",
        "A ramp from 20 % to 80 % of the sentence, or a step in the middle "
        "(hard half split). The realised share of each "
        "frame should follow the one asked for.",
        (
            *_shares("control_error", "control error", "0", "RMS over frames of realised minus wanted share."),
            *FOLLOWING,
            TO_A,
            TO_B,
            *HEARD,
            *LOSSES,
            RTF,
            PEAK,
        ),
    ),
    TableDefinition(
        FREQUENCY,
        "Pitch of A, voice of B",
        "F0 should be A's and everything else B's. The WORLD swap renders B "
        "and replaces its F0 by A's: the classical answer.",
        (
            *SELECTIVE,
            TO_A,
            TO_B,
            *HEARD,
            *LOSSES,
            RTF,
            PEAK,
        ),
    ),
    TableDefinition(
        REFERENCE,
        "Every measure for known cases",
        "What the measures say when the answer is known: A against itself, through the vocoder (the floor of any "
        "synthesis), with other noise, with its pitch shifted by WORLD, against another sentence of the same "
        "voice (the ceiling), and against B (the range).",
        (*DISTANCES, *HEARD),
    ),
)

FILES_TABLE = TableDefinition(
    "files",
    "Against the reference",
    "Every measure of the synthesis, and of known cases: the reference with itself, through the vocoder (the floor), "
    "another utterance of the speaker (the ceiling for unrelated speech) and another speaker (the range).",
    (*DISTANCES, *HEARD),
)

BLEND_TABLE = TableDefinition(
    "blend",
    "The blend between A and B",
    "Realised shares are projections on the way from A to B; the three files share durations and noise.",
    (
        *_shares("share", "mean share", "", "Mean over frames of the projection of blend − A on B − A."),
        *_shares("control_error", "control error", "0", "RMS over frames of realised minus wanted share."),
        *FOLLOWING,
        *SELECTIVE,
        TO_A,
        TO_B,
    ),
)


def voice_table(rows: Sequence[Mapping[str, Any]]) -> TableDefinition:
    """The table of ``evaluate voice``: measures of the voice, and a column for each label of each classifier.

    Args:
        rows: What was measured; a classifier's columns are those whose names hold a colon.

    Returns:
        The table.
    """
    labels = dict.fromkeys(key for row in rows for key in row if ": " in key)
    of_classifiers = (Column(label, label, definition="Probability, by the classifier named.") for label in labels)
    return TableDefinition(
        "voice",
        "Voices",
        "What each recording's voice sounds like. These are measures of sound: none identifies a person.",
        (
            Column("f0_hz", "F0", "Hz", definition="Median over voiced frames, by Praat."),
            Column(
                "tract_cm",
                "vocal tract",
                "cm",
                definition="Apparent length, from the spacing of the first four formants.",
            ),
            Column(
                "formant_factor",
                "formant factor",
                definition="Of all formants against the nearest base voice that the encoder knows; above 1 the vocal "
                "tract is shorter.",
            ),
            Column(
                "speaker_similarity",
                "nearest speaker: cosine",
                definition="Cosine to the nearest speaker that the encoder knows; its number is in results.csv.",
            ),
            Column("female", "female", definition="Probability that the nearest base voice is a woman's."),
            *of_classifiers,
        ),
    )
