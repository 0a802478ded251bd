"""What ``payme doctor`` looks at: the till's files, the plugin's own parts, the journal and the way to Payme.

It moves no money, and it creates and changes nothing.

finding        what came of a look: ok, warning or fault, in a sentence, and what to do
checkup        all looks in their order, none of which can raise
configuration  the settings, the codes in ``ignoredErrors``, the modes of files that hold secrets
installation   where ``hookspecs`` and ``slips`` come from, the texts, the slips
disk           whether the data folder takes bytes, and how many are free
journal        the journal's health, and the money that waits in it
server         what is said of the way to Payme
facts          what the walk along that way brings back
probe          walks that way: name, connection, TLS, date, and a harmless question with the kassa's key
handshake      the client's own connection, watched: which certificate was verified, or why none was
limits         an end to everything that may hang

Where there are facts to be had from outside, a module has them in a frozen dataclass, a ``look_at_...`` that gathers
them, and a ``check_...`` that judges them without touching anything.
"""

from __future__ import annotations

from payme_plugin.doctor.checkup import examine
from payme_plugin.doctor.finding import Check, Finding, Level, Report, Unchecked

__all__ = ["Check", "Finding", "Level", "Report", "Unchecked", "examine"]
