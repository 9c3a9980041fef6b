"""Stimuli for perception experiments: continua between two styles, measured step by step, and experiments that run."""

from gradtts_interp.stimuli.continuum import Continuum, Stimulus, make_continuum
from gradtts_interp.stimuli.experiments import EXPERIMENTS, TASKS, write_experiment
from gradtts_interp.stimuli.folder import save_continuum
from gradtts_interp.stimuli.forced_alignment import align_recording

__all__ = [
    "EXPERIMENTS",
    "TASKS",
    "Continuum",
    "Stimulus",
    "align_recording",
    "make_continuum",
    "save_continuum",
    "write_experiment",
]
