"""Produce activations in forked processes that kill themselves at random steps, until one finishes."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from atlas import artifacts, files
from atlas.artifacts import Run
from atlas.ingest import activations as stage
from atlas.ingest import extras, shards
from atlas.ingest.journal import Journal


def deadly(
    function: Callable[..., Any], name: str, state: dict[str, Any], *, after: bool = False
) -> Callable[..., Any]:
    """Return the function, which kills its process where the countdown ends: before or after its work."""

    def step(place: str) -> None:
        state["left"] -= 1
        if state["left"] == 0:
            os.write(state["pipe"], place.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        step(f"before {name}")
        result = function(*arguments, **named)
        if after:
            step(f"after {name}")
        return result

    return wrapped


def child(run: Path, settings: dict[str, Any], countdown: int, pipe: int) -> None:
    state = {"left": countdown, "pipe": pipe}
    replace = os.replace

    def half(source: Any, target: Any) -> None:
        if Path(target).name.startswith("shard-"):  # a power cut leaves a part of the file in its place
            state["left"] -= 1
            if state["left"] == 0:
                Path(target).write_bytes(Path(source).read_bytes()[:100])
                os.write(pipe, b"inside shard")
                os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    files.os.replace = half  # type: ignore[assignment]
    shards.write_shard = deadly(shards.write_shard, "shard", state, after=True)
    Journal.add = deadly(Journal.add, "journal", state, after=True)  # type: ignore[method-assign]
    Journal.close = deadly(Journal.close, "close", state, after=True)  # type: ignore[method-assign]
    stage.build_index = deadly(stage.build_index, "index", state, after=True)
    stage.write_table = deadly(stage.write_table, "table", state)
    artifacts._write_manifest = deadly(artifacts._write_manifest, "manifest", state, after=True)
    with Run(run) as held:
        stage.activations(held, batch_size=2, device="cpu", **settings)


def main() -> None:
    run, model, sae, corpus, shard_tokens = sys.argv[1:]
    settings = {"model": model, "sae": sae, "corpus": corpus, "shard_tokens": int(shard_tokens)}
    for module in ("torch", "transformers", "sae_lens", "transformer_lens.model_bridge"):
        extras.need(module)  # once: forked processes share it, and nothing has computed yet
    chance = random.Random(3)
    places: list[str] = []
    while True:
        read, write = os.pipe()
        countdown = chance.randint(1, 9)
        pid = os.fork()
        if pid == 0:
            child(Path(run), settings, countdown, write)
            os._exit(0)  # no clean-up of what the parent still uses
        os.close(write)
        _, status = os.waitpid(pid, 0)
        place = os.read(read, 100).decode()
        os.close(read)
        if os.WIFSIGNALED(status) and place:
            places.append(place)
        elif os.waitstatus_to_exitcode(status):
            sys.exit(1)
        else:
            break
    print(json.dumps({"kills": len(places), "places": places}))


if __name__ == "__main__":
    main()
