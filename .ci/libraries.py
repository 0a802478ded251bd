"""Check that the libraries are the system's own builds, in the versions of the table in docs/internal/floors.md."""

from __future__ import annotations

import re
import sys
from importlib import import_module, metadata
from pathlib import Path

COLUMNS = {"debian12": 2, "debian13": 3}


def main(system: str) -> int:
    """Print the version of each library, and return 1 if one is not the system's own or not the one of the table."""
    page = (Path(__file__).parents[1] / "docs" / "internal" / "floors.md").read_text("utf-8")
    lines = re.findall(r"^\| `[\w-]+` \|.*\|$", page, re.MULTILINE)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    wrong = not rows
    for row in rows:
        name, wanted = row[0].strip("`"), row[COLUMNS[system]]
        found = metadata.version(name).partition("+")[0]
        place = import_module(name.replace("-", "_")).__file__ or ""
        is_right = found == wanted and place.startswith("/usr/lib/python3/dist-packages/")
        print(f"{name} {found} {place}{'' if is_right else f': {wanted} of the system is wanted'}")
        wrong = wrong or not is_right
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
