"""Mechanism ``noise``: move the noise, and nothing else, until the network reads or says what a window asks for."""

from gradtts_interp.interpolation.noise.settings import NOISE, NoiseTuning, NoiseWindow

__all__ = ["NOISE", "NoiseTuning", "NoiseWindow"]
