"""Small models with real tokenizers, made on the spot: weights are random, everything else is as people have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

CORPUS = ["naïve 你好世界 the cat sat on the mat 12+34=46 "] * 30
CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>"


def byte_level(size: int = 400, corpus: list[str] = CORPUS) -> PreTrainedTokenizerFast:
    """As GPT-2's and Qwen's: each byte is a printable character, merges are of bytes; `<think>` is an added word."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(corpus, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>", pad_token="<|end|>")
    tokenizer.add_tokens(["<think>"])
    return tokenizer


def sentencepiece_like() -> PreTrainedTokenizerFast:
    """As Llama 2's: ▁ for a blank, one put before each text, and <0xE4> for a byte without a token of its own."""
    names = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256)), *"▁Helowrdtca", "ll"]
    backend = Tokenizer(
        models.BPE(
            vocab={name: i for i, name in enumerate(names)},
            merges=[("l", "l")],
            byte_fallback=True,
            unk_token="<unk>",
            fuse_unk=True,
        )
    )
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>")


def save_model(folder: Path, tokenizer: Any, *, seed: int = 0, length: int = 128, **shape: int) -> Any:
    """A Qwen3 of 2 layers in `folder`; the model is returned."""
    config = dict(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2) | shape
    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            **config,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=length,
            tie_word_embeddings=True,
            dtype="float32",
        )
    ).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def save_adapter(folder: Path, model: Any, *, seed: int = 1, base: str = "") -> Any:
    """A LoRA adapter for `model` that changes it; returns peft's own wrapper, the reference."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    wrapped = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    wrapped.peft_config["default"].base_model_name_or_path = base
    wrapped.save_pretrained(folder)
    return wrapped.eval()
