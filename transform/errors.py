"""The one error a user's input can cause. No traceback belongs to it: its text is the whole message."""


class InputError(ValueError):
    """Something the user gave is wrong.

    The text is one line that says what is wrong, where, and what to do or what is allowed.
    The command line prints it and exits with 2.
    """
