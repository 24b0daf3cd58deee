"""Language models: loaded quietly, run up to one hook and no further."""

from __future__ import annotations

import difflib
import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from atlas.errors import BackendError, CapacityError, InputError
from atlas.ingest import extras, hub
from atlas.ingest.identity import folder_digest

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("atlas")

Precision = Literal["float32", "bfloat16", "float16"]
_UNEMBED = "unembed.hook_in"
_LOGITS = 2**24  # held at once
_SMALL = 16 * 2**20  # configuration and tokenizer are summed whole, weights by their ends


class _HookReached(Exception):  # noqa: N818 - control flow: nothing after the hook is to be computed
    pass


@dataclass(frozen=True)
class Model:
    """A language model that can be run up to a hook.

    Attributes
    ----------
    name
        Name on the hub, or the folder's name.
    bridge
        transformer_lens's `TransformerBridge`.
    tokenizer
        The model's own tokenizer, as transformers loads it.
    device
        Where it runs: `cpu`, `cuda:0`.
    """

    name: str
    bridge: Any
    tokenizer: Any
    device: str

    @property
    def n_vocabulary(self) -> int:
        """Rows of the embedding."""
        return int(self.bridge.cfg.d_vocab)

    @property
    def context_limit(self) -> int | None:
        """Longest context that the model knows, where its configuration says."""
        return getattr(self.bridge.cfg, "n_ctx", None)

    @property
    def revision(self) -> str | None:
        """Commit on the hub that was loaded, where it came from there."""
        config = getattr(self.bridge.original_model, "config", None)
        return getattr(config, "_commit_hash", None)

    def resolve_hook(self, name: str) -> str:
        """Return a hook's name, checked.

        Raises
        ------
        InputError
            The model has no such hook (fault 5): the nearest names are given in both naming styles.
        """
        hooks = self.bridge.hook_dict
        if name in hooks:
            return name
        close = difflib.get_close_matches(name, list(hooks), n=8, cutoff=0.5)
        old = [key for key in close if hooks[key].name != key][:3]
        new = list(dict.fromkeys(hooks[key].name for key in close))[:3]
        raise InputError(
            f"hook {name!r} is not in model {self.name} ({self.bridge.cfg.n_layers} layers); nearest: "
            f"{', '.join(old) or 'none'}; in the bridge's names: {', '.join(new) or 'none'}",
            "name one of them with --hook",
        )

    def activations_at(self, hook_name: str, windows: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return the activations of windows of tokens at a hook.

        Windows are padded on the right, where a causal model's earlier positions do not see it, and the
        forward pass ends at the hook.

        Returns
        -------
        torch.Tensor
            Shape (windows, longest window, width): heads, where the hook has them, are laid side by side.

        Raises
        ------
        CapacityError
            The device's memory is too small for the batch (fault 24).
        """
        return self._reach((hook_name,), windows)[0]

    def activations_and_states(
        self, hook_name: str, windows: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the activations at a hook, and what the unembedding reads, of one forward pass that ends there.

        Shapes, padding and errors are those of `activations_at`; `entropies` takes the second.
        """
        activations, states = self._reach((hook_name, _UNEMBED), windows)
        return activations, states

    def entropies(self, states: torch.Tensor) -> torch.Tensor:
        """Return the entropy of the next token, -sum_v p_v ln p_v over the vocabulary, for what the unembedding reads.

        0: the model is certain of the token that comes next; ln of the vocabulary's size: it has no idea. It is the
        model's own uncertainty, and says nothing of whether it is right. Computed in float32 and in slices, so that
        the logits held at once take 64 MB.

        Parameters
        ----------
        states : torch.Tensor, shape (tokens, width)

        Returns
        -------
        torch.Tensor, float32, shape (tokens,), in nats
        """
        import torch

        found = [torch.zeros(0, device=states.device)]
        with extras.quiet(), torch.inference_mode():
            for piece in states.split(max(1, _LOGITS // self.n_vocabulary)):
                found.append(torch.special.entr(self._logits(piece).softmax(-1)).sum(-1))
        return torch.cat(found)

    def check_entropies(self) -> None:
        """Refuse a model whose logits are not its unembedding, capped as its configuration says.

        Raises
        ------
        InputError
            The logits of two tokens differ from those of the model's whole forward pass.
        """
        import torch

        with extras.quiet(), torch.inference_mode():
            ids = torch.zeros((1, 2), dtype=torch.long, device=self.device)
            whole = self.bridge(ids)[0].float()
        states = self._reach((_UNEMBED,), [[0, 0]])[0][0]
        with extras.quiet(), torch.inference_mode():
            own = self._logits(states)
        if own.shape != whole.shape or not torch.allclose(own.softmax(-1), whole.softmax(-1), rtol=0.01, atol=1e-4):
            raise InputError(
                f"model {self.name}: what follows its unembedding is not known, so neither is the next token's entropy",
                "leave --entropy out",
            )

    def _logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return the logits of what the unembedding reads: float32, shape (tokens, vocabulary)."""
        logits = self.bridge.unembed(states[None])[0].float()
        cap = getattr(self.bridge.cfg, "output_logits_soft_cap", None) or 0
        return cap * (logits / cap).tanh() if cap > 0 else logits

    def _reach(self, hook_names: Sequence[str], windows: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """Return the activations at hooks, the last of which ends the forward pass."""
        import torch

        longest = max(map(len, windows))
        ids = torch.zeros((len(windows), longest), dtype=torch.long)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = torch.as_tensor(window, dtype=torch.long)
        found: dict[int, torch.Tensor] = {}

        def reach(number: int, activations: torch.Tensor, hook: Any) -> None:
            found[number] = activations
            if number == len(hook_names) - 1:
                raise _HookReached

        hooks = [(name, functools.partial(reach, number)) for number, name in enumerate(hook_names)]
        try:
            with extras.quiet(), torch.inference_mode():
                self.bridge.run_with_hooks(ids.to(self.device), fwd_hooks=hooks)
        except _HookReached:
            pass
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error):
                raise _no_memory(self.device, len(windows), longest) from error
            raise
        for number, name in enumerate(hook_names):
            if number not in found:
                raise InputError(
                    f"hook {name!r} is in model {self.name}, but its forward pass never comes there",
                    "name another",
                )
        return [found[number].reshape(len(windows), longest, -1) for number in range(len(hook_names))]


def _no_memory(device: str, batch: int, longest: int) -> CapacityError:
    return CapacityError(
        f"{device}: out of memory with a batch of {batch} windows of {longest} tokens",
        f"give --batch-size {max(1, batch // 2)}, and the same command again"
        if batch > 1
        else "give a smaller --context",
    )


def load_model(
    name: str | Path,
    *,
    device: str = "auto",
    precision: Precision = "float32",
    kwargs: Mapping[str, Any] | None = None,
) -> Model:
    """Return a model by its name on the hub or its folder.

    Parameters
    ----------
    name
        What transformer_lens's `TransformerBridge.boot_transformers` takes.
    device
        `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    precision
        Of weights and forward pass.
    kwargs
        The SAE's `model_from_pretrained_kwargs`; `center_writing_weights` is honoured.

    Raises
    ------
    BackendError
        The extra is not installed (fault 20), or the device is not there (fault 21).
    InputError, ServiceError
        There is no such model, its files are damaged, or the hub does not give it.
    """
    torch = extras.need("torch")
    transformers = extras.need("transformers")
    bridges = extras.need("transformer_lens.model_bridge")
    chosen = choose_device(device)
    what = f"model {name}"
    folder = Path(name).expanduser()
    if folder.is_dir():
        name = folder
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise InputError(f"{what}: the folder has no config.json", "give the folder that save_pretrained wrote")
    try:
        with extras.quiet(stderr=True):
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(name))
            bridge = bridges.TransformerBridge.boot_transformers(
                str(name), device=chosen, dtype=getattr(torch, precision)
            )
            if (kwargs or {}).get("center_writing_weights"):
                bridge.enable_compatibility_mode(
                    disable_warnings=True, fold_ln=False, center_unembed=False, fold_value_biases=False
                )
            bridge.eval()
    except hub.hub_errors() as error:
        raise hub.explain(error, what) from error
    return Model(display_name(name), bridge, tokenizer, chosen)


def choose_device(device: str) -> str:
    """Return the device to run on; `auto` logs what it chose.

    Raises
    ------
    BackendError
        A device was asked for by name and does not work (fault 21).
    InputError
        There is no such kind of device.
    """
    torch = extras.need("torch")
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdecimal())):
        raise InputError(f"device {device!r}, expected auto, cpu, cuda, cuda:N or mps", "give --device one of them")
    with extras.quiet():
        if kind == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
            logger.info("device: %s, chosen by --device auto", device)
        if device == "cpu":
            return device
        try:
            torch.ones(1, device=device).add(1).item()
        except (
            RuntimeError,
            AssertionError,
            NotImplementedError,
        ) as error:  # torch has no class of its own for it
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise BackendError(
                f"device {device} does not work here: {first}",
                "give --device cpu, or install torch for this GPU",
            ) from error
    if kind == "mps":
        logger.warning("mps has been silently wrong for some operations: compare with --device cpu")
    return device


def model_identity(name: str | Path) -> dict[str, Any]:
    """Return what tells one model from another without loading it: its name and, for a folder, a digest."""
    path = Path(name).expanduser()
    if not path.is_dir():
        if str(name).startswith((".", "/", "~")):
            raise InputError(f"model {name}: there is no such folder", "check the path, or give a name on the hub")
        return {"name": str(name), "digest": None}
    return {"name": display_name(name), "digest": folder_digest(path, whole=_SMALL)}


def display_name(name: str | Path) -> str:
    """Return a model's name without its place on this disk."""
    path = Path(name).expanduser()
    return path.resolve().name if path.is_dir() else str(name)
