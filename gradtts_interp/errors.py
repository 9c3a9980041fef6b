"""The one family of errors a user of the library meets."""


class InputError(ValueError):
    """Something given by the user cannot be used; the message names it and what was expected."""


class CheckpointError(InputError):
    """A checkpoint is missing, damaged, or of another kind than expected."""
