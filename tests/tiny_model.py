"""A language model, a tokenizer and SAEs small enough to make anew in a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from atlas.ingest import extras

WIDTH, FEATURES, CONTEXT = 16, 64, 12
HOOK = "blocks.0.hook_resid_post"
TEXTS = [
    "The first document speaks of stars, and of the hubs that hold them together.",
    "A second one: cliques are dense; rings are not. Nothing here is shared with the first.",
    "Short.",
    "The fourth has the longest text of all, so that it is cut into several windows, each of which begins "
    "anew with the token that begins a window, and none of which sees what another document says.",
    "Numbers: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, eleven and twelve.",
]


def make_model(folder: Path, *, kind: str = "llama", seed: int = 0) -> Path:
    """Save a random two-layer model and a byte-level tokenizer with BOS `<s>`, EOS `</s>`, PAD `<pad>`."""
    torch = extras.need("torch")
    transformers = extras.need("transformers")
    make_tokenizer(folder)
    torch.manual_seed(seed)
    sizes: dict[str, Any] = {"vocab_size": 320, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    with extras.quiet(stderr=True):
        if kind == "llama":
            config = transformers.LlamaConfig(
                hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=1, max_position_embeddings=64, **sizes,
            )  # fmt: skip
            model = transformers.LlamaForCausalLM(config)
        else:
            config = transformers.GPT2Config(n_embd=WIDTH, n_layer=2, n_head=2, n_positions=64, **sizes)
            model = transformers.GPT2LMHeadModel(config)
        model.save_pretrained(folder)
    return folder


def make_tokenizer(folder: Path) -> None:
    tokenizers = extras.need("tokenizers")
    transformers = extras.need("transformers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    with extras.quiet():
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
        ).save_pretrained(folder)


def make_sae(folder: Path, *, kind: str = "topk", seed: int = 0, **changes: Any) -> Path:
    """Save a random SAE; `changes` are settings of its configuration, `metadata` of its metadata."""
    torch = extras.need("torch")
    saes = extras.need("sae_lens.saes")
    base = extras.need("sae_lens.saes.sae")
    metadata = {
        "hook_name": HOOK,
        "context_size": CONTEXT,
        "prepend_bos": True,
        **changes.pop("metadata", {}),
    }
    facts = base.SAEMetadata(**{key: value for key, value in metadata.items() if value is not None})
    classes = {
        "topk": (saes.TopKSAE, saes.TopKSAEConfig, {"k": 4}),
        "standard": (saes.StandardSAE, saes.StandardSAEConfig, {}),
        "jumprelu": (saes.JumpReLUSAE, saes.JumpReLUSAEConfig, {}),
        "abstopk": (saes.AbsTopKSAE, saes.AbsTopKSAEConfig, {"k": 4}),
        "matching_pursuit": (saes.MatchingPursuitSAE, saes.MatchingPursuitSAEConfig, {"max_iterations": 4}),
    }
    sae_class, config_class, settings = classes[kind]
    torch.manual_seed(seed)
    with extras.quiet():
        config = config_class(**{"d_in": WIDTH, "d_sae": FEATURES, "metadata": facts, **settings, **changes})
        sae = sae_class(config)
        with torch.no_grad():
            sae.W_dec.mul_(torch.linspace(0.5, 2.0, config.d_sae)[:, None])  # norms that are not 1
            sae.b_dec.normal_(std=0.1)
            if kind == "jumprelu":
                sae.threshold.fill_(0.05)
        sae.save_model(folder)
    return folder


def write_corpus(path: Path, texts: list[str] | None = None) -> Path:
    """Write texts as JSON lines with names `doc0`, `doc1`."""
    rows = [{"document": f"doc{n}", "source": "test", "text": text} for n, text in enumerate(texts or TEXTS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    return path
