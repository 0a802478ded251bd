"""The catalogues of texts, and the texts for technicians: of the settings, doctor, slip templates and the command.

Each text for a technician has an id, e.g. ``settings.unknown_key``, whose first part names its catalogue. The texts for
cashiers are in ``payme_plugin.texts``.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gettext import GNUTranslations

    from slips import TemplateFault

__all__ = ["ENGLISH", "CatalogueUnreadable", "Message", "escaped", "load_catalogue", "message", "template_fault"]

ENGLISH = "en"
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class CatalogueUnreadable(Exception):
    """A catalogue is missing or damaged; the text names it."""


@cache
def load_catalogue(language: str, domain: str) -> GNUTranslations:
    """Return a catalogue of one language, read once, also from a zip or a frozen program.

    Raises:
        CatalogueUnreadable: it is missing or damaged.
    """
    # Here, because they take half as long to import as click, and neither `payme --version` nor the till's start needs
    # a text.
    import zipfile  # noqa: PLC0415
    from gettext import GNUTranslations  # noqa: PLC0415
    from importlib.resources import files  # noqa: PLC0415

    path = files("payme_plugin").joinpath(f"locale/{language}/LC_MESSAGES/{domain}.mo")
    try:
        with path.open("rb") as file:
            return GNUTranslations(file)
    except (OSError, ValueError, struct.error, zipfile.BadZipFile) as error:
        message = f"{path} can't be read: {error}"
        raise CatalogueUnreadable(message) from error


class Message(NamedTuple):
    """A text for a technician in no language yet; ``str`` returns it in English.

    Attributes:
        key: its id.
        values: the names and values of its placeholders.
    """

    key: str
    values: tuple[tuple[str, object], ...] = ()

    def text(self, language: str) -> str:
        """Return the text in ``ru``, ``uz`` or ``en``, its values escaped; the id if its catalogue can't be read.

        A value that is a ``Message`` is rendered in the same language.
        """
        try:
            words = load_catalogue(language, self.key.partition(".")[0]).gettext(self.key)
        except CatalogueUnreadable:
            words = self.key
        shown = {name: _shown(value, language) for name, value in self.values}
        return _PLACEHOLDER.sub(lambda found: shown.get(found[1], found[0]), words)

    def __str__(self) -> str:
        return self.text(ENGLISH)


def message(key: str, /, **values: object) -> Message:
    """Return the text with this id and the values of its placeholders."""
    return Message(key, tuple(values.items()))


def template_fault(fault: TemplateFault) -> Message:
    """Return the text of a mistake in a slip template, with its place and the nearest allowed name."""
    text = message(f"slips.fault.{fault.key}", **fault.values)
    if fault.nearest:
        text = message("slips.nearest", fault=text, nearest=fault.nearest)
    return message("slips.place", line=fault.line, column=fault.column, fault=text) if fault.line else text


def escaped(text: str) -> str:
    r"""Return text from outside on one line; control characters and bidirectional marks are shown, e.g. as ``\x1b``."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode() for letter in text
    )


def _shown(value: object, language: str) -> str:
    return value.text(language) if isinstance(value, Message) else escaped(str(value))
