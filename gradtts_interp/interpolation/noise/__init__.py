"""Mechanism ``noise``: move the noise, and nothing else, until the network reads or says what a window asks for."""

from gradtts_interp.interpolation.noise.settings import NOISE, NoiseTuning, NoiseWindow, offer_of

__all__ = ["NOISE", "NoiseTuning", "NoiseWindow", "offer_of"]
