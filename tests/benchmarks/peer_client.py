"""payme-pkg's bare create and pay, once for each line of stdin; it prints the seconds that they took.

``python peer_client.py URL ID KEY``, in an environment with payme-pkg.
"""

from __future__ import annotations

import sys
import time

from payme.classes.receipts import Receipts

_AMOUNT = 1_500_000


def main(url: str, kassa: str, key: str) -> None:
    """Serve until stdin ends."""
    receipts = Receipts(kassa, key, url)
    for _ in sys.stdin:
        begin = time.perf_counter()
        created = receipts.create({"order_id": "1"}, _AMOUNT)
        receipts.pay(created.result.receipt._id, "1" * 18)
        sys.stdout.write(f"{time.perf_counter() - begin}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
