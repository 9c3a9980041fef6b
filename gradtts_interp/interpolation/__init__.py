"""Blending styles: share maps, mechanisms, and the score they add up to."""
