"""The one error a user is meant to read: a single line that says what to do."""


class InputError(ValueError):
    """A file, setting or parameter is not what was expected.

    The message is one line: what it is about, what was expected, what came, what to do. The
    command line prints it and exits with status 2; a notebook shows it without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        # IPython calls this hook instead of drawing the stack.
        return [f"{type(self).__name__}: {self}"]


def expect(holds: object, message: str) -> None:
    """Raise InputError with a message, what was expected and what came, unless something holds."""
    if not holds:
        raise InputError(message)
