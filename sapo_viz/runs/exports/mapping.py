"""Our settings in a framework's names: one rule for each setting, and a sentence wherever it has none.

A rule is the framework's own name, where the value stays as it is; or a function of the settings. Every setting has a
rule in every framework, so that none is forgotten: a test changes each and looks for the difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import RunError
from sapo_viz.models.source import BUNDLED
from sapo_viz.models.tasks import TASKS
from sapo_viz.printed.reference import VERSIONS, frameworks_of
from sapo_viz.runs.chosen import advantage_norm, aggregation
from sapo_viz.runs.config import SETTINGS, RunConfig
from sapo_viz.runs.questions.exercise import reward_line
from sapo_viz.runs.questions.rewards import parse_reward

TheirValue = bool | int | float | str | None | tuple[str | float, ...]
# `loss_type="sapo"`, `--loss_type sapo`, `loss_mode=sapo`: how the catalogue says where an objective is available.
_CHOICE = re.compile(r'-{0,2}([A-Za-z_]\w*)(?:\s*=\s*|\s+)"?([^\s,"]+)"?')
# In train.jsonl, held_out.jsonl and reward.py, which are written with these settings.
CARRIED = (
    *("task", "data", "question_column", "answer_column", "template", "system", "reward"),
    *("held_out", "split_seed"),
)  # fmt: skip
_BUNDLED = "assets/policies/"
# What a term of a reward depends on.
_PACKAGES = {"regex": "regex", "format": "regex", "mood": "vaderSentiment", "math": "math-verify"}
# Of this app's own run folder and processes.
OURS = ("label", "snapshot_every", "engine", "threads")


@dataclass(frozen=True)
class There:
    """What a framework's file says for one setting: names with values, and sentences about what is not the same."""

    values: Mapping[str, TheirValue] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


ExportRow = dict[str, object]  # of train.jsonl
SettingRule = str | Callable[[RunConfig], There]


@dataclass(frozen=True)
class Line:
    """One name with its value, and the group of our settings that it comes from."""

    name: str
    value: TheirValue
    group: str


@dataclass(frozen=True)
class Translation:
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Framework:
    """One framework.

    Args:
        key: its name on the command line and in addresses.
        name: as the catalogue calls it, whose names of objectives and knobs it takes.
        rules: setting -> rule; a name that two rules give has the later one's value.
        files: (translation, settings, head) -> file name -> text, where `head` is what each file begins with; the
            questions and reward.py are written by `export`.
        row: what one line of train.jsonl looks like, from the columns of `data.rows_of`.
        place: a name of the catalogue -> where it is in this framework's file.
        needs: what it wants said whatever the settings.
        start: the command that begins the training.
        decodes_end: whether its reward is given the symbol that ends a completion.
        reward_end: what comes below the reward in reward.py, for the framework to call.
    """

    key: str
    name: str
    rules: Mapping[str, SettingRule]
    files: Callable[[Translation, RunConfig, str], dict[str, str]]
    row: Callable[[ExportRow], ExportRow]
    start: str = "bash run.sh"
    decodes_end: bool = False
    place: Callable[[str], str] = lambda name: name
    needs: Callable[[RunConfig], There] = lambda config: There()
    reward_end: str = ""

    @property
    def version(self) -> str:
        return VERSIONS[self.name]

    def has(self, objective: str) -> bool:
        """Whether it has the objective's loss."""
        text = frameworks_of(CATALOG[objective]).get(self.name, "")
        return bool(_CHOICE.match(text)) or "Trainer`" in text


def translated(config: RunConfig, framework: Framework) -> Translation:
    """The settings as the framework writes them.

    Raises:
        RunError: the framework does not have the objective.
    """
    label = CATALOG[config.objective].label
    if not framework.has(config.objective):
        raise RunError(f"{framework.name} {framework.version} has no {label}, so the run cannot be exported to it.")
    found: dict[str, Line] = {}
    notes: dict[str, None] = {}

    def put(there: There, group: str) -> None:
        found.update({name: Line(name, value, group) for name, value in there.values.items()})
        notes.update(dict.fromkeys(there.notes))

    put(_objective(config, framework), "objective")
    for name, spec in SETTINGS.items():
        if name in framework.rules:
            rule = framework.rules[name]
            put(There({rule: getattr(config, name)}) if isinstance(rule, str) else rule(config), spec.group)
    put(framework.needs(config), "run")
    put(There(notes=reward_notes(config, framework.decodes_end)), "run")
    ours = ", ".join(f"{name} = {getattr(config, name)!r}" for name in OURS)
    put(There(notes=(f"Of SAPO Viz's own folder and processes, without a counterpart: {ours}.",)), "run")
    return Translation(tuple(found.values()), tuple(notes))


def _objective(config: RunConfig, framework: Framework) -> There:
    """Which loss, and the knobs by their names there; both are in the catalogue."""
    cls = CATALOG[config.objective]
    values: dict[str, TheirValue] = {}
    notes: list[str] = []
    chosen_by = frameworks_of(cls)[framework.name]
    if not chosen_by.startswith("`"):  # of a trainer of its own: no setting
        values.update({framework.place(name): _typed(text) for name, text in _CHOICE.findall(chosen_by)})
    for name, knob in cls.knobs().items():
        value, there = config.knobs[name], knob.names.get(framework.name, "")
        if not there:
            notes.append(f"{framework.name} has no {knob.symbol} for {cls.label}; in the run it is {value:g}.")
            continue
        there, _, formula = there.partition(" = ")
        values[framework.place(there)] = 1 + value if formula.startswith("1 + ") else value
    return There(values, tuple(notes))


