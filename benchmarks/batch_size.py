"""Tokens per second of processor time, and peak memory, by windows a batch: `python benchmarks/batch_size.py MODEL HOOK`."""  # noqa: E501 - the command

from __future__ import annotations

import sys
import time

from atlas.ingest.models import load_model
from atlas.measured import peak_memory


def main() -> None:
    name, hook = sys.argv[1:]
    model = load_model(name, device="cpu")
    hook = model.resolve_hook(hook)
    windows = [[(7 * row + column) % 1000 + 10 for column in range(256)] for row in range(32)]
    for batch in (1, 4, 8, 16, 32):
        model.activations_at(hook, windows[:batch])  # first use of a shape is slower
        wall, processor = time.perf_counter(), time.process_time()
        for first in range(0, len(windows), batch):
            model.activations_at(hook, windows[first : first + batch])
        n_tokens = sum(map(len, windows))
        peak = peak_memory() // 2**20
        rates = [n_tokens / (now - then) for now, then in
                 ((time.perf_counter(), wall), (time.process_time(), processor))]
        print(f"{batch:3d} windows: {rates[0]:6.0f} tokens/s, {rates[1]:6.0f} a processor second, {peak} MB")


if __name__ == "__main__":
    main()
