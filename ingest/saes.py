"""Sparse autoencoders: loaded from a release or a folder, checked, and turned into sparse firings."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import safetensors

from atlas.errors import AtlasError, InputError
from atlas.ingest import extras, hub
from atlas.ingest.identity import folder_digest

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("atlas")

CONFIG = "cfg.json"
WEIGHTS = "sae_weights.safetensors"
_PICKLED = (".pt", ".pth", ".bin", ".pkl", ".ckpt", ".npz")
_REGISTERED = ("hook_name", "context_size", "prepend_bos", "neuronpedia_id", "model_from_pretrained_kwargs")
_DENSE_ELEMENTS = 2**25  # of the dense encoder output held at once: 128 MB in float32


@dataclass(frozen=True)
class Sae:
    """An SAE, with what its files and its registry say about it.

    Attributes
    ----------
    module
        sae_lens's `SAE`, in float32 and evaluation mode.
    release, sae_id
        Names in the registry; release is None for an SAE from a folder.
    architecture : str
        As sae_lens names it: standard, jumprelu, topk.
    scale : torch.Tensor, float32, shape (d_sae,)
        What the encoder's output is multiplied by to be in units of unit-norm decoder directions.
    norms : torch.Tensor, float32, shape (d_sae,)
        Norms of the decoder's rows as trained.
    metadata
        Hook, context and other facts; a key that the SAE does not have is absent.
    expected_l0
        Mean firings a token in the registry, or None.
    notes
        What a reader of the results should know.
    """

    module: Any
    release: str | None
    sae_id: str
    architecture: str
    scale: torch.Tensor
    norms: torch.Tensor
    metadata: Mapping[str, Any]
    expected_l0: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def d_in(self) -> int:
        """Width of the activations that it reads."""
        return int(self.module.W_dec.shape[1])

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return int(self.module.W_dec.shape[0])

    @property
    def signed(self) -> bool:
        """Whether activations may be negative; firing is then `!= 0` (fault 12)."""
        return self.architecture in ("abstopk", "matching_pursuit")

    @property
    def firings_a_token(self) -> float | None:
        """Firings a token as far as known before the run: TopK's k, or the registry's L0."""
        return float(self.module.cfg.k) if self.architecture in ("topk", "abstopk") else self.expected_l0

    def fact(self, name: str, given: Any, option: str) -> Any:
        """Return what the user gave, or else what the metadata says.

        Raises
        ------
        InputError
            Neither says it (fault 6): the option that supplies it is named.
        """
        value = self.metadata.get(name) if given is None else given
        if value is None:
            raise InputError(
                f"SAE {self.sae_id}: its metadata has no {name}",
                f"give it with {option}, as the SAE was trained",
            )
        return value

    def check_width(self, width: int, hook_name: str) -> None:
        """Raise `InputError` where the activations at a hook are not as wide as the SAE's input (fault 3)."""
        if width != self.d_in:
            raise InputError(
                f"SAE {self.sae_id} reads {self.d_in} numbers a token, the model has {width} at {hook_name}",
                "check that model, hook and SAE belong together (--model, --hook, --sae)",
            )

    def encode(self, activations: torch.Tensor) -> torch.Tensor:
        """Return the features' activations, in units of unit-norm decoder directions.

        Parameters
        ----------
        activations : torch.Tensor, shape (tokens, d_in)

        Returns
        -------
        torch.Tensor, float32, shape (tokens, d_sae)
        """
        import torch

        with extras.quiet(), torch.inference_mode():
            encoded = self.module.encode(activations.to(torch.float32))
            if encoded.is_sparse:  # fault 13: some encoders answer in sparse form
                encoded = encoded.to_dense()
            return encoded * self.scale

    def firings(
        self, activations: torch.Tensor
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return the firings of tokens: how many on each, then ids and activations, ascending within a token.

        A feature fires where its activation is above 0 (not 0, for a signed SAE). Tokens are encoded in
        pieces, so that the dense output never takes more than 128 MB.
        """
        import torch

        counts, ids, values = [], [], []
        for piece in activations.split(max(1, _DENSE_ELEMENTS // self.d_sae)):
            dense = self.encode(piece)
            fires = ~(dense == 0) if self.signed else ~(dense <= 0)  # NaN fires: it is then found and named
            rows, columns = torch.nonzero(fires, as_tuple=True)
            counts.append(torch.bincount(rows, minlength=len(piece)).cpu().numpy())
            ids.append(columns.to(torch.int32).cpu().numpy())
            values.append(dense[rows, columns].cpu().numpy())
        return np.concatenate(counts), np.concatenate(ids), np.concatenate(values)

    def directions(self) -> dict[str, dict[str, npt.NDArray[np.float32]]]:
        """Return the arrays of `decoder` and `encoder`: unit rows, norms, thresholds (float32).

        `decoder`: W_dec (d_sae, d_in) with unit rows, norms (d_sae,). `encoder`: W_enc (d_sae, d_in) with
        unit rows, threshold (d_sae,) in the units of the activations, 0 where there is none. A row of
        zeros stays a row of zeros.
        """
        decoder = self.module.W_dec.detach().float()
        tied = not hasattr(self.module, "W_enc")
        encoder = decoder if tied else self.module.W_enc.detach().float().T
        threshold = getattr(self.module, "threshold", None)
        threshold = self.norms * 0 if threshold is None else threshold.detach().float() * self.scale

        def unit(rows: torch.Tensor) -> npt.NDArray[np.float32]:
            return (rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)).cpu().numpy()

        return {
            "decoder": {"W_dec": unit(decoder), "norms": self.norms.cpu().numpy()},
            "encoder": {"W_enc": unit(encoder), "threshold": threshold.cpu().numpy()},
        }


def sae_identity(sae: str | Path, sae_id: str | None) -> dict[str, Any]:
    """Return what tells SAEs apart without loading them: release and id, or a folder's name and digest.

    Raises
    ------
    InputError
        There is no such folder, or what lies there is no SAE in safetensors (faults 16, 18).
    """
    if sae_id is not None:
        return {"release": str(sae), "sae_id": sae_id, "digest": None}
    folder = Path(sae).expanduser()
    check_folder(folder)
    return {"release": None, "sae_id": folder.resolve().name, "digest": folder_digest(folder)}


def check_folder(folder: Path) -> None:
    """Raise `InputError` where a folder holds no whole SAE in safetensors."""
    if folder.is_file() or not folder.exists():
        what = "is a file" if folder.is_file() else "does not exist"
        remedy = "give the folder that holds cfg.json and sae_weights.safetensors, or a release with --sae-id"
        if folder.suffix in _PICKLED:
            what, remedy = (
                "holds pickled weights, which can run code when read",
                "convert them to safetensors",
            )
        raise InputError(f"SAE {folder}: {what}", remedy)
    weights = folder / WEIGHTS
    if not weights.is_file():
        pickled = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLED)
        if pickled:
            raise InputError(
                f"SAE {folder}: {pickled[0]} is pickled, which can run code when read",
                f"convert it to {WEIGHTS} with sae_lens's save_model",
            )
        raise InputError(f"SAE {folder}: no {WEIGHTS}", "give the folder that sae_lens's save_model wrote")
    if not (folder / CONFIG).is_file():
        raise InputError(f"SAE {folder}: no {CONFIG}", "give the folder that sae_lens's save_model wrote")
    with weights.open("rb") as stream:
        if stream.read(40).startswith(b"version https://git-lfs"):
            raise InputError(f"SAE {weights}: a Git LFS pointer, not the weights", "fetch them: git lfs pull")
    try:
        with safetensors.safe_open(weights, framework="numpy"):
            pass
    except safetensors.SafetensorError as error:
        raise InputError(f"SAE {weights}: damaged or cut off ({error})", "fetch the file again") from error


def load_sae(
    sae: str | Path,
    *,
    sae_id: str | None = None,
    device: str = "cpu",
    norm_scaling_factor: float | None = None,
) -> Sae:
    """Return an SAE, in float32.

    Parameters
    ----------
    sae
        A release of SAELens's registry, or a repository on the hub, when `sae_id` is given; else a folder.
    norm_scaling_factor
        Factor of an SAE with `expected_average_only_in`, where its registry has none.

    Raises
    ------
    BackendError
        The extra is not installed (fault 20).
    InputError, ServiceError
        No such release or id (1, 2), a transcoder (10), an architecture that is not known or not handled
        (11, 17), no factor (7), NaN in the weights (14), pickled (16) or damaged weights (18).
    """
    sae_lens = extras.need("sae_lens")
    what = f"SAE {sae}" if sae_id is None else f"SAE {sae_id} of {sae}"
    if sae_id is None:
        folder = Path(sae).expanduser()
        check_folder(folder)
        _check_architecture(_read_config(folder).get("architecture", "standard"), what)
    else:
        _check_registry(str(sae), sae_id)
    try:
        with extras.quiet(stderr=True):
            if sae_id is None:
                module = sae_lens.SAE.load_from_disk(folder, device=device, dtype="float32")
            else:
                module = sae_lens.SAE.from_pretrained(str(sae), sae_id, device=device, dtype="float32")
    except hub.hub_errors() as error:
        raise hub.explain(error, what) from error
    return _checked(module, sae, sae_id, what, norm_scaling_factor)


def _checked(module: Any, sae: str | Path, sae_id: str | None, what: str, factor: float | None) -> Sae:
    import torch

    architecture = str(module.cfg.architecture())
    _check_architecture(architecture, what)
    for name, weight in module.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise InputError(f"{what}: NaN or infinity in {name}", "fetch or train the SAE again")
    with extras.quiet():
        if module.cfg.normalize_activations == "expected_average_only_in" and factor is not None:
            module.fold_activation_norm_scaling_factor(factor)
        if module.cfg.reshape_activations == "hook_z":  # fault 4: heads are laid side by side by the model's side
            module.turn_off_forward_pass_hook_z_reshaping()
        module.eval()
    if module.cfg.normalize_activations in ("expected_average_only_in", "covariance_whitening"):
        raise InputError(
            f"{what}: expects inputs scaled by {module.cfg.normalize_activations}, whose factor is not known",
            "give it with --norm-scaling-factor, or fold it into the weights with sae_lens",
        )
    norms = module.W_dec.detach().float().norm(dim=1)
    scaled = getattr(module.cfg, "rescale_acts_by_decoder_norm", False)  # TopK's own encoder has multiplied then
    own = {key: value for key, value in module.cfg.metadata.items() if value is not None}
    expected_l0, registered = (None, {}) if sae_id is None else _registered(str(sae), sae_id)
    loaded = Sae(
        module,
        None if sae_id is None else str(sae),
        Path(sae).expanduser().resolve().name if sae_id is None else sae_id,
        architecture,
        torch.ones_like(norms) if scaled else norms,
        norms,
        {**registered, **own},
        expected_l0,
    )
    loaded.notes.extend(_notes(loaded))
    return loaded


def _notes(sae: Sae) -> Iterable[str]:
    if sae.architecture in ("topk", "abstopk"):
        k = sae.module.cfg.k
        yield (
            f"{sae.architecture} fires at most k = {k} features on a token, so independent features fire "
            f"together slightly less than n_i n_j / N: the null expectation is multiplied by (k - 1) / k"
        )
    if sae.signed:
        yield "activations are signed: a feature fires where its activation is not 0"
    trained = (sae.metadata.get("training_architecture") or "").lower()
    if trained and trained != sae.architecture:
        yield f"trained as {trained}, run as {sae.architecture} with fixed thresholds"
    dead = int((sae.norms == 0).sum())
    if dead:
        yield f"{dead} features have a decoder direction of zero and never fire"
    kwargs = dict(sae.metadata.get("model_from_pretrained_kwargs") or {})
    kwargs.pop("center_writing_weights", None)
    if kwargs:
        yield f"its registry asks for model settings that are left out: {json.dumps(kwargs, sort_keys=True)}"


def _check_architecture(architecture: str, what: str) -> None:
    if "transcoder" in architecture:
        raise InputError(
            f"{what}: a {architecture}, which reads one hook and writes another",
            "an atlas is made from an SAE of one hook; give one of those",
        )
    if architecture == "temporal":
        raise InputError(f"{what}: a temporal SAE, whose features depend on earlier tokens", "give another kind of SAE")
    registry = extras.need("sae_lens.registry")
    if architecture not in registry.SAE_CLASS_REGISTRY:
        raise InputError(
            f"{what}: unknown architecture {architecture!r}; {hub.nearest(architecture, registry.SAE_CLASS_REGISTRY)}",
            "update sae-lens, or convert the SAE",
        )


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text("utf8"))
    except ValueError as error:
        raise InputError(f"SAE {folder / CONFIG}: not JSON ({error})", "fetch the file again") from error
    if not isinstance(config, dict):
        raise InputError(f"SAE {folder / CONFIG}: {type(config).__name__}, expected an object", "fetch the file again")
    return config


def _check_registry(release: str, sae_id: str) -> None:
    directory = extras.need("sae_lens.loading.pretrained_saes_directory")
    known = directory.get_pretrained_saes_directory()
    if release in known:
        if sae_id not in known[release].saes_map:
            raise _unknown(f"release {release} has no SAE {sae_id!r}", sae_id, known[release].saes_map, "--sae-id")
        return
    if "/" not in release:
        raise _unknown(f"no release {release!r} in SAELens's registry", release, known, "--sae")
    releases = directory.get_releases_for_repo_id(release)
    if releases:
        raise InputError(
            f"{release} is a repository whose SAEs are registered",
            f"give --sae {releases[0]} ({len(releases)} in all)",
        )


def _unknown(cause: str, name: str, known: Iterable[str], option: str) -> AtlasError:
    return InputError(f"{cause}; {hub.nearest(name, known)}", f"give one of them with {option}, or a folder with --sae")


def _registered(release: str, sae_id: str) -> tuple[float | None, dict[str, Any]]:
    """Return the registry's mean firings a token, and its facts that an SAE's own file may lack."""
    directory = extras.need("sae_lens.loading.pretrained_saes_directory")
    found = directory.get_pretrained_saes_directory().get(release)
    if found is None:
        return None, {}
    overrides = directory.get_config_overrides(release, sae_id)
    facts = {key: overrides[key] for key in _REGISTERED if overrides.get(key) is not None}
    return found.expected_l0.get(sae_id) or None, facts
