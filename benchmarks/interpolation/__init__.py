"""What each mechanism of interpolation does: a fixed grid of blends, measured."""
