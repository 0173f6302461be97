"""A model that looks at images is refused in a sentence, before a run begins and where it would be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import Qwen3VLConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from sapo_viz.errors import ModelError
from sapo_viz.models.policy import load_policy
from sapo_viz.models.source import READ_AS_TEXT, check_reads_text
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.starting import check_start


@pytest.fixture
def qwen3_vl(tmp_path: Path) -> Path:
    """Its configuration as transformers writes it, and a file of weights that nobody opens."""
    Qwen3VLConfig().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def test_a_vision_model_is_refused_before_the_start_and_when_it_is_read(qwen3_vl: Path) -> None:
    said = "is a qwen3_vl, which looks at images; of those only grid-start, .* or a language model such as Qwen/Qwen3"
    with pytest.raises(ModelError, match=said):
        check_start(RunConfig(task="mood", policy=str(qwen3_vl)), None)
    with pytest.raises(ModelError, match=said):
        load_policy(str(qwen3_vl))


def test_what_transformers_reads_as_a_language_model_is_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma3", "vision_config": {}}), encoding="utf-8")
    check_reads_text("gemma", tmp_path)
    both = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.keys() & MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.keys()
    assert set(READ_AS_TEXT) <= both
