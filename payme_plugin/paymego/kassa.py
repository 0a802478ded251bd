"""A kassa at Payme: who the shop is to the processing, and where the processing is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payme_plugin.secret import Secret
    from payme_plugin.settings import Settings

__all__ = ["MerchantAccount"]


@dataclass(frozen=True)
class MerchantAccount:
    """The address and the two halves of the authorisation of one kassa.

    Attributes:
        pos_id: the kassa's id.
        pos_key: the kassa's key; absent from ``repr``.
        url: the complete address, path included: ``https://checkout.paycom.uz/api``.
    """

    pos_id: str
    pos_key: Secret = field(repr=False)
    url: str

    @classmethod
    def of(cls, settings: Settings) -> MerchantAccount:
        """Return the kassa in ``settings``."""
        return cls(settings.pos_id, settings.pos_key, settings.url)
