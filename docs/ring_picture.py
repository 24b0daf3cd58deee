"""Draw a run's manifold: `python docs/ring_picture.py RUN months > docs/ring-months.svg`.

The second word is a known cyclic list, one of the manifold's items, or the manifold's number.
"""

from __future__ import annotations

import sys
from pathlib import Path

from atlas.artifacts import Run
from atlas.rings import RINGS
from atlas.rings.picture import as_svg


def main() -> None:
    """Read the run's tables and print the picture."""
    with Run(Path(sys.argv[1])) as run:
        artifact = run.artifact(RINGS)
    wanted = sys.argv[2]
    for row in artifact.table("manifolds").to_pylist():
        if wanted in (str(row["manifold"]), row["cyclic_list"], *row["order"]):
            break
    else:
        sys.exit(f"no manifold is, or has, {wanted}")
    items, members = (
        [one for one in artifact.table(name).to_pylist() if one["manifold"] == row["manifold"]]
        for name in ("manifold_items", "manifold_members")
    )
    sys.stdout.write(as_svg(row, items, members))


if __name__ == "__main__":
    main()
