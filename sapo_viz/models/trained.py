"""Which of a model's weights are trained, and copies that share the others: a run with an adapter keeps only that."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapo_viz.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor


def has_adapter(model: Any) -> bool:
    """Whether `add_lora` was here: trained layers beside frozen ones."""
    return any(".lora_" in name and p.requires_grad for name, p in model.named_parameters())


def trained_parameters(model: Any) -> list[Any]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def trained_state(model: Any) -> dict[str, Tensor]:
    """The trained weights by name; of a model that is trained as a whole everything, buffers too."""
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if len(names) == sum(1 for _ in model.parameters()):
        return dict(model.state_dict())
    own = dict(model.named_parameters())
    return {name: own[name].detach() for name in names}


def load_trained(model: Any, state: Mapping[str, Tensor]) -> None:
    """The weights of `trained_state` back in their places.

    Raises:
        RuntimeError: they are another model's, or another adapter's.
    """
    wanted = trained_state(model).keys()
    if state.keys() != wanted:
        raise RuntimeError("these are the weights of another model")
    model.load_state_dict(state, strict=False)


def sharing_copy(model: Any) -> Any:
    """A copy whose frozen weights are the model's own, in the same memory."""
    shared = {id(parameter): parameter for parameter in model.parameters() if not parameter.requires_grad}
    return copy.deepcopy(model, shared)


def save_adapter(model: Any, folder: Path | str) -> None:
    """adapter_config.json and adapter_model.safetensors, as peft writes them.

    Written here because peft's own way asks the Hub whether the base's vocabulary has changed.
    """
    from safetensors.torch import save_file

    Path(folder).mkdir(parents=True, exist_ok=True)
    (settings,) = model.peft_config.values()
    settings.save_pretrained(str(folder))
    tensors = {
        "base_model.model." + name.replace(".default.", "."): value.contiguous().cpu()
        for name, value in trained_state(model).items()
    }
    save_file(tensors, Path(folder) / "adapter_model.safetensors", metadata={"format": "pt"})


LORA_TARGETS = {"all-linear": "all-linear", "attention": ["q_proj", "k_proj", "v_proj", "o_proj"]}


def add_lora(model: Any, rank: int, alpha: float, targets: str, seed: int, base: str) -> None:
    """Low-rank layers W + (α/r)·B·A beside the model's own, which are frozen; they begin as nothing (B = 0).

    peft's layers, in the model itself: any architecture's names, and the file format that everything else reads. They
    are float32 whatever the frozen weights are, so that small updates are not lost.

    Raises:
        ModelError: the model has no layers of these names.
    """
    import torch
    from peft import LoraConfig

    settings = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=LORA_TARGETS[targets], lora_dropout=0.0, task_type="CAUSAL_LM"  # type: ignore[arg-type]
    )  # fmt: skip
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model.add_adapter(settings)
    except ValueError:
        raise ModelError(
            f"lora_targets is {targets!r}, and the policy has no such layers; it takes {' or '.join(LORA_TARGETS)}."
        ) from None
    model.eval()
    settings.base_model_name_or_path = base
    for name, parameter in model.named_parameters():
        lora = ".lora_" in name
        parameter.requires_grad_(lora)
        if lora:
            parameter.data = parameter.data.float()
