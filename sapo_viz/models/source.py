"""Where a model's files are, and what tells its content from another's: bundled, a folder, or the Hugging Face Hub.

A model is data here and never code: `trust_remote_code` is off, no Python file is fetched, and weights are read from
safetensors only. transformers would read pickled .bin files with torch's restricted unpickler; that has been got
round before (CVE-2025-32434), and a model that matters exists as safetensors or is converted in one line.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapo_viz.errors import ModelError
from sapo_viz.models.tasks import GRID
from sapo_viz.paths import ASSETS, runs_dir, walk

POLICIES = ASSETS / "policies"

# name -> what it is, in one line
BUNDLED: dict[str, str] = {
    "addition-start": "warm start on three-digit addition: knows the form, right about one time in four",
    "addition-rl": "the same after reinforcement learning with SAPO",
    "addition-moe-start": "the warm start as a mixture of 8 experts, 2 for each token",
    "chain-start": "warm start on the chain of sums, 135 tokens: right about one time in four",
    "grid-start": "a Qwen3-VL, warm start on the cells of a picture: right about one time in five",
}

FOLDER_VARIABLE = "SAPO_VIZ_MODELS_DIR"  # the one folder whose models visitors of the page may use
RUN = "run:"  # before the id of a run of this machine: the policy, or the adapter, that it has trained
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
_NOT = ("original/*", "onnx/*", "consolidated*", "*/*")  # second copies of the weights, other frameworks
_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_CONFIGURATION = 4 * 1024**2  # bytes; the longest in use, with a list of quantised layers, have a few hundred kB
_BESIDE = re.compile(r"[^/\\]+\.(safetensors|bin)")  # a file of weights in the same folder
_DEPTH = 4  # levels below the owner's folder in which models are looked for


@dataclass(frozen=True)
class Located:
    """A model's or an adapter's files. Equal `identity` means equal content."""

    name: str  # as the person wrote it
    folder: str  # "" while it still has to be fetched from the Hub
    identity: str
    bytes: int  # of its weights


@dataclass(frozen=True)
class ModelSource:
    """A model, perhaps with a LoRA adapter on it; plain data, so that it can be sent to another process."""

    base: Located
    adapter: Located | None = None

    @property
    def name(self) -> str:
        return f"{self.base.name} + {self.adapter.name}" if self.adapter else self.base.name

    @property
    def identity(self) -> str:
        return self.base.identity + (f"+{self.adapter.identity}" if self.adapter else "")

    def to_dict(self) -> dict[str, Any]:
        return {"base": vars(self.base), "adapter": vars(self.adapter) if self.adapter else None}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelSource:
        return cls(Located(**data["base"]), Located(**data["adapter"]) if data["adapter"] else None)


def locate(name: str, adapter: str = "", *, root: Path | None = None) -> ModelSource:
    """The model called `name`, with a LoRA adapter when one is named. With only the adapter, its own base.

    Args:
        name: a bundled name, `run:` and a run's id, a folder, or a Hub id; "" takes the base that the adapter's
            configuration names.
        adapter: a folder with adapter_config.json, or a Hub id.
        root: None takes any folder of the machine, for its own user. On a page that others can open it is the folder
            of `models_dir()`, or an empty path for none: names are relative to it and nothing outside it is read.

    Raises:
        ModelError: there is no such model, it may not be read here, or its weights are pickled.
    """
    found = _locate(adapter.strip(), root, adapter=True) if adapter.strip() else None
    name = name.strip()
    if not name:
        if found is None:
            raise ModelError(f"no model is named; it takes {_takes(root)}.")
        config = _fetched(found, adapter=True)
        name = str(small_json(Path(config.folder) / "adapter_config.json").get("base_model_name_or_path") or "")[:500]
        if not name:
            raise ModelError(f"adapter {adapter!r} does not say which model it is for; name the model too.")
    return ModelSource(_locate(name, root), found)


def admit(name: str, root: Path | None) -> None:
    """Whether `locate` may be asked for this model at all; nothing outside this machine is asked.

    Raises:
        ModelError: it is neither bundled nor a folder that may be read, nor has it the form of a Hub id.
    """
    if name not in BUNDLED and _folder(name, root) is None and (not _HUB_ID.fullmatch(name) or ".." in name):
        raise ModelError(f"there is no model {name[:100]!r} here; it takes {_takes(root)}.")


def visitors_root() -> Path:
    """The `root` of everything that a page starts: the folder opened to visitors, or an empty path, which is none."""
    return models_dir() or Path()


def models_dir() -> Path | None:
    """The folder that the server's owner opened to visitors, or None."""
    value = os.environ.get(FOLDER_VARIABLE, "").strip()
    return Path(value).resolve() if value and Path(value).is_dir() else None


