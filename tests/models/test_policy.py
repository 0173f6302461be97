"""The bundled policies are what their cards say; text is scored exactly, and refused in one sentence."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer, PreTrainedTokenizerFast

from sapo_viz.errors import ModelError
from sapo_viz.models.policy import BUNDLED, MAX_TOKENIZER, Policy, load_policy, load_tokenizer, new_policy
from sapo_viz.models.rollout import decode, sample
from sapo_viz.models.scoring.score import score_pair, score_text
from sapo_viz.models.source import locate
from sapo_viz.models.tasks import ADDITION, TASKS, Task
from sapo_viz.models.tokenizer import encode, token_texts

ROOT = Path(__file__).parents[2]
PROMPT, COMPLETION = "^864+394=", "4+4+0=08,6+9+0=15,8+3+1=12;1258$"


def stated(name: str, kind: str) -> tuple[float, int]:
    """Accuracy and sample size as the model card states them."""
    card = (ROOT / "assets" / "policies" / name / "README.md").read_text(encoding="utf-8")
    found = re.search(kind + r"[^*]*\*\*([0-9.]+)\*\* \(n = ([0-9,]+)\)", card)
    assert found, f"{name}: the card states no {kind} accuracy"
    return float(found[1]), int(found[2].replace(",", ""))


def measured(policy: Policy, task: Task, count: int, *, greedy: bool) -> float:
    prompts = task.sample_prompts(count, random.Random("another draw than the card's"))
    generator = torch.Generator().manual_seed(7)
    rollout = sample(policy, prompts, 1, max_length=task.completion_length, greedy=greedy, generator=generator)
    assert rollout is not None
    return sum(map(task.reward, prompts, decode(policy, rollout))) / count


@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("kind", ["sampled", "greedy"])
def test_accuracy_is_what_the_card_states(name: str, kind: str) -> None:
    """Within four standard errors of a share, on 512 problems of our own."""
    share, _ = stated(name, kind)
    error = max((share * (1 - share) / 512) ** 0.5, 0.005)
    task = TASKS[name.split("-")[0]]
    assert measured(load_policy(name), task, 512, greedy=kind == "greedy") == pytest.approx(share, abs=4 * error)


SIZES = {"addition-moe-start": ("qwen3_moe", 125_952), "grid-start": ("qwen3_vl", 333_248)}


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_policies_are_small_and_load_with_the_library_alone(name: str) -> None:
    folder = ROOT / "assets" / "policies" / name
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_500_000
    kind, size = SIZES.get(name, ("qwen3", 75_776))
    of_kind = AutoModelForImageTextToText if kind == "qwen3_vl" else AutoModelForCausalLM
    model, tokenizer = of_kind.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.model_type == kind
    assert sum(parameter.numel() for parameter in model.parameters()) == size
    if kind == "qwen3_vl":
        return
    ids = tokenizer(PROMPT + COMPLETION)["input_ids"]
    assert len(ids) == 41 and tokenizer.decode(ids) == PROMPT + COMPLETION


def test_the_trained_policy_is_better_than_its_start() -> None:
    assert stated("addition-start", "sampled")[0] < 0.35 and stated("addition-rl", "sampled")[0] > 0.9


def test_scoring_agrees_with_one_full_log_softmax(start: Policy) -> None:
    """Also when the text is scored three tokens at a time."""
    ids = torch.tensor([start.encode(PROMPT + COMPLETION)])
    with torch.no_grad():
        full = torch.log_softmax(start.model(ids).logits.double(), -1)[0, :-1]
    expected = full.gather(-1, ids[0, 1:, None])[8:, 0].float()
    for chunk in (3, 1000):
        scored = score_text(start, PROMPT, COMPLETION, chunk=chunk)
        torch.testing.assert_close(torch.tensor(scored.logprobs), expected, atol=1e-5, rtol=0)
        assert "".join(scored.tokens) == COMPLETION


def test_two_policies_score_one_text_as_a_row_of_the_rollout_schema(start: Policy, trained: Policy) -> None:
    row = score_pair(trained, start, PROMPT, COMPLETION, advantage=-0.5)
    assert row["tokens"] == list(COMPLETION) and row["advantage"] == -0.5
    assert row["logprobs"] == list(score_text(trained, PROMPT, COMPLETION).logprobs)
    assert row["old_logprobs"] == list(score_text(start, PROMPT, COMPLETION).logprobs)
    assert sum(row["logprobs"]) > sum(row["old_logprobs"])  # RL made the right answer likelier


@pytest.mark.parametrize("text", ["4+é", "4\n", "4\u202e+", "4<b>"])
def test_an_unknown_character_is_named_with_what_is_known(start: Policy, text: str) -> None:
    wrong = next(character for character in text if character not in ADDITION.vocabulary)
    with pytest.raises(ModelError) as caught:
        score_text(start, PROMPT, text)
    message = str(caught.value)
    assert f"U+{ord(wrong):04X}" in message and "0 1 2 3 4 5 6 7 8 9 ^ + = , ; $ space" in message
    assert "\n" not in message


@pytest.mark.parametrize(("prompt", "completion", "word"), [("", "4+4", "prompt"), ("^1", "", "completion")])
def test_nothing_to_score_is_said(start: Policy, prompt: str, completion: str, word: str) -> None:
    with pytest.raises(ModelError, match=f"the {word} is empty"):
        score_text(start, prompt, completion)


def test_a_text_longer_than_the_policy_can_read_is_refused(start: Policy) -> None:
    with pytest.raises(ModelError, match="209 tokens.*64"):
        score_text(start, PROMPT, "1" * 200)


def test_a_folder_that_is_no_policy_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="config.json") as caught:
        load_policy(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_policy_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    policy = new_policy(ADDITION, seed=3)
    policy.save(tmp_path)
    loaded = load_policy(str(tmp_path))
    assert score_text(loaded, PROMPT, COMPLETION) == score_text(policy, PROMPT, COMPLETION)


def test_half_characters_and_blanks_are_shown_as_they_are() -> None:
    """A byte-level tokenizer without merges: 你 is E4 BD A0, three tokens of one byte each."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    ids = encode(tokenizer, "a <b>\n你")
    assert token_texts(tokenizer, ids) == ["a", " ", "<", "b", ">", "\n", "⟨E4⟩", "⟨BD⟩", "⟨A0⟩"]


def test_importing_the_layer_loads_neither_torch_nor_transformers() -> None:
    code = "import sys, sapo_viz.models.policy, sapo_viz.models.rollout, sapo_viz.models.scoring.score\n"
    code += "print([name for name in ('torch', 'transformers', 'tokenizers') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_tokenizer_that_would_fill_the_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(MAX_TOKENIZER + 3 * 1024**2)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"tokenizer\.json has 67 MB; a tokenizer's file may have 64 MB"):
        load_tokenizer(locate(str(tmp_path)))
