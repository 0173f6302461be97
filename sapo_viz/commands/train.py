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
from sapo_viz.models.memory import free_bytes
from sapo_viz.models.shape import shape_of
from sapo_viz.models.source import local_folder
from sapo_viz.models.tasks import TEXT_TASKS
from sapo_viz.rollouts.table import TextTable, read_table
from sapo_viz.runs.config import SETTINGS, RunConfig
from sapo_viz.runs.engines import admit_engine, process_index, world
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.folder.store import LIVE, RunStore
from sapo_viz.runs.need import memory_sentence
from sapo_viz.runs.questions.exercise import examples_of, reward_of
from sapo_viz.runs.questions.gym import gym_table, is_gym
from sapo_viz.runs.questions.kept import file_name, keep_table, with_table
from sapo_viz.runs.settings import Value
from sapo_viz.runs.starting import check_start
from sapo_viz.runs.workers.launcher import LEFT_OVER


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", help="folder of the run; must be new or empty (default: a new one)")
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in this folder from its last checkpoint")
    parser.add_argument("--config", metavar="FILE", help="JSON file with settings; flags override it")
    parser.add_argument(
        "--allow-code",
        action="store_true",
        help="let a Python reward run that --resume or --config names; one named by --reward needs no permission",
    )
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
    from sapo_viz.runs.workers.worker import work

    if args.resume and world() > 1:
        raise RunError("--resume goes on in one process; several begin anew, with the settings as flags.")
    if args.resume:
        if args.out or args.config or args.objective or _given(args, "setting_") or _given(args, "knob_"):
            raise RunError("--resume takes no other flags: a run goes on with the settings it has.")
        folder = Path(args.resume).resolve()
        store = RunStore(folder.parent)
        status = store.status(folder.name)
        if status in LIVE or status == "finished":
            raise RunError(f"run {folder.name} is {status}; only a run that was stopped, killed or failed can go on.")
        _allow(store.config(folder.name), args)
        for left_over in LEFT_OVER:
            (folder / left_over).unlink(missing_ok=True)
    else:
        config, table = questions_from(config_from(args), args)
        admit_engine(config)
        if process_index():
            return _beside(config, table)
        if warning := check_start(config, None):
            print(f"Note: {warning}", flush=True)
        out = Path(args.out).resolve() if args.out else None
        store = RunStore(out.parent) if out else RunStore()
        folder = (store.root / store.create(config, out.name if out else None)).resolve()
        if table is not None:
            keep_table(folder, table)
    last = work(folder, echo=lambda event: _print(event, store.config(folder.name).steps, folder))
    if last.type == "failed":
        raise RunError(str(last.data["message"]))
    return 130 if last.type == "stopped" else 0


def _beside(config: RunConfig, table: TextTable | None) -> int:
    """A process of several that is not the first: it trains along, and writes nothing."""
    from sapo_viz.runs.training.engines import train

    for _ in train(config, table=table):
        pass
    return 0


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


def questions_from(config: RunConfig, args: argparse.Namespace) -> tuple[RunConfig, TextTable | None]:
    """The settings and the questions of a run, read and checked before anything is loaded; other tasks have none.

    Raises:
        RolloutError, RunError: the file, its columns or the reward cannot be used.
    """
    if config.task not in TEXT_TASKS:
        return config, None
    _allow(config, args)
    if config.reward.endswith(".py"):
        config = dataclasses.replace(config, reward=str(Path(config.reward).expanduser().resolve()))
    table = None
    if config.task == "questions":
        if not config.data:
            raise RunError("task is 'questions', and there is no file of them; name one with --data.")
        name = file_name(config.data)
        table = gym_table(name) if is_gym(name) else read_table(name)
        config = with_table(config, table)
    reward = reward_of(config, any_file=True)
    told = examples_of(config, table, reward)
    print(f"{told.train:,} questions to train on, {told.held_out:,} held out; reward: {reward.text}", flush=True)
    for question, score in zip(told.questions, told.scores, strict=True):
        scored = "" if score is None else f"   the answer {question.answer[:40]!r} itself earns {score:g}"
        print(f"  {question.text[:70]!r}{scored}", flush=True)
    folder = local_folder(config.policy, None)
    if folder is not None:
        longest = max(len(question.text) for question in told.questions) + len(config.system)
        said, _fits = memory_sentence(shape_of(folder), config, longest, free_bytes("cpu"))
        print(said, flush=True)
    return config, table


def _allow(config: RunConfig, args: argparse.Namespace) -> None:
    """A folder or a config may come from somebody else, and a Python reward in it is code."""
    named = getattr(args, "setting_reward", None)
    if config.task in TEXT_TASKS and config.reward.endswith(".py") and not named and not args.allow_code:
        raise RunError(
            f"its reward is the Python file {config.reward}, which would run as code; look at it, then add "
            "--allow-code."
        )


def knob_names() -> list[str]:
    """Every knob of the catalogue once, in its order."""
    return list(dict.fromkeys(name for cls in CATALOG.values() for name in cls.knobs()))


def progress_line(step: int, steps: int, metrics: Mapping[str, float]) -> str:
    """One step in one line of the terminal."""
    look = f"held out {metrics['held_out']:.3f}  " if "held_out" in metrics else ""
    return (
        f"step {step:>{len(str(steps))}}/{steps}  reward {metrics['reward']:.3f}  {look}"
        f"kl_old {metrics['kl_old']:.2g}  entropy {metrics['entropy']:.3f}  gate {metrics['gate_mean']:.3f}  "
        f"ratio_max {metrics['ratio_max']:.3g}  grad {metrics['grad_norm']:.2g}  "
        f"{metrics['completions_per_s']:.0f} completions/s"
    )


def _print(event: RunEvent, steps: int, folder: Path) -> None:
    if event.type == "start":
        verb = f"goes on after step {event.step}" if event.data["resumed"] else "starts"
        print(f"{folder.name} {verb} on {event.data['device']}, {event.data['parameters']:,} parameters", flush=True)
        _print_start(event)
    elif event.type == "step":
        print(progress_line(event.step, steps, event.metrics), flush=True)
    elif event.type == "stopped":
        print(f"stopped after step {event.step}; to go on: python -m sapo_viz train --resume {folder}", flush=True)
    elif event.type == "finished":
        print(f"finished in {event.data['seconds']:.1f} s; events, tokens and policy are in {folder}", flush=True)


def _print_start(event: RunEvent) -> None:
    """What the policy answers before the first step, with what that earns, and how it does on what is held out."""
    examples = event.data.get("examples") or []
    for example in examples:
        earned = "–" if example["reward"] is None else f"{example['reward']:.3g}"
        print(f"  {earned:>6}  {example['prompt'][-50:]!r} -> {example['completion'][:70]!r}", flush=True)
    if examples and len({example["reward"] for example in examples}) == 1:
        print("  all of these earn the same: if that goes on there is nothing to learn from; look at the reward.")
    if "held_out" in event.data:
        low, high = event.data["held_out_low"], event.data["held_out_high"]
        print(f"held out before the first step: {event.data['held_out']:.3f} ({low:.3f} to {high:.3f})", flush=True)


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
