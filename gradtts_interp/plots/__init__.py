"""Pictures of what was computed, and what a notebook shows; no value knows how it is drawn."""
