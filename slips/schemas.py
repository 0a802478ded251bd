"""Build the two schemas in this package with xmlschema, each once, when it is first needed."""

from __future__ import annotations

import threading
from importlib.resources import files
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from slips.dialect import ROOT
from slips.errors import SlipError, TemplateError
from slips.source import read_packaged, read_xml

if TYPE_CHECKING:
    from importlib.abc import Traversable

    from xmlschema import XMLSchema10, XMLSchemaValidationError

SCHEMA_NAMES = ("slip", "template")
_REFERENCES = tuple(f"{{http://www.w3.org/2001/XMLSchema}}{name}" for name in ("include", "import", "redefine"))
_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"


def build_schema(text: bytes) -> XMLSchema10:
    """Return the schema in ``text``; nothing that it names is fetched or read.

    Raises:
        SlipError: the text is not a schema, it has a document type declaration or an include, or a library is
            missing.
    """
    try:
        import xmlschema  # noqa: PLC0415 - it takes long, and a caller may want to choose when it is imported
    except ImportError as error:
        raise SlipError(f"xmlschema can't be imported: {error}") from error
    try:
        # Our own parser looks first: xmlschema's defences let a document type declaration pass, and some of its
        # versions fetch what xsi:schemaLocation names. The text is handed over, not the tree, because the types in a
        # schema are names with prefixes, which a bare tree has lost.
        _refuse_references(read_xml(text).root)
        return xmlschema.XMLSchema10(text.decode("utf-8"), allow="none", defuse="always")
    except (TemplateError, xmlschema.XMLSchemaException, ET.ParseError, ValueError, OSError) as error:
        raise SlipError(f"the schema can't be built: {error}") from None


def _refuse_references(schema: ET.Element) -> None:
    for element in schema.iter():
        names = [element.tag] if element.tag in _REFERENCES else []
        names += [name for name in element.attrib if name.startswith(_INSTANCE)]
        if names:
            raise SlipError(f"the schema can't be built: {names[0].rpartition('}')[2]!r} may lead to another one")


_built: dict[str, XMLSchema10] = {}
"""The schemas of this process, by the path of their file: each is built once, however many renderers there are."""


class Schemas:
    """The schemas by name: ``slip`` for filled slips, ``template`` for templates.

    Any thread may use them; it waits while another thread builds one.

    Args:
        folder: the folder of their files; None: this package.
    """

    def __init__(self, folder: Traversable | None = None) -> None:
        self._folder = files("slips") if folder is None else folder
        self._lock = threading.Lock()

    def get(self, name: str) -> XMLSchema10:
        """Return a schema. Each is built once; the first takes about 200 ms.

        Raises:
            SlipError: its file is missing or damaged.
        """
        path = self._folder.joinpath(f"{name}.xsd")
        schema = _built.get(str(path))
        if schema is None:
            with self._lock:
                schema = _built.get(str(path)) or _built.setdefault(str(path), build_schema(read_packaged(path)))
        return schema

    def first_error(self, name: str, root: ET.Element) -> XMLSchemaValidationError | None:
        """Return the first error that a schema finds in a tree whose root is ``slip``, or None.

        Raises:
            SlipError: the schema can't be built.
        """
        return next(iter(self.get(name).elements[ROOT].iter_errors(root)), None)
