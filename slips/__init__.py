"""A bank slip: a template and a payment's data in, a validated document and lines for any till printer out.

``SlipRenderer`` loads templates and makes slips; ``plain_slip`` makes the slip that needs no template.
Nothing here imports defusedxml or xmlschema: they cost about 200 ms, and some swap an entry of ``sys.modules`` while
they load, so ``SlipRenderer.import_libraries`` does it at a moment, and on a thread, of the caller's choice.
"""

from __future__ import annotations

from slips.document import FilledSlip, RenderedSlip
from slips.errors import SlipError, TemplateError, TemplateFault
from slips.layout import MAX_WIDTH, MIN_WIDTH, Row, lay_out
from slips.plain import plain_slip
from slips.renderer import LANGUAGES, SlipRenderer
from slips.sample import sample_data
from slips.template import Template
from slips.transliteration import Alphabet, is_slip_encoding
from slips.values import is_moment
from slips.vocabulary import FIELDS, FILTERS, OPERATIONS, Field, Kind

__all__ = [
    "FIELDS",
    "FILTERS",
    "LANGUAGES",
    "MAX_WIDTH",
    "MIN_WIDTH",
    "OPERATIONS",
    "Alphabet",
    "Field",
    "FilledSlip",
    "Kind",
    "RenderedSlip",
    "Row",
    "SlipError",
    "SlipRenderer",
    "Template",
    "TemplateError",
    "TemplateFault",
    "is_moment",
    "is_slip_encoding",
    "lay_out",
    "plain_slip",
    "sample_data",
]
