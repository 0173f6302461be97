"""Scoring agrees with a full log-softmax, whatever the model; what cannot be scored is said in one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from sapo_viz.errors import ModelError
from sapo_viz.models import memory
from sapo_viz.models.logprobs import LOGITS, token_logprobs
from sapo_viz.models.policy import Policy, load_policy
from sapo_viz.models.scoring import score as scoring
from sapo_viz.models.scoring.cache import ScoreCache, ScoredText
from sapo_viz.models.scoring.score import Progress, Scores, score_texts
from sapo_viz.models.source import ModelSource, list_models, locate
from tests.models.tiny import CHAT, byte_level, save_adapter, save_model

BASE: dict[str, Any] = dict(
    vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128, pad_token_id=0, bos_token_id=1, eos_token_id=2,
)  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "Qwen3": {"head_dim": 8},
    "Gemma2": {"head_dim": 8, "final_logit_softcapping": 0.5},  # tanh on the logits
    "Cohere": {"logit_scale": 0.3},
    "Granite": {"logits_scaling": 4.0},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "OPT": {"ffn_dim": 48, "word_embed_proj_dim": 32},  # its body is not called through base_model
    "Mixtral": {"num_local_experts": 4},
}


def build(kind: str) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**(BASE | KINDS[kind]))
    names = (f"{kind}ForCausalLM", f"{kind}LMHeadModel")
    model = next(getattr(transformers, name) for name in names if hasattr(transformers, name))(config).eval()
    for parameter in model.parameters():
        parameter.data.mul_(4 if parameter.dim() > 1 else 1)  # fresh weights give almost equal log-probs
    return model


def full(model: Any, row: list[int], first: int) -> torch.Tensor:
    """The reference: all logits at once, in float64, of this text alone."""
    with torch.no_grad():
        logprobs = torch.log_softmax(model(torch.tensor([row])).logits.double(), -1)[0, :-1]
    return logprobs.gather(-1, torch.tensor(row[1:])[:, None])[first - 1 :, 0]


def check(model: Any, rows: list[list[int]], first: list[int], chunk: int | None) -> None:
    scores = token_logprobs(Policy("x", model, None), rows, first, chunk=chunk)  # type: ignore[arg-type]
    for row, begin, score in zip(rows, first, scores, strict=True):
        torch.testing.assert_close(score.double(), full(model, row, begin), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_in_chunks_agrees_with_each_text_alone(kind: str) -> None:
    model = build(kind)
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(3, 300, (length,), generator=generator).tolist() for length in (40, 33, 12)]
    check(model, rows, [5, 30, 1], chunk=7)
    assert not model.get_decoder().__dict__.get("forward"), "the model is left as it was"


def test_a_model_whose_forward_knows_no_logits_to_keep_is_run_whole() -> None:
    class Plain(transformers.Qwen3ForCausalLM):
        def forward(self, input_ids: Any, use_cache: bool = True) -> Any:  # type: ignore[override]
            return super().forward(input_ids=input_ids, use_cache=use_cache)

    torch.manual_seed(0)
    model = Plain(transformers.Qwen3Config(**(BASE | KINDS["Qwen3"]))).eval()
    check(model, [list(range(3, 40)), list(range(50, 60))], [2, 4], chunk=5)


def test_a_vocabulary_of_151936_is_never_scored_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """4,096 tokens would make 622 million logits; no call of the head makes more than one chunk of them.

    A chunk is an eighth of what it is as a rule, and so is the text.
    """
    monkeypatch.setattr("sapo_viz.models.logprobs.LOGITS", LOGITS // 8)
    config = transformers.Qwen3Config(
        **(BASE | {"vocab_size": 151_936, "max_position_embeddings": 4096, "head_dim": 8})
    )
    torch.manual_seed(0)
    model = transformers.Qwen3ForCausalLM(config).eval()
    made: list[int] = []
    model.lm_head.register_forward_hook(lambda _module, _arguments, logits: made.append(logits.numel()))
    row = torch.randint(3, 151_936, (150,)).tolist()
    check(model, [row], [1], chunk=None)
    whole = made.pop()  # of the reference
    assert whole == 150 * 151_936 and max(made) <= LOGITS // 8
    assert len(made) > 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    tokenizer = byte_level()
    model = save_model(root / "run" / "base", tokenizer)
    save_model(root / "run" / "step-9", tokenizer, seed=7)
    save_model(root / "other", byte_level(300, ["quite other words"]))
    save_model(root / "wide", tokenizer, hidden_size=64)
    tokenizer.chat_template = CHAT
    save_model(root / "chat", tokenizer)
    save_adapter(root / "run" / "lora", model, base=str(root / "run" / "base"))
    return root


def result(steps: Any) -> Scores:
    *progress, last = steps
    assert all(isinstance(step, Progress) for step in progress) and isinstance(last, Scores)
    return last


def scores_of(folder: Path, new: str, old: str, texts: list[tuple[str, str]], **options: Any) -> Scores:
    adapter = options.pop("adapter", "")
    prompts, completions = zip(*texts, strict=True)
    return result(
        score_texts(locate(new, adapter, root=folder), locate(old, root=folder), prompts, completions, **options)
    )


TEXTS = [("the cat", " sat on 你們"), ("12+34=", "46"), ("", "x"), ("the", " cat" * 200), ("a", "naïve mat" * 5)]


def test_two_folders_score_many_texts_and_say_what_they_left_out(folder: Path) -> None:
    scores = scores_of(folder, "run/step-9", "run/base", TEXTS)
    assert [score is not None for score in scores.new] == [True, True, False, False, True]
    assert "the prompt is empty" in scores.left_out[2] and "201 tokens" in scores.left_out[3]
    assert "reads up to 128" in scores.left_out[3]
    for name, found in (("run/base", scores.old), ("run/step-9", scores.new)):
        policy = load_policy(str(folder / name))
        for (prompt, completion), score in zip(TEXTS, found, strict=True):
            if score is not None:
                before, after = policy.encode(prompt, start=True), policy.encode(completion)
                expected = full(policy.model, before + after, len(before)).float()
                torch.testing.assert_close(torch.tensor(score.logprobs), expected, atol=1e-5, rtol=0)
                assert "".join(score.tokens).replace("⟨E5⟩⟨80⟩⟨91⟩", "們") == completion


def test_progress_counts_up_to_the_end(folder: Path) -> None:
    prompts, completions = zip(*[TEXTS[0]] * 40, strict=True)
    new, old = locate("run/step-9", root=folder), locate("run/base", root=folder)
    steps = [s for s in score_texts(new, old, prompts, completions) if isinstance(s, Progress)]
    shares = [step.share for step in steps]
    assert shares == sorted(shares) and shares[-1] == 1
    assert steps[-1].done == steps[-1].total == 80 and steps[-1].seconds_left == 0
    assert [step.stage for step in steps][:3] == ["fetching", "fetching", "loading"]


def test_a_lora_adapter_scores_as_peft_does(folder: Path) -> None:
    from peft import PeftModel

    plain = load_policy(str(folder / "run" / "base"))
    scores = scores_of(folder, "run/base", "run/base", TEXTS[:1], adapter="run/lora")
    assert scores.new[0] and scores.old[0]
    ids = plain.encode("the cat") + list(scores.new[0].token_ids)
    before = len(plain.encode("the cat"))
    for model, score in ((plain.model, scores.old[0]),):
        torch.testing.assert_close(torch.tensor(score.logprobs), full(model, ids, before).float(), atol=1e-5, rtol=0)
    wrapped = PeftModel.from_pretrained(plain.model, folder / "run" / "lora").eval()
    expected = full(wrapped, ids, before).float()
    torch.testing.assert_close(torch.tensor(scores.new[0].logprobs), expected, atol=1e-5, rtol=0)
    assert (expected - torch.tensor(scores.old[0].logprobs)).abs().max() > 1e-3, "it changes something"


def test_an_adapter_alone_brings_its_base(folder: Path) -> None:
    assert locate("", str(folder / "run" / "lora")).base.folder == str(folder / "run" / "base")


def test_an_adapters_base_is_not_read_from_outside_the_owners_folder(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run" / "lora", tmp_path / "lora")  # its configuration names a path elsewhere
    with pytest.raises(ModelError, match="there is no model"):
        locate("", "lora", root=tmp_path)


@pytest.mark.parametrize("other", ["wide", "addition-rl"])
def test_an_adapter_of_another_model_is_refused(folder: Path, other: str) -> None:
    with pytest.raises(ModelError, match="adapter 'run/lora' does not fit|LoRA layers"):
        scores_of(folder, other, other, [("1", "2")], adapter="run/lora")


def test_an_adapter_that_is_not_lora_or_is_pickled_is_refused(folder: Path, tmp_path: Path) -> None:
    for change, word in (({"peft_type": "IA3"}, "IA3"), ({"megatron_config": {"a": 1}}, "Megatron")):
        changed = tmp_path / word
        shutil.copytree(folder / "run" / "lora", changed)
        config = json.loads((changed / "adapter_config.json").read_text())
        (changed / "adapter_config.json").write_text(json.dumps(config | change))
        with pytest.raises(ModelError, match=word):
            result(score_texts(locate("addition-rl", str(changed)), locate("addition-rl"), ["1"], ["2"]))
    (changed / "adapter_model.safetensors").rename(changed / "adapter_model.bin")
    with pytest.raises(ModelError, match="pickle"):
        locate("addition-rl", str(changed))


def test_pickled_weights_are_refused_with_the_way_round(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run" / "base", tmp_path / "old")
    (tmp_path / "old" / "model.safetensors").rename(tmp_path / "old" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pytorch_model.bin, a pickle.*save it as safetensors"):
        locate(str(tmp_path / "old"))


def test_code_that_comes_with_a_model_is_not_run(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run" / "base", tmp_path / "evil")
    config = json.loads((tmp_path / "evil" / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}}
    (tmp_path / "evil" / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ModelError, match="could not be loaded"):
        load_policy(str(tmp_path / "evil"))
    assert not (tmp_path / "ran").exists()


def test_a_page_reads_folders_below_the_owners_only(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "open")
    (tmp_path / "open" / "link").symlink_to(folder / "other")
    root = tmp_path / "open"
    assert locate("run/base", root=root).base.folder == str(root / "run" / "base")
    outside = [str(folder / "other"), "../open/other/../../x", "link", ".", "..", "", "a\0b", "run/../../open", "~"]
    for name in outside:
        with pytest.raises(ModelError):
            locate(name, root=root)
        with pytest.raises(ModelError):
            locate(name, root=Path())  # the owner opened none
    assert list_models(root) == ["chat", "other", "run/base", "run/step-9", "wide"]
    assert list_models(root, adapters=True) == ["run/lora"] and list_models(None) == []


def test_different_tokenizers_are_one_sentence_with_the_first_difference(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"other splits.*token 1 is 't' and 'the'\); a ratio takes two policies with"):
        scores_of(folder, "other", "run/base", [("x", "the cat")])


def test_a_chat_template_is_put_around_the_prompt(folder: Path) -> None:
    scores = scores_of(folder, "chat", "chat", [("the", " cat")], chat=True)
    policy = load_policy(str(folder / "chat"))
    before, after = policy.encode("<user>the\n<assistant>"), policy.encode(" cat")
    assert scores.new[0]
    torch.testing.assert_close(
        torch.tensor(scores.new[0].logprobs), full(policy.model, before + after, len(before)).float(), atol=1e-5, rtol=0
    )
    with pytest.raises(ModelError, match="no chat template"):
        scores_of(folder, "run/base", "run/base", [("the", " cat")], chat=True)


def test_what_was_scored_before_is_not_scored_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ScoreCache()
    first = scores_of(folder, "run/step-9", "run/base", TEXTS, cache=cache)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(scoring, "_policy", refuse)
    again = scores_of(folder, "run/step-9", "run/base", TEXTS, cache=cache)
    assert again.new == first.new and again.old == first.old
    with pytest.raises(AssertionError):
        scores_of(folder, "run/step-9", "run/base", [("the", " mat")], cache=cache)


def test_a_model_that_changed_is_another_one(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run" / "base", tmp_path / "m")
    before = locate(str(tmp_path / "m")).identity
    assert locate(str(tmp_path / "m")).identity == before
    save_model(tmp_path / "m", byte_level(), seed=3)
    assert locate(str(tmp_path / "m")).identity != before


def test_the_cache_is_bounded_and_forgets_what_was_used_longest_ago() -> None:
    cache = ScoreCache(max_tokens=10)
    four = ScoredText(("a",) * 4, (1,) * 4, (-1.0,) * 4)
    for key in "abc":
        cache.put(key, four)
        cache.get("a")
    assert cache.get("a") and cache.get("c") and cache.get("b") is None and cache.tokens == 8


def test_memory_that_is_not_enough_halves_the_batch_then_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, sizes = scoring.steps, []

    def limited(most: int) -> Any:
        def steps(policy: Any, rows: Any, *rest: Any, **named: Any) -> Any:
            sizes.append(len(rows))
            if len(rows) > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return real(policy, rows, *rest, **named)

        return steps

    texts = [("the", " cat" * 60)] * 30
    expected = scores_of(folder, "run/base", "run/base", texts)
    monkeypatch.setattr(scoring, "steps", limited(8))
    halved = scores_of(folder, "run/base", "run/base", texts)
    for score, wanted in zip(halved.new, expected.new, strict=True):
        assert score and wanted and score.logprobs == pytest.approx(wanted.logprobs, abs=1e-5)
    assert sizes[0] > 8 and min(sizes) <= 8
    monkeypatch.setattr(scoring, "steps", limited(0))
    with pytest.raises(ModelError, match="memory of cpu is not enough for 'run/base'; take a smaller model"):
        scores_of(folder, "run/base", "run/base", texts)


def test_weights_larger_than_the_free_memory_are_refused_before_they_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = locate("run/base", root=folder)
    large = ModelSource(type(source.base)("large", source.base.folder, "x", 10**15))
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 8 * 10**9)
    with pytest.raises(ModelError, match=r"'large' needs 1,000,000.0 GB .*8.0 GB of memory are free on cpu; .*smaller"):
        memory.check_memory(large, "cpu", "float32")


def test_a_device_that_is_not_there_is_one_sentence(folder: Path) -> None:
    with pytest.raises(ModelError, match="device is 'cuda:77', which torch does not have here; take cpu"):
        scores_of(folder, "run/base", "run/base", [("the", " cat")], device="cuda:77")
