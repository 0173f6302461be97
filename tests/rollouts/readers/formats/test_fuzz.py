"""Ten thousand damaged files: each gives its sequences or one sentence, and never another exception."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats import read_pair
from sapo_viz.rollouts.readers.read import parse_rollouts
from scripts.format_writers.__main__ import FOLDER
from tests.rollouts.readers.formats import samples
from tests.rollouts.readers.formats.samples import lines


def objects_of(text: str) -> list[Any]:
    """Of JSON Lines, of a document, of a list of documents."""
    try:
        whole = json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]
    return whole if isinstance(whole, list) else [whole]


# Every sample that a framework's own function wrote, by its objects.
WRITTEN = {path.name: objects_of(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json*"))}
JSON = WRITTEN | {
    "NeMo-RL": samples.NEMO,
    "NeMo-RL, older": samples.NEMO_OLDER,
    "prime-rl": samples.PRIME,
    "UNIPO": [samples.UNIPO],
    "chat": [samples.chat(-1, -9999.0, -3)],
    "completions": [samples.completion(None, -2, -3)],
    "verl": samples.VERL,
    "ms-swift": samples.SWIFT_ROWS,
    "ms-swift, a step a line": [samples.SWIFT_TABLE],
    "ROLL": [samples.ROLL],
    "messages": [
        samples.SWIFT_ROWS[0] | {"prompt": [{"role": "user", "content": [{"type": "text", "text": "2+2="}]}]},
        samples.SWIFT_ROWS[0]
        | {"completion": [{"role": "assistant", "content": "4"}, {"role": "tool", "content": ""}]},
    ],
}
BINARY = {
    "slime train": samples.slime_train(1),
    "slime train 2": samples.slime_train(2),
    "slime rollout": samples.slime_rollout(),
    "SkyRL": samples.skyrl(),
    "SkyRL, older": samples.skyrl("older", ["p", "q"]),
    "TRL": samples.trl(),
    "TRL, messages": samples.chat_trl(),
}
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    -1e308,
    float("nan"),
    float("-inf"),
    10**40,
    "",
    "x",
    "\ud800",
    [],
    [[]],
    {},
]
EACH = 10_000 // (len(JSON) + len(BINARY)) + 1


def survives(read: Callable[[], object]) -> bool:
    """Whether it was read; a refusal has to be one sentence."""
    try:
        read()
        return True
    except RolloutError as error:
        message = str(error)
        assert message.endswith(".") and "\n" not in message and len(message) < 600, message
        return False


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    pairs = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(value, key) for key, _ in pairs] + [place for _, inner in pairs for place in places(inner)]


def damaged(value: Any, chance: random.Random) -> Any:
    """A copy with one to three values replaced, taken away or doubled."""
    value = json.loads(json.dumps(value))
    for _ in range(chance.randint(1, 3)):
        container, key = chance.choice(places(value) or [([0], 0)])
        if chance.random() < 0.5:
            container[key] = deepcopy(chance.choice(ODD))
        elif chance.random() < 0.5:
            del container[key]
        elif isinstance(container, list):
            container.insert(key, container[key])
    return value


@pytest.mark.parametrize("case", JSON)
def test_damaged_values_in_json_give_one_sentence(case: str) -> None:
    chance = random.Random(case)
    read = 0
    for _ in range(EACH):
        data = lines(*(item for item in damaged(JSON[case], chance) if isinstance(item, dict))) or b"{}"
        read += survives(lambda data=data: parse_rollouts(data, "x"))  # type: ignore[misc]
        if case in ("chat", "completions"):
            survives(lambda data=data: read_pair(data, "x", lines(*JSON[case]), "y"))  # type: ignore[misc]
    assert read or case not in ("NeMo-RL", "prime-rl", "UNIPO")  # some damage does not matter


def rezipped(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A torch file with its pickle changed and the archive's checksums right: a flipped byte alone stops at these."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            part = old.read(info)
            new.writestr(info.filename, change(part) if info.filename.endswith("data.pkl") else part)
    return out.getvalue()


def flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed))
        kind = chance.random()
        if kind < 0.6:
            changed[at] = chance.randrange(256)
        elif kind < 0.8:
            del changed[at : at + chance.randint(1, 8)]
        else:
            other = chance.randrange(len(changed))
            changed[at:at] = changed[other : other + chance.randint(1, 8)]
    return bytes(changed)


@pytest.mark.parametrize("case", BINARY)
def test_damaged_bytes_give_one_sentence(case: str) -> None:
    chance = random.Random(case)
    whole = BINARY[case]
    for _ in range(EACH):
        inside = whole.startswith(b"PK") and chance.random() < 0.8
        data = rezipped(whole, lambda part: flipped(part, chance)) if inside else flipped(whole, chance)
        survives(lambda data=data: parse_rollouts(data, "x"))  # type: ignore[misc]
