"""Text to tokens: normalisation, dictionary, letter-to-sound, the Grad-TTS symbols."""

from gradtts_interp.text.frontend import Mode, TextFrontend, TokenizedText, Word
from gradtts_interp.text.lexicon import Lexicon
from gradtts_interp.text.normalise import normalise
from gradtts_interp.text.symbols import BLANK_ID, N_VOCAB, SYMBOLS, ids_of, phone_of

__all__ = [
    "BLANK_ID",
    "N_VOCAB",
    "SYMBOLS",
    "Lexicon",
    "Mode",
    "TextFrontend",
    "TokenizedText",
    "Word",
    "ids_of",
    "normalise",
    "phone_of",
]
