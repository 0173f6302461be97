"""`python -m sapo_viz train`: a run in the foreground, written to the same folder as one that the page starts.

Its flags are generated: one for each setting of a run and one for each knob of the catalogue.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import RunError
from sapo_viz.runs.config import SETTINGS, RunConfig
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.launcher import LEFT_OVER
from sapo_viz.runs.settings import Value
from sapo_viz.runs.store import LIVE, RunStore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", help="folder of the run; must be new or empty (default: a new one)")
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in this folder from its last checkpoint")
    parser.add_argument("--config", metavar="FILE", help="JSON file with settings; flags override it")
    parser.add_argument("--objective", metavar="NAME", help=f"{', '.join(CATALOG)} (default: sapo)")
    settings = parser.add_argument_group("settings")
    for spec in SETTINGS.values():
        takes = spec.takes.removeprefix("it takes ").rstrip(".")
        text = f"{spec.help} ({takes}; default: {spec.default if spec.default != '' else 'none'})"
        settings.add_argument(_flag(spec.name), dest=f"setting_{spec.name}", metavar="VALUE", help=_escape(text))
    knobs = parser.add_argument_group("knobs", "of the chosen objective; another's are refused")
    for name in knob_names():
        owners = {cls.label: cls.knobs()[name] for cls in CATALOG.values() if name in cls.knobs()}
        defaults = ", ".join(f"{label} {knob.default:g}" for label, knob in owners.items())
        text = f"{next(iter(owners.values())).help} (defaults: {defaults})"
        knobs.add_argument(_flag(name), dest=f"knob_{name}", metavar="VALUE", help=_escape(text))


def run(args: argparse.Namespace) -> int:
    """0 when finished, 130 when interrupted; a RunError for anything else."""
    from sapo_viz.runs.worker import work

    if args.resume:
        if args.out or args.config or args.objective or _given(args, "setting_") or _given(args, "knob_"):
            raise RunError("--resume takes no other flags: a run goes on with the settings it has.")
        folder = Path(args.resume).resolve()
        store = RunStore(folder.parent)
        status = store.status(folder.name)
        if status in LIVE or status == "finished":
            raise RunError(f"run {folder.name} is {status}; only a run that was stopped, killed or failed can go on.")
        for left_over in LEFT_OVER:
            (folder / left_over).unlink(missing_ok=True)
    else:
        config = config_from(args)
        out = Path(args.out).resolve() if args.out else None
        store = RunStore(out.parent) if out else RunStore()
        folder = (store.root / store.create(config, out.name if out else None)).resolve()
    last = work(folder, echo=lambda event: _print(event, store.config(folder.name).steps, folder))
    if last.type == "failed":
        raise RunError(str(last.data["message"]))
    return 130 if last.type == "stopped" else 0


def config_from(args: argparse.Namespace) -> RunConfig:
    """The config that file and flags describe together, checked."""
    config = RunConfig()
    if args.config:
        try:
            config = RunConfig.from_json(Path(args.config).read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise RunError(f"{args.config} is not a text file in UTF-8; it takes JSON.") from None
    objective = args.objective or config.objective
    knobs = dict(config.knobs) if objective == config.objective else {}
    for name, text in _given(args, "knob_").items():
        try:
            knobs[name] = float(text)
        except ValueError:
            raise RunError(f"{name} is {text!r}, which is not a number.") from None
    settings: dict[str, Value] = {name: SETTINGS[name].parse(text) for name, text in _given(args, "setting_").items()}
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return RunConfig.from_dict(values | settings | {"objective": objective, "knobs": knobs})


def knob_names() -> list[str]:
    """Every knob of the catalogue once, in its order."""
    return list(dict.fromkeys(name for cls in CATALOG.values() for name in cls.knobs()))


def progress_line(step: int, steps: int, metrics: Mapping[str, float]) -> str:
    """One step in one line of the terminal."""
    return (
        f"step {step:>{len(str(steps))}}/{steps}  reward {metrics['reward']:.3f}  kl_old {metrics['kl_old']:.2g}  "
        f"entropy {metrics['entropy']:.3f}  gate {metrics['gate_mean']:.3f}  ratio_max {metrics['ratio_max']:.3g}  "
        f"grad {metrics['grad_norm']:.2g}  {metrics['completions_per_s']:.0f} completions/s"
    )


def _print(event: RunEvent, steps: int, folder: Path) -> None:
    if event.type == "start":
        verb = f"goes on after step {event.step}" if event.data["resumed"] else "starts"
        print(f"{folder.name} {verb} on {event.data['device']}, {event.data['parameters']:,} parameters", flush=True)
    elif event.type == "step":
        print(progress_line(event.step, steps, event.metrics), flush=True)
    elif event.type == "stopped":
        print(f"stopped after step {event.step}; to go on: python -m sapo_viz train --resume {folder}", flush=True)
    elif event.type == "finished":
        print(f"finished in {event.data['seconds']:.1f} s; events, tokens and policy are in {folder}", flush=True)


def _given(args: argparse.Namespace, prefix: str) -> dict[str, str]:
    return {
        name.removeprefix(prefix): value
        for name, value in vars(args).items()
        if name.startswith(prefix) and value is not None
    }


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _escape(text: str) -> str:
    return text.replace("%", "%%")  # argparse formats its help with %
