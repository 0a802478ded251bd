"""Kill a chain's broker, central workers and tills at random moments, and compare the money.

By hand: ``python tests/chain/run.py --cancellations 20000 --tills 200 --seconds 300 --seed 1``. It needs Debian's
rabbitmq-server. The moments depend on the machine, so a seed repeats the plan, but not every interleaving. A run that
fails keeps its folder.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "support")]

from faults.chain_run import ChainRun, Plan
from faults.rabbitmq import RabbitMq


def main() -> None:
    """Play one run; exit 1 if it broke a promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cancellations", type=int, default=Plan.cancellations)
    parser.add_argument("--tills", type=int, default=Plan.tills)
    parser.add_argument("--seconds", type=float, default=Plan.seconds, help="how long processes are killed")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    plan = Plan(**vars(parser.parse_args()))
    folder = Path(tempfile.mkdtemp(prefix="chain-"))
    broker = RabbitMq(folder / "rabbitmq")
    try:
        broker.start()
        report = ChainRun(broker, "/", folder, plan).run()
    finally:
        broker.close()
    sys.stdout.write("\n".join([f"seed {plan.seed}: {report.summary}", *report.violations, ""]))
    if report.violations:
        sys.exit(f"the journals and logs are in {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