def list_models(root: Path | None, *, adapters: bool = False) -> list[str]:
    """Names, relative to `root`, of the folders below it that hold a model (or an adapter), at most 500."""
    wanted = "adapter_config.json" if adapters else "config.json"
    found: list[str] = []
    for folder, below, files in () if root is None else walk(root):
        place = folder.relative_to(root or "")
        if len(place.parts) >= _DEPTH or len(found) >= 500:
            below.clear()
        if wanted in files and place.parts:
            found.append(place.as_posix())
    return sorted(found)


def list_run_policies(*, adapters: bool = False) -> list[str]:
    """Names of what the runs of this machine have trained, whole policies (or adapters), the newest run first; at most
    100."""
    wanted = "adapter_config.json" if adapters else "config.json"
    found = [path.parts[-3] for path in runs_dir().glob(f"*/policy/{wanted}") if _RUN_ID.fullmatch(path.parts[-3])]
    return [RUN + run_id for run_id in sorted(found, reverse=True)[:100]]  # an id begins with its date


def names_of_models(root: Path | None) -> list[str]:
    """All that can be named without asking the Hub: bundled policies, those of `root`, those that runs have trained."""
    return [*(name for name in BUNDLED if (POLICIES / name).is_dir()), *list_models(root), *list_run_policies()]


def fetch(source: ModelSource) -> ModelSource:
    """The same with every file on this machine; what comes from the Hub goes into its usual cache."""
    return ModelSource(_fetched(source.base), _fetched(source.adapter, adapter=True) if source.adapter else None)


def _locate(name: str, root: Path | None, *, adapter: bool = False) -> Located:
    if name in BUNDLED and not adapter:
        return _in_folder(name, POLICIES / name, adapter=False)
    folder = _folder(name, root)
    if folder is not None:
        return _in_folder(name, folder, adapter=adapter)
    admit(name, root)
    return _on_hub(name, adapter, root)


def local_folder(name: str, root: Path | None) -> Path | None:
    """Where the model lies on this machine, if it may be read and nobody has to be asked for it."""
    return POLICIES / name if name in BUNDLED else _folder(name, root)


def is_hub_id(name: str) -> bool:
    """Whether a name is one that every machine finds on the Hub: neither bundled, nor a folder or a run of this one."""
    here = local_folder(name, None) or local_folder(name, visitors_root())
    return "/" in name and not here and _HUB_ID.fullmatch(name) is not None and ".." not in name


def _takes(root: Path | None) -> str:
    if root is None:
        local = "a folder in Hugging Face format"
    elif root.is_absolute():
        local = f"a folder below {FOLDER_VARIABLE}"
    else:
        local = f"a folder below {FOLDER_VARIABLE} (which this server's owner has not set)"
    return (
        f"{', '.join(BUNDLED)}, {local}, {RUN}<id> of a finished run, or the id of a causal language model on the "
        "Hugging Face Hub"
    )


