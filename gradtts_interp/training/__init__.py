"""Training of the acoustic model and of the vocoder."""
