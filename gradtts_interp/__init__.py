"""Interpolate between two speaking styles inside one utterance."""
