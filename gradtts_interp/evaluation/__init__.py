"""Measures of blends, spectra and intelligibility."""
