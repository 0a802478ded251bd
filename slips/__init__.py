"""Bank slips: from a template and a payment's data to a validated document and lines for any till printer.

``SlipRenderer`` loads templates and renders slips; ``plain_slip`` renders the slip that needs no template;
``slips.image`` draws a slip. Importing this package imports neither defusedxml nor xmlschema: they take about 200 ms,
and some versions swap an entry of ``sys.modules`` while they load. ``SlipRenderer.import_libraries`` imports them at a
moment, and on a thread, of the caller's choice.
"""

from __future__ import annotations

from slips.dialect import OPERATIONS
from slips.document import FilledSlip, RenderedSlip
from slips.errors import SlipError, TemplateError, TemplateFault
from slips.layout import MAX_WIDTH, MIN_WIDTH
from slips.plain import plain_slip
from slips.renderer import LANGUAGES, SlipRenderer
from slips.sample import sample_data
from slips.template import Template
from slips.transliteration import Alphabet, is_slip_encoding
from slips.values import is_moment

__all__ = [
    "LANGUAGES",
    "MAX_WIDTH",
    "MIN_WIDTH",
    "OPERATIONS",
    "Alphabet",
    "FilledSlip",
    "RenderedSlip",
    "SlipError",
    "SlipRenderer",
    "Template",
    "TemplateError",
    "TemplateFault",
    "is_moment",
    "is_slip_encoding",
    "plain_slip",
    "sample_data",
]
