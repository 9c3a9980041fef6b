"""Configurations of this repository's measurements; what is measured is defined in ``gradtts_interp.evaluation``."""
