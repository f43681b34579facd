"""Error of a device that is not usable."""

__all__ = ["DeviceError", "one_line"]


class DeviceError(RuntimeError):
    """A device is not usable; the message is one line with the cause and its fix.

    Attributes
    ----------
    code : str
        Code of the cause, such as ``"no-driver"``.
    message : str
        The cause.
    fix : str
        The remedy.
    """

    def __init__(self, code: str, message: str, fix: str) -> None:
        super().__init__(code, message, fix)
        # Together at most 400 characters, even if the cause quotes pages of a library.
        self.code, self.message, self.fix = code, one_line(message, 270), one_line(fix, 120)

    def __str__(self) -> str:
        return f"{self.message}; {self.fix}"


def one_line(text: object, longest: int = 200, /) -> str:
    """Return a string as one line, cut to a number of characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= longest else f"{line[:longest]}..."
