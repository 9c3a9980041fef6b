"""Text to tokens: normalisation, dictionary, letter-to-sound, the Grad-TTS symbols."""

from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.text.normalise import normalise

__all__ = ["TextFrontend", "normalise"]
