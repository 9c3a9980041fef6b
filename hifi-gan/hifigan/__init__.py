"""HiFi-GAN and a generator with a harmonic source: networks, losses and training; knows nothing of what uses it."""

from hifigan.config import CONFIGS, AnyConfig, GeneratorConfig, HarmonicConfig
from hifigan.generator import Generator
from hifigan.harmonic import HarmonicGenerator

__all__ = ["CONFIGS", "AnyConfig", "Generator", "GeneratorConfig", "HarmonicConfig", "HarmonicGenerator"]
