"""Pitch contours, the prosody vector, and masks on the mel plane."""
