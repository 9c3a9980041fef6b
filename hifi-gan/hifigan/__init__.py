"""HiFi-GAN: generator, discriminators, losses and training; knows nothing of the package that uses it."""

from hifigan.config import CONFIGS, GeneratorConfig
from hifigan.generator import Generator

__all__ = ["CONFIGS", "Generator", "GeneratorConfig"]
