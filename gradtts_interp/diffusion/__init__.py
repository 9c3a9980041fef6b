"""Noise schedule and samplers of the Grad-TTS diffusion."""