def _folder(name: str, root: Path | None) -> Path | None:
    """The folder that the name stands for, links and `..` resolved; None if there is none that may be read."""
    try:
        if name.startswith(RUN):
            return _of_run(name.removeprefix(RUN))
        if root is None:
            return Path(name).resolve() if Path(name).is_dir() else None
        if not root.is_absolute():
            return None
        folder = (root / name).resolve()
        inside = folder.is_relative_to(root.resolve()) and folder != root.resolve()
        return folder if inside and folder.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or links in a circle
        return None


def _of_run(run_id: str) -> Path | None:
    """What a run has trained. Everybody who may open a page sees all runs, so this is no more than they see."""
    folder = (runs_dir() / run_id / "policy").resolve() if _RUN_ID.fullmatch(run_id) else None
    there = folder and folder.is_relative_to(runs_dir().resolve()) and without_links(runs_dir() / run_id / "policy")
    return folder if there else None


def without_links(folder: Path) -> bool:
    """Whether it is a folder, and neither it nor anything in it a link: what is in a run's folder may be a
    stranger's, and the libraries open whatever a link leads to."""
    try:
        return folder.is_dir() and not any(path.is_symlink() for path in (folder, *folder.iterdir()))
    except OSError:
        return False


def _in_folder(name: str, folder: Path, *, adapter: bool) -> Located:
    files = {path.name: path.stat() for path in sorted(folder.iterdir()) if path.is_file()}
    wanted = "adapter_config.json" if adapter else "config.json"
    if wanted not in files:
        what = "LoRA adapter" if adapter else "policy"
        also = "; an adapter is named apart from its model" if "adapter_config.json" in files else ""
        raise ModelError(f"the folder {name!r} holds no {what}: there is no {wanted} in it{also}.")
    _check_weights(name, list(files))
    _check_index(name, folder)
    facts = json.dumps([(file, stat.st_size, stat.st_mtime_ns) for file, stat in files.items()])
    identity = f"{folder}@{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
    size = sum(stat.st_size for file, stat in files.items() if file.endswith(".safetensors"))
    return Located(name, str(folder), identity, size)


def _check_weights(name: str, files: Sequence[str]) -> None:
    if any(file.endswith(".safetensors") for file in files):
        return
    pickled = next((file for file in files if file.endswith((".bin", ".pt", ".pth", ".ckpt"))), None)
    if pickled:
        raise ModelError(
            f"{name!r} holds its weights as {pickled}, a pickle, which can run code when opened; save it as "
            "safetensors (save_pretrained does) where you trust it."
        )
    raise ModelError(f"{name!r} holds no weights: there is no .safetensors file in it.")


def _check_index(name: str, folder: Path) -> None:
    """An index names the files that hold the weights, and the libraries open whatever it names.

    Raises:
        ModelError: it names something else than files beside it.
    """
    for index in sorted(folder.glob("*.index.json")):
        named = small_json(index).get("weight_map")
        for file in named.values() if isinstance(named, dict) else [named]:
            if not isinstance(file, str) or not _BESIDE.fullmatch(file):
                raise ModelError(
                    f"{index.name} of {name!r} names {str(file)[:100]!r} as a file of weights; it takes the names of "
                    "files beside it."
                )


