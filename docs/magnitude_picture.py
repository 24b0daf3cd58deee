"""Draw a run's magnitudes: `python docs/magnitude_picture.py RUN > docs/magnitude.svg`."""

from __future__ import annotations

import sys
from pathlib import Path

from atlas.artifacts import Run
from atlas.magnitude import MAGNITUDE
from atlas.magnitude.picture import as_svg
from atlas.shapes.stage import STRUCTURE


def main() -> None:
    """Read the run's tables and print the picture."""
    with Run(Path(sys.argv[1])) as run:
        rows = run.artifact(MAGNITUDE).table("magnitude").to_pylist()
        features = run.artifact(STRUCTURE).table("features").select(["index", "name"]).to_pylist()
    sys.stdout.write(as_svg(rows, {row["index"]: row["name"] for row in features}))


if __name__ == "__main__":
    main()
