"""The one exception for what a user can put right."""


class TakeoffError(Exception):
    """Input that the user can put right.

    The message is one line that names the file, the key, the value and what would be valid.
    """
