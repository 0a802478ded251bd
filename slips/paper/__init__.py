"""A filled slip as a picture: a strip of paper out of a till printer of 203 dots to the inch, as a PNG.

It needs no library of pictures and no font of the machine: the letters lie beside this file, and a PNG is written with
the standard library. A QR code alone needs segno, which is imported when a slip holds one.
"""

from __future__ import annotations

from slips.paper.codes import PartMissing
from slips.paper.picture import Picture, draw

__all__ = ["PartMissing", "Picture", "draw"]