def _typed(text: str) -> TheirValue:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


# -- what several frameworks' rules share -------------------------------------------------------------------------


def with_another(config: RunConfig) -> There:
    """Of a setting that another's rule, or the layout of the file, takes along."""
    return There()


def unless(name: str, value: TheirValue, sentence: str) -> Callable[[RunConfig], There]:
    """Of a setting that the framework cannot express: nothing at `value`, else the sentence, with {value}."""

    def rule(config: RunConfig) -> There:
        set_to = getattr(config, name)
        return There() if set_to == value else There(notes=(sentence.format(value=set_to),))

    return rule


def no_sampler_of_its_own(framework: str) -> dict[str, SettingRule]:
    """The settings of a sampler that is made to differ, which a framework's real one does by itself."""
    return {
        "staleness": unless("staleness", 0, f"{framework}: no rollouts from {{value}} updates ago; they are fresh."),
        "sampler_noise": unless(
            "sampler_noise", 0.0, f"{framework}: no noise on the sampler's logits (σ = {{value:g}})."
        ),
    }


def no_correction(framework: str) -> dict[str, SettingRule]:
    """The settings of a correction, where it corrects for an inference engine alone, which these files do not start."""

    def sentence(config: RunConfig) -> There:
        if config.correction == "off":
            return There()
        bounds = f"{config.correction_low:g} to {config.correction_high:g}"
        return There(
            notes=(f"{framework}: the sampler is not corrected for; in the run it is, {config.correction}, {bounds}.",)
        )

    return {"correction": sentence, "correction_low": with_another, "correction_high": with_another}


def in_a_chat(framework: str) -> Callable[[RunConfig], There]:
    """The rule for `chat` where the framework puts every prompt into the tokenizer's chat template."""

    def rule(config: RunConfig) -> There:
        if is_plain(config):
            says = f"{framework} asks in the tokenizer's chat template; in the run prompts stand as they are."
            return There(notes=(says,))
        if config.chat == "on":
            return There()
        return There(
            notes=(f"{framework} asks in the model's chat template; the run does so only where there is one.",)
        )

    return rule


def dividing(whole: int, wanted: int) -> int:
    """The largest number up to `wanted` that divides `whole`."""
    return next(count for count in range(min(wanted, whole), 0, -1) if whole % count == 0)


def whole_prompts(config: RunConfig) -> tuple[int, tuple[str, ...]]:
    """Mini-batches where a rollout is cut between prompts, and a sentence if that makes another number of them."""
    count = dividing(config.prompts, config.minibatches)
    if count == config.minibatches:
        return count, ()
    each = config.prompts // count
    return count, (f"Mini-batches are of whole prompts here: {count} of {each} prompts, not {config.minibatches}.",)


def policy_name(config: RunConfig) -> str:
    """The starting policy: as it was named, or a bundled one's folder in a checkout of SAPO Viz."""
    name = TASKS[config.task].start if config.policy == "auto" and config.task in TASKS else config.policy
    return f"{_BUNDLED}{name}" if name in BUNDLED else name


def policy_notes(config: RunConfig) -> tuple[str, ...]:
    """What has to be known of the starting policy."""
    notes = []
    if policy_name(config).startswith(_BUNDLED):
        notes.append(f"The policy comes with SAPO Viz: name its folder there, as in MODEL=…/{policy_name(config)}.")
    if config.task == "synonyms":
        notes.append("The 9,011 symbols are made when a run begins here; as exported this trains plain addition.")
    return tuple(notes)


def asked(row: ExportRow) -> ExportRow:
    """What reward.py wants of a row beside the completion."""
    return {name: row[name] for name in ("question", "answer", "row") if name in row}


def reward_notes(config: RunConfig, end: bool) -> tuple[str, ...]:
    """What has to be known of reward.py."""
    if config.reward.endswith(".py"):
        return ("The reward is a Python file, which is not copied: put it beside reward.py as owners_reward.py.",)
    if config.task not in TASKS:
        parts = parse_reward(reward_line(config)).parts
        packages = dict.fromkeys(_PACKAGES[part.name] for part in parts if part.name in _PACKAGES)
        return (f"reward.py needs {' and '.join(packages)} beside the framework.",) if packages else ()
    if not end:
        return ("Completions come without the symbol that ends them; reward.py adds it, to those cut off as well.",)
    return ()


def is_plain(config: RunConfig) -> bool:
    """Whether prompts are texts as they stand, and not messages of a chat."""
    return config.task in TASKS or config.chat == "off"


def advantage_notes(config: RunConfig, framework: str) -> tuple[str, ...]:
    """A sentence where the run compares with no baseline, which no framework does."""
    if advantage_norm(config) != "none":
        return ()
    return (f"{framework} subtracts the group's mean; in the run the reward itself is the advantage.",)


def aggregation_notes(config: RunConfig, framework: str, there: str) -> tuple[str, ...]:
    """A sentence where the framework takes another mean than the run."""
    asked = aggregation(config)
    return () if there == asked else (f"{framework}: the loss's aggregation is {there}, in the run {asked}.",)
