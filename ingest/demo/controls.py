"""The demo's controls: another seed, random weights and shuffled firings, each beside the demo's own run."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from atlas.artifacts import Artifact, Run
from atlas.comparison import compare
from atlas.counting.stage import ACTIVATIONS
from atlas.files import canonical
from atlas.ingest.baselines import Training, baseline
from atlas.ingest.corpus import open_corpus
from atlas.ingest.demo.model import demo_model
from atlas.ingest.demo.run import BATCH_SIZE, TEXT
from atlas.ingest.demo.train_sae import EPOCHS
from atlas.ingest.paths import cache_home
from atlas.ingest.progress import progress

CONTROLS = {"second-seed": "seed", "random-weights": "random-weights", "shuffled": "shuffled"}
"""Run directories of the controls, and their kinds."""
SEED = 20240301
SUMMARY = Path(__file__).with_name("controls.json")


def control_summary(run: Run, control: Run, comparison: Artifact) -> dict[str, Any]:
    """Return what is kept of one control: figures of its run, of the comparison, and the table of structures."""
    activations = control.artifact(ACTIVATIONS).results
    figures = {key: activations[key] for key in ("model", "sae_id", "mean_l0", "n_tokens", "n_documents")}
    edges = control.path / "30-edges" / "manifest.json"
    if edges.exists():
        found = control.artifact("30-edges").results
        figures |= {key: found[key] for key in ("n_significant", "n_edges", "phi_cut", "empirical_fdr")}
    rows = comparison.table("comparison").to_pylist()
    communities = comparison.table("community_matches").to_pylist()
    tested = [row for row in communities if row["overlap"] is not None]
    return {
        "run": {key: _rounded(value) for key, value in figures.items()},
        "comparison": {key: _rounded(value) for key, value in comparison.results.items()},
        "communities": {
            "tested": len(tested),
            "again": sum(row["overlap"] >= 0.5 for row in tested),
            "again_and_p_at_most_.05": sum(row["overlap"] >= 0.5 and row["overlap_p"] <= 0.05 for row in tested),
        },
        "structures": [{name: _rounded(value) for name, value in row.items()} for row in rows],
    }


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    """Build what is missing of the controls, hold the demo's run against each, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the demo's run directory")
    parser.add_argument("--work", type=Path, default=Path("/tmp/atlas-demo"), help="text to train on; the controls")
    parser.add_argument("--out", type=Path, default=SUMMARY, help="the summary")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="times that every token of the training is seen")
    parser.add_argument("--only", nargs="*", choices=CONTROLS, default=list(CONTROLS), help="controls to build")
    options = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("atlas").setLevel(logging.INFO)
    summary = json.loads(options.out.read_text("utf8")) if options.out.exists() else {}
    with Run(options.run) as run:
        for name in options.only:
            with Run(options.work / name) as control:
                training = None
                if CONTROLS[name] != "shuffled":
                    training = Training(
                        demo_model(cache_home()),
                        open_corpus(TEXT),
                        open_corpus(options.work / "training.jsonl"),
                        epochs=options.epochs,
                        trained=_trained(options.work / "saes" / name),
                        batch_size=BATCH_SIZE,
                    )
                baseline(CONTROLS[name], run, control, seed=SEED, training=training)
                summary[name] = control_summary(run, control, compare(run, control, name=name, track=progress))
    options.out.write_bytes(canonical(summary, indent=1) + b"\n")
    print(f"{options.out}: {', '.join(options.only)}", file=sys.stderr)


def _trained(folder: Path) -> Path | None:
    return folder if folder.is_dir() else None


if __name__ == "__main__":
    main()
