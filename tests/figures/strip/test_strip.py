"""What the strip sends: exact, small, and right where the browser cannot compute."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from sapo_viz.core.objective import CATALOG
from sapo_viz.figures.packed import KINDS, compact_ids, pack_arrays
from sapo_viz.figures.strip.data import PAGE, parts_of, strip_data
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.readers.read import parse_rollouts


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What packed.js does."""
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    arrays = {
        name: np.frombuffer(data, dtype=kind, count=count, offset=4 + length + at)
        for name, (kind, at, count) in header.pop("arrays").items()
    }
    return header, arrays


def data_of(item: dict[str, Any], *names: str, part: int = 0) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    rollouts = parse_rollouts(json.dumps(item).encode(), "x.jsonl")
    analysis = analyse(rollouts, {name: CATALOG[name]() for name in names or ("sapo",)})
    header, arrays = strip_data(analysis, 0, part=part, labels={})
    return unpack(pack_arrays(header, arrays))


def sequence(size: int, **more: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    old = -rng.exponential(1, size) - 0.05
    new = np.minimum(0, old + rng.normal(0, 0.3, size))
    tokens = [f" w{k}" for k in rng.integers(0, 6000, size)]
    return {"tokens": tokens, "logprobs": new.tolist(), "old_logprobs": old.tolist(), "advantage": 1.0, **more}


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_every_kind_come_back(kind: str) -> None:
    header, arrays = unpack(pack_arrays({"a": "ä"}, {"x": np.arange(5, dtype=kind), "y": np.arange(3, dtype=kind)}))
    assert header == {"a": "ä"} and arrays["x"].tolist() == [0, 1, 2, 3, 4] and arrays["y"].dtype == kind


def test_half_a_surrogate_pair_is_sent_as_it_is() -> None:
    header, _ = unpack(pack_arrays({"texts": ["\ud83d", "é"]}, {}))
    assert header["texts"] == ["\ud83d", "é"]


@pytest.mark.parametrize(("highest", "kind"), [(0, "uint8"), (255, "uint8"), (256, "uint16"), (70_000, "uint32")])
def test_ids_take_the_narrowest_kind(highest: int, kind: str) -> None:
    assert compact_ids(np.array([0, highest])).dtype == kind


def test_texts_and_ids_come_back_token_by_token() -> None:
    item = sequence(4, tokens=["a", "b", "a", "a"], token_ids=[1, 2, 1, 9])
    header, arrays = data_of(item)
    places = arrays["token"].tolist()
    assert [header["texts"][k] for k in places] == ["a", "b", "a", "a"]
    assert [header["ids"][k] for k in places] == [1, 2, 1, 9], "one text may have two ids"
    z = np.array(item["logprobs"]) - np.array(item["old_logprobs"])
    assert arrays["z"] == pytest.approx(z, rel=1e-6)


def test_fifty_thousand_tokens_are_less_than_a_megabyte() -> None:
    """12 bytes per token (z, log π_θ, which text) and 6,000 texts; as JSON numbers it was over 3 MB."""
    rollouts = parse_rollouts(json.dumps(sequence(PAGE)).encode(), "x.jsonl")
    analysis = analyse(rollouts, {name: CATALOG[name]() for name in ("sapo", "grpo", "gspo")})
    assert len(pack_arrays(*strip_data(analysis, 0, labels={}))) < 700_000


def test_a_longer_sequence_comes_in_parts() -> None:
    item = sequence(PAGE + 7)
    header, arrays = data_of(item, "gspo", part=1)
    assert parts_of(PAGE) == 1 and parts_of(PAGE + 7) == 2
    assert (header["first"], header["total"], len(arrays["z"])) == (PAGE, PAGE + 7, 7)
    whole = np.array(item["logprobs"]) - np.array(item["old_logprobs"])
    assert header["log_s"] == pytest.approx(whole.mean()), "s is that of the whole sequence"


def test_what_the_browser_cannot_compute_is_sent() -> None:
    """GMPO's ratio: exp of the mean of z, each held at 0.4 from above since A > 0; J = A times it."""
    item = {"tokens": list("abc"), "logprobs": [-0.1, -1, -1], "old_logprobs": [-1.1, -1, -1], "advantage": 0.5}
    _, arrays = data_of(item, "gmpo")
    ratio = np.exp(0.4 / 3)
    assert arrays["gmpo:ratio"] == pytest.approx([ratio] * 3)
    assert arrays["gmpo:surrogate"] == pytest.approx([0.5 * ratio] * 3)
    assert arrays["gmpo:weight"][0] == 0 and arrays["gmpo:weight"][1] == pytest.approx(1)


def test_masked_tokens_may_hold_anything() -> None:
    item = {"tokens": list("ab"), "logprobs": [None, -1], "old_logprobs": [None, -2], "advantage": 1, "mask": [0, 1]}
    header, arrays = data_of(item, "gmpo")
    assert arrays["masked"].tolist() == [0] and header["count"] == 1
    assert all(np.isfinite(values).all() for values in arrays.values())


def test_the_scale_of_change_ends_at_a_round_number() -> None:
    item = {"tokens": list("ab"), "logprobs": [-1, -1], "old_logprobs": [-1.3, -1], "advantage": 1}
    header, _ = data_of(item)
    assert header["limit"] == pytest.approx(0.5), "above 0.3: 1, 2 or 5 times a power of ten"
