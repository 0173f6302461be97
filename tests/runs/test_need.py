"""What a run will need, told before it starts, and the change that would make it fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sapo_viz.errors import ModelError
from sapo_viz.models.policy import load_policy
from sapo_viz.models.shape import ModelShape, shape_of
from sapo_viz.models.source import POLICIES
from sapo_viz.models.trained import add_lora, trained_parameters
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.need import changed, lengths_of, memory_sentence, need_of, size_text, smallest_change
from sapo_viz.runs.workers.failure import explain

# SmolLM2-135M: its config.json
LARGE = ModelShape(
    134_515_008, 30, 576, 1536, 49_152, 9, 3, 64,
    (("q_proj", 576, 576), ("k_proj", 192, 576), ("v_proj", 192, 576), ("o_proj", 576, 576), ("gate_proj", 1536, 576),
     ("up_proj", 1536, 576), ("down_proj", 576, 1536)) * 30,
)  # fmt: skip


def config(**settings: Any) -> RunConfig:
    return RunConfig(**{"task": "mood", "policy": "addition-start", **settings})


@pytest.mark.parametrize("targets", ["all-linear", "attention"])
def test_a_shape_is_read_off_the_files_and_knows_its_adapters_size(targets: str) -> None:
    shape, policy = shape_of(POLICIES / "addition-start"), load_policy("addition-start")
    assert shape.parameters == policy.parameters == 75_776
    add_lora(policy.model, 4, 8.0, targets, 0, "addition-start")
    assert shape.adapter(4, targets) == sum(parameter.numel() for parameter in trained_parameters(policy.model))


def _header(text: bytes, length: int | None = None) -> bytes:
    return (len(text) if length is None else length).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "weights",
    [
        _header(b"{}", 2**60),
        _header(b'{"a": {"shape": [1, 1e300]}}'),
        _header(b'{"a": {"shape": [%d]}}' % 10**100),
        _header(b'{"a": {"shape": "long"}}'),
        _header(b"[" * 100_000),
        _header(b'{"a": {"shape": [%s1]}}' % (b"549755813887," * 1_000_000)),  # its product would take hours
        b"",
    ],
    ids=["a header of an exabyte", "no whole number", "beyond any memory", "a word", "nested", "1e6 sizes", "empty"],
)
def test_a_header_that_tells_no_shape_is_said_in_a_sentence(weights: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((POLICIES / "addition-start" / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(ModelError, match="the size of the model in .* cannot be told"):
        shape_of(tmp_path)


@pytest.mark.parametrize("text", ["0", "-1", "true", "1e999", "NaN", "1" + "0" * 400, '"64"', "[]", "0.5"])
def test_a_size_that_no_model_has_is_said_in_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(_header(b'{"a": {"shape": [1]}}'))
    sizes = ("num_attention_heads", "hidden_size", "num_hidden_layers", "vocab_size")
    for wrong in sizes:
        values = ", ".join(f'"{name}": {text if name == wrong else 64}' for name in sizes)
        (tmp_path / "config.json").write_text(f"{{{values}}}", encoding="utf-8")
        with pytest.raises(ModelError, match="the size of the model in .* cannot be told"):
            shape_of(tmp_path)


def test_weights_that_are_a_pipe_are_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((POLICIES / "addition-start" / "config.json").read_bytes())
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="cannot be told"):
        shape_of(tmp_path)


def test_a_configuration_too_long_to_be_one_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b" " * (5 * 1024**2) + b"{}")
    with pytest.raises(ModelError, match="cannot be told"):
        shape_of(tmp_path)


def test_what_saves_memory_is_told_to_save_memory() -> None:
    whole = need_of(LARGE, config(), 40, 24).total
    for settings in ({"lora_rank": 16}, {"micro_batch": 4}, {"recompute": "on"}, {"completions": 4}):
        assert need_of(LARGE, config(**settings), 40, 24).total < whole


def test_the_smallest_change_fits_and_changes_no_more_than_it_must() -> None:
    asked = config(lora_rank=16)
    need = need_of(LARGE, asked, 40, 24).total
    assert smallest_change(LARGE, asked, 40, 24, need) is None  # it fits as it is
    fitting = smallest_change(LARGE, asked, 40, 24, 4e9)
    assert fitting is not None and need_of(LARGE, fitting, 40, 24).total <= 4e9
    assert changed(asked, fitting) == "micro_batch 16"
    assert smallest_change(LARGE, asked, 40, 24, 1e8) is None


def test_the_sentence_names_what_is_needed_what_is_there_and_what_to_change() -> None:
    told, fits = memory_sentence(LARGE, config(), 40, 4e9)
    assert not fits and "4.0 GB are free" in told and "It will not fit; with micro_batch" in told
    told, fits = memory_sentence(LARGE, config(), 40, 1e12)
    assert fits and "will not fit" not in told


def test_runs_that_start_together_are_counted_together() -> None:
    need = need_of(LARGE, config(), *lengths_of(config(), 40)).total
    told, fits = memory_sentence(LARGE, config(), 40, 1.5 * need, at_once=2)
    assert not fits and f"and {size_text(2 * need)} for 2 runs at a time" in told
    assert "They will not fit together; with micro_batch" in told
    assert memory_sentence(LARGE, config(), 40, 2 * need, at_once=2)[1]


def test_out_of_memory_names_the_change_that_would_have_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sapo_viz.runs.workers.failure.shape_of", lambda folder: LARGE)
    monkeypatch.setattr("sapo_viz.runs.workers.failure.free_bytes", lambda device: 3e9)
    told = explain(MemoryError(), tmp_path, config(lora_rank=16))
    assert (
        told.kind == "memory"
        and "duplicate the run with micro_batch 8, dtype bfloat16, which would have fitted" in told.message
    )


_PEAK = """
import sys, torch
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
from sapo_viz.models.policy import Policy
from sapo_viz.models.shape import shape_of
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.need import need_of
from sapo_viz.runs.training.engine import train
from transformers import LlamaConfig, LlamaForCausalLM
from sapo_viz.errors import ModelError
from sapo_viz.models.policy import load_policy

start, folder = load_policy("addition-start"), sys.argv[2]
shape = dict(hidden_size=256, intermediate_size=768, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=2)
LlamaForCausalLM(LlamaConfig(vocab_size=26, tie_word_embeddings=True, **shape)).save_pretrained(folder)
start.tokenizer.save_pretrained(folder)
settings = {"whole": {}, "lora": {"lora_rank": 8}, "lora, bfloat16": {"lora_rank": 8, "dtype": "bfloat16"}}[sys.argv[3]]
config = RunConfig(
    policy=folder, steps=1, minibatches=1, prompts=8, completions=8, snapshot_every=0, checkpoint_every=0,
    validate_every=0, device="cpu", kl_coef=0.01, **settings,
)
for event in train(config):
    if event.type == "step":
        break
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024, need_of(shape_of(folder), config, 9, 32).total)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize("kind", ["whole", "lora", "lora, bfloat16"])
def test_the_estimate_is_within_a_quarter_of_a_measured_peak(kind: str, tmp_path: Path) -> None:
    """A Llama of 4 million parameters, 256 × 41 tokens at once: 1.2 GB, most of it activations."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(root), str(tmp_path / "model"), kind],
        capture_output=True,
        text=True,
        check=True,
    )
    peak, estimate = map(float, done.stdout.split()[-2:])
    assert estimate == pytest.approx(peak, rel=0.25)
