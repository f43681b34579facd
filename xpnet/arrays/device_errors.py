"""The cause of an unusable device, and the error that names it."""

from dataclasses import dataclass

__all__ = ["DeviceError", "Diagnosis", "one_line"]

# Foreign strings are cut to this length, so that a message has at most 400 characters.
_LONGEST = 240


@dataclass(frozen=True)
class Diagnosis:
    """The cause of an unusable device: its short code ("usable" without a cause), message and fix.

    The fix is empty if the device is usable.
    """

    code: str
    message: str
    fix: str

    @property
    def usable(self) -> bool:
        """Whether the device can be used."""
        return self.code == "usable"

    def __str__(self) -> str:
        """Return the cause and its fix, in one line of at most 400 characters."""
        return f"{self.message}; {self.fix}" if self.fix else self.message


class DeviceError(RuntimeError):
    """A device is not usable; the message is one line with the cause and its fix.

    Attributes
    ----------
    code : str
        Code of the cause, such as ``"no-driver"``.
    diagnosis : Diagnosis
        The cause and its fix, apart.
    """

    def __init__(self, diagnosis: Diagnosis, /) -> None:
        super().__init__(diagnosis)
        self.diagnosis, self.code = diagnosis, diagnosis.code


def one_line(text: object, /) -> str:
    """Return a string as one line, cut to 240 characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
