"""Render bank slips: a template and a payment's data in, a validated document and lines for any printer out.

``SlipRenderer`` loads templates and renders slips; ``plain_slip`` renders the slip that needs no template;
``slips.image`` draws a slip. Importing this package imports neither defusedxml nor xmlschema: they take about 200 ms,
and some versions replace an entry of ``sys.modules`` while they load. The first slip or template imports them, unless
the caller does so before, on a thread of its choice.
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
