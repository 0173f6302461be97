"""A trained policy to the Hugging Face Hub: by its owner's own command and login, and never by a page."""

from __future__ import annotations

import contextlib
import fnmatch
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapo_viz.errors import ModelError
from sapo_viz.models.source import hub_answers, is_hub_id, small_json

_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "README.md")  # a model's, its tokenizer's, its card
_ADAPTER = "adapter_config.json"
_BASE = "base_model_name_or_path"


@dataclass(frozen=True)
class Parcel:
    """What goes out: the name of each file, and the file, or its bytes where they are not those on the disk."""

    files: Mapping[str, Path | bytes]

    @property
    def size(self) -> int:
        return sum(len(file) if isinstance(file, bytes) else file.stat().st_size for file in self.files.values())


def packed(folder: Path, base: str = "") -> Parcel:
    """The model or the adapter in a folder, with its card; nothing else that lies there.

    Args:
        base: the Hub id that an adapter is to name as its model, in place of what it was trained on here.

    Raises:
        ModelError: there is neither, or an adapter's model is one that nobody elsewhere can load.
    """
    there = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    files: dict[str, Path | bytes] = {
        path.name: path for path in there if any(fnmatch.fnmatch(path.name, pattern) for pattern in _FILES)
    }
    if not any(name.endswith(".safetensors") for name in files):
        raise ModelError(f"{folder} holds no weights; it takes a finished run, or what `merge` has written.")
    if _ADAPTER in files:
        config = small_json(folder / _ADAPTER)
        base = base or str(config.get(_BASE) or "")
        if not is_hub_id(base):
            raise ModelError(
                f"the adapter's model is {base[:100]!r}, which is on this machine alone; name the same model's Hub id "
                "with --base, or push what `merge` makes of both."
            )
        files[_ADAPTER] = json.dumps(config | {_BASE: base}, indent=2).encode()
    elif base:
        raise ModelError("--base is for adapters, and this is a whole model; leave it out.")
    return Parcel(files)


def logged_in() -> str:
    """The name of whoever is logged in to the Hub on this machine.

    Raises:
        ModelError: nobody is, or the Hub cannot be reached.
    """
    from huggingface_hub import HfApi, get_token

    if get_token() is None:
        raise ModelError(
            "nobody is logged in to the Hugging Face Hub on this machine; run `hf auth login`, or set HF_TOKEN to a "
            "token that may write."
        )
    if not hub_answers():
        raise ModelError("the Hugging Face Hub cannot be reached (no connection, or HF_HUB_OFFLINE is set).")
    with _asking("the Hugging Face Hub was asked who is logged in"):
        return str(HfApi().whoami()["name"])


def publish(parcel: Parcel, name: str, *, private: bool, update: bool) -> str:
    """Put the files into the repository `name` in one commit, and return the address of its page.

    Args:
        private: of a repository that is new; one that is there stays as it is.
        update: the repository may be there, and files of the same names in it are replaced. Its history keeps them.

    Raises:
        ModelError: it is there and may not be, the login may not write to it, or the Hub refuses what is sent.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    hub = HfApi()
    with _asking(f"the repository {name!r} could not be made"):
        url = hub.create_repo(name, private=private, exist_ok=update)
    operations = [CommitOperationAdd(file, content) for file, content in parcel.files.items()]
    with _asking(f"the files did not arrive in {name!r}, which is there now, so go on with --update"):
        hub.create_commit(name, operations, commit_message="Policy trained with SAPO Viz")
    return str(url)


@contextlib.contextmanager
def _asking(what: str) -> Iterator[None]:
    """Whatever the Hub's library raises, as one sentence."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        status: Any = getattr(error.response, "status_code", "")
        said = {
            401: "the login is not valid any more; run `hf auth login` again",
            403: "this login may not write there; take a name of your own, or a token that may write",
            409: "there is one of this name; take another, or say --update to replace its files",
        }
        answer = " ".join((error.server_message or "").split())[:200] or "no reason"
        raise ModelError(f"{what}: {said.get(status, f'the Hub answered {status}: {answer}')}.") from None
    except Exception as error:  # no route, a name that is none: the libraries have a kind for each
        raise ModelError(f"{what}: {' '.join(str(error).split())[:200] or type(error).__name__}.") from None