def _on_hub(name: str, adapter: bool, root: Path | None) -> Located:
    """What the Hub says of the model: its revision and the size of its weights. Without a connection, the cache."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    if hub_answers():
        try:
            info = HfApi().model_info(name, files_metadata=True, timeout=10)
        except HfHubHTTPError as error:
            said = {401: "there is none, or it needs a token (HF_TOKEN)", 403: "it is gated", 404: "there is none"}
            reason = said.get(getattr(error.response, "status_code", 0), "the Hub gave an error")
            raise ModelError(
                f"model {name!r} could not be fetched from the Hub: {reason}; it takes {_takes(root)}."
            ) from None
        except Exception as error:  # no route, a proxy that refuses: the libraries have a kind for each
            raise ModelError(_unreachable(name, root, type(error).__name__)) from None
        files = [entry for entry in info.siblings or [] if "/" not in entry.rfilename]
        _check_weights(name, [entry.rfilename for entry in files])
        wanted = "adapter_config.json" if adapter else "config.json"
        if wanted not in [entry.rfilename for entry in files]:
            raise ModelError(
                f"model {name!r} on the Hub has no {wanted}, so it is no {'adapter' if adapter else 'policy'}."
            )
        size = sum(
            entry.size or 0
            for entry in files
            if entry.rfilename.endswith(".safetensors") and not entry.rfilename.startswith("consolidated")
        )
        return Located(name, "", f"hub:{name}@{info.sha}", size)
    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except Exception:  # not in the cache
        raise ModelError(_unreachable(name, root, "no connection")) from None
    found = _in_folder(name, folder, adapter=adapter)
    return Located(name, str(folder), f"hub:{name}@{folder.name}", found.bytes)


def _unreachable(name: str, root: Path | None, reason: str) -> str:
    return (
        f"policy {name!r} could not be loaded: it is neither here nor in the cache, and the Hugging Face Hub cannot be "
        f"reached ({reason}); it takes {_takes(root)}."
    )


def _fetched(located: Located, *, adapter: bool = False) -> Located:
    if located.folder:
        return located
    from huggingface_hub import snapshot_download

    name, _, revision = located.identity.removeprefix("hub:").rpartition("@")
    patterns = _ADAPTER_FILES if adapter else _FILES
    try:
        folder = snapshot_download(name, revision=revision, allow_patterns=list(patterns), ignore_patterns=list(_NOT))
    except Exception as error:
        raise ModelError(
            f"model {name!r} could not be fetched from the Hub ({type(error).__name__}); try again, or fetch it by "
            "hand with `hf download` and use the folder."
        ) from None
    _check_index(name, Path(folder))
    return Located(located.name, folder, located.identity, located.bytes)


# Of the models that look at images, those whose language model transformers reads by itself (a test compares).
READ_AS_TEXT = ("emu3", "fuyu", "gemma3", "gemma3n", "gemma4", "git", "got_ocr2", "llama4", "mllama", "qwen3_5")


def looks_at_grids(folder: Path | str) -> bool:
    """Whether it is the Qwen3-VL of the task grid, or what a run made of it: told by its few symbols."""
    config = _configuration(folder)
    text = config.get("text_config")
    words = text.get("vocab_size") if isinstance(text, dict) else None
    return config.get("model_type") == "qwen3_vl" and words == len(GRID.vocabulary)


def check_reads_text(name: str, folder: Path | str) -> None:
    """A ModelError for a model that looks at images, as Qwen3-VL does: but for the task grid nothing here shows any."""
    config = _configuration(folder)
    kind = str(config.get("model_type"))
    if "vision_config" in config and kind not in READ_AS_TEXT:
        raise ModelError(
            f"policy {name!r} is a {kind[:40]}, which looks at images; of those only {GRID.start}, and what runs have "
            "made of it, is trained here, by the task grid, and none is scored: take that, or a language model such as "
            "Qwen/Qwen3-0.6B."
        )


def _configuration(folder: Path | str) -> dict[str, Any]:
    """Empty where it cannot be read: whoever opens the model says so."""
    with contextlib.suppress(ModelError):
        return small_json(Path(folder) / "config.json")
    return {}


def hub_answers(seconds: float = 3.0) -> bool:
    """Whether the Hub can be reached; taken for granted behind a proxy."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if urllib.request.getproxies():
        return True
    address = urllib.parse.urlsplit(constants.ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    with contextlib.suppress(OSError), socket.create_connection((address.hostname, port), timeout=seconds):
        return True
    return False


def small_json(path: Path) -> dict[str, Any]:
    """What a configuration holds, or a ModelError. It may come from anybody: one of 100 MB would fill the server."""
    try:
        if not path.is_file() or path.stat().st_size > _CONFIGURATION:  # a pipe would never answer
            raise OSError
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ModelError(f"{path.name} cannot be read; it takes a JSON object as its library writes it.") from None
    return data if isinstance(data, dict) else {}
