"""Fixtures of the command line."""

from speaking import checkpoint, tone_wav

__all__ = ["checkpoint", "tone_wav"]
