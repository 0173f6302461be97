"""A LoRA adapter (arXiv 2106.09685) as peft writes it: adapter_config.json beside adapter_model.safetensors."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapo_viz.errors import ModelError, reason_of
from sapo_viz.models.source import Located, small_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def with_adapter(model: PreTrainedModel, adapter: Located) -> PreTrainedModel:
    """The same model with W + (α/r)·B·A in the layers that the adapter names; nothing is trained.

    The transformers model itself is returned and not peft's wrapper: the LoRA layers sit inside it.

    Raises:
        ModelError: it is no LoRA adapter, or one for another model.
    """
    return _wrapped(model, adapter).get_base_model()  # type: ignore[no-any-return]  # one of transformers', in peft's


def merged_with(model: PreTrainedModel, adapter: Located) -> PreTrainedModel:
    """The same model with W + (α/r)·B·A as its weights and no layer of the adapter left: one that anything can load.

    The sum is rounded to the weights' own precision, so hold them in float32 when they are merged.

    Raises:
        ModelError: it is no LoRA adapter, or one for another model; or a sum is not finite.
    """
    wrapped = _wrapped(model, adapter)
    try:
        return wrapped.merge_and_unload(safe_merge=True)  # type: ignore[no-any-return]
    except ValueError as error:
        raise ModelError(f"the adapter {adapter.name!r} cannot be merged ({reason_of(error, 200)}).") from None


def _wrapped(model: PreTrainedModel, adapter: Located) -> Any:
    """peft's wrapper around the model, once the adapter was seen to fit it in every layer."""
    folder = Path(adapter.folder)
    _check(adapter.name, folder)
    from peft import PeftModel

    try:
        with warnings.catch_warnings():  # of how peft calls transformers, which is between the two of them
            warnings.simplefilter("ignore", FutureWarning)
            wrapped = PeftModel.from_pretrained(model, str(folder), is_trainable=False, local_files_only=True)
    except Exception as error:  # a wrong shape is a RuntimeError, a layer that is missing a ValueError
        raise ModelError(
            f"the adapter {adapter.name!r} does not fit the model ({reason_of(error, 200)}); it takes the model that "
            "it was trained on."
        ) from None
    names = [name for name, _ in wrapped.get_base_model().named_modules()]
    in_file, in_model = _layers_in_file(folder), sum(name.endswith("lora_A") for name in names)
    if in_file != in_model:  # peft leaves out what does not fit and goes on
        raise ModelError(
            f"the adapter {adapter.name!r} has {in_file} LoRA layers in its file and {in_model} in this model; it "
            "takes the model that it was trained on."
        )
    return wrapped


def _layers_in_file(folder: Path) -> int:
    from safetensors import safe_open

    with safe_open(folder / "adapter_model.safetensors", "pt") as file:
        return sum(".lora_A." in key or ".lora_embedding_A" in key for key in file.keys())  # noqa: SIM118


def _check(name: str, folder: Path) -> None:
    try:
        config = small_json(folder / "adapter_config.json")
    except ModelError:
        raise ModelError(f"the adapter {name!r} has no adapter_config.json that can be read.") from None
    kind = str(config.get("peft_type"))
    if kind != "LORA":
        raise ModelError(f"the adapter {name!r} is of kind {kind[:30]}; only LORA is read.")
    if not (folder / "adapter_model.safetensors").is_file():
        raise ModelError(
            f"the adapter {name!r} has no adapter_model.safetensors (a .bin file is a pickle, which can run code when "
            "opened); save it again with a current peft."
        )
    if config.get("megatron_config"):  # peft would import the module that the file names
        raise ModelError(
            f"the adapter {name!r} is made for Megatron layers (megatron_config), which are not read here."
        )
