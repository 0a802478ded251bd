"""Load templates and render slips with them."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from slips.document import FilledSlip, RenderedSlip, fill, to_tree, to_xml
from slips.errors import SlipError, TemplateError, TemplateFault
from slips.layout import lay_out
from slips.plain import plain_slip
from slips.schemas import SCHEMA_NAMES, Schemas
from slips.source import MAX_BYTES, Source, read_packaged, read_xml
from slips.template import Template, compile_template
from slips.transliteration import Alphabet
from slips.values import Values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo
    from pathlib import Path

_SHIPPED = {"ru": "payme.xml", "uz": "payme.uz.xml", "uz-Cyrl": "payme.uz-Cyrl.xml", "en": "payme.en.xml"}
LANGUAGES = tuple(_SHIPPED)
"""The languages of the shipped templates."""


class SlipRenderer:
    """Loads templates and renders slips. Any thread may use it.

    Args:
        encoding: code page of the printer; lines then contain no other letters. None allows any letter.
        timezone: time zone of the till; None: that of the machine.

    Raises:
        ValueError: ``encoding`` is not a code page for slips.
    """

    def __init__(self, *, encoding: str | None = None, timezone: tzinfo | None = None) -> None:
        self._alphabet = Alphabet(encoding) if encoding is not None else None
        self._encoding = encoding
        self._timezone = timezone
        self._schemas = Schemas()

    def warm_up(self) -> None:
        """Import xmlschema and build both schemas, in about 400 ms; other threads that need one wait.

        Raises:
            SlipError: xmlschema or defusedxml is missing, or a schema's file is missing or damaged.
        """
        for name in SCHEMA_NAMES:
            self._schemas.get(name)

    def load(self, path: Path | None, language: str = "ru") -> Template:
        """Return the template in a file, checked.

        Args:
            path: the file, of at most 256 KiB; None is the shipped template of ``language``.
            language: one of ``LANGUAGES``; any other is taken as ``ru``. A template that names its language keeps it.

        Raises:
            TemplateError: the file can't be read, or it has mistakes; all of them, with their places.
            SlipError: a library, the shipped template or the schema's own file is missing or damaged.
        """
        if language not in _SHIPPED:
            language = "ru"
        if path is None:
            shipped = files("slips").joinpath(_SHIPPED[language])
            return self.load_text(read_packaged(shipped), str(shipped), language)
        return self.load_text(_read(path), str(path), language)

    def load_text(self, text: bytes, source: str, language: str = "ru") -> Template:
        """Return the template in ``text``, checked; faults are reported for ``source``.

        Raises:
            TemplateError: the text has mistakes; all of them, with their places.
            SlipError: a library or the schema's own file is missing or damaged.
        """
        try:
            document = read_xml(text)
        except TemplateError as error:
            raise TemplateError(source, *error.faults) from None
        template, faults = compile_template(document, source, language)
        if not faults:
            faults = self._schema_faults(document)
        if faults:
            raise TemplateError(source, *faults)
        return template

    def render(self, template: Template, data: Mapping[str, object], width: int) -> RenderedSlip:
        """Fill a template, validate the filled slip, and lay it out.

        Args:
            template: from ``load``.
            data: ``operation`` (pay, cancel or refund), ``amount`` in tiyin, ``receipt`` as the server sent it, times
                in Unix milliseconds, and the other names of the dialect, nested at the dots; all may be missing.
                ``is_accepted_only``: the money of a cancellation is not back yet; default: by the receipt's state.
            width: columns of the printer, limited to 24 to 80.

        Raises:
            SlipError: the operation is unknown, or the filled slip isn't valid. The text repeats no value.
        """
        slip = self.fill(template, data)
        return RenderedSlip(to_xml(slip), tuple(row.text for row in lay_out(slip, width, self._alphabet)))

    def fill(self, template: Template, data: Mapping[str, object]) -> FilledSlip:
        """Return the filled and validated slip, before layout; the arguments are those of ``render``.

        Raises:
            SlipError: as in ``render``.
        """
        slip = fill(template, Values(data, template.language, self._timezone))
        error = self._schemas.first_error("slip", to_tree(slip))
        if error is not None:
            # What xmlschema says repeats the value, which may be a card's number: only the place goes into the text.
            place = getattr(error.elem, "tag", "slip")
            raise SlipError(f"{template.source}: the filled slip is not valid at <{place}>")
        return slip

    def render_plain(self, data: Mapping[str, object], width: int, language: str = "ru") -> RenderedSlip:
        """Return the plain slip, which needs no template and can't fail, in this renderer's time zone and code page."""
        return plain_slip(data, width, language=language, timezone=self._timezone, encoding=self._encoding)

    def _schema_faults(self, source: Source) -> tuple[TemplateFault, ...]:
        """Return what the schema finds after our own check found nothing."""
        error = self._schemas.first_error("template", source.root)
        if error is None:
            return ()
        place = source.places.get(error.elem) if isinstance(error.elem, ET.Element) else None
        line, column = place.start if place else source.places[source.root].start
        return (TemplateFault(line, column, "refused_by_schema", {"reason": error.reason}),)


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            key = "not_a_file" if path.exists() else "no_such_file"
            raise TemplateError(str(path), TemplateFault(0, 0, key))
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TemplateError(str(path), TemplateFault(0, 0, "file_unreadable", {"reason": reason})) from None
