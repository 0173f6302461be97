"""An objective to download: a PyTorch file that needs nothing of this project, and its formula in LaTeX.

The surrogate is not written a second time. Its text is read from the class that trains (`inspect.getsource`),
with `self.<knob>` turned into a constant, and everything that it calls comes along: helper functions, methods,
the surrogate of a parent. What is printed here is the way around it that `core.losses` takes: log-ratio →
ratio level → clamp → surrogate → aggregation, for one level and one aggregation only. A test runs
the text of every objective against `policy_loss`.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any

from sapo_viz.core.objective import LOG_RATIO_LIMIT, Aggregation, Objective
from sapo_viz.errors import KnobError

Edit = tuple[int, int, int, int, str]  # from (line, byte) to (line, byte) of a source, and the text to put there

_HEADER = '''\
"""{label} as a PyTorch loss: one file that needs nothing else. https://arxiv.org/abs/{paper}

{doc}

B sequences of up to T tokens; z = log π_θ − log π_old, r = exp z; a positive advantage is good news.
Written by SAPO Viz from the code that it trains with.
"""
'''

_LOSS = '''\
def {name}_loss(logprobs, old_logprobs, advantages, mask{more_arguments}):
    """The scalar to minimise.

    logprobs      [B, T], log π_θ of the sampled tokens, natural log, with gradient
    old_logprobs  [B, T], log π_old of the same tokens
    advantages    [B], one for each sequence, or [B, T]
    mask          [B, T], 1 (or True) on response tokens; what lies under 0 is never read{more_help}
    """
    dtype = torch.float64 if logprobs.dtype == torch.float64 else torch.float32  # bf16 loses log-probs at exp
    mask = mask.bool()
    advantages = advantages[:, None].expand_as(logprobs) if advantages.dim() == 1 else advantages
    # Padding may hold NaN: select before subtracting, or its gradient would be NaN too.
    logprobs = torch.where(mask, logprobs.to(dtype), 0.0)
    old_logprobs = torch.where(mask, old_logprobs.detach().to(dtype), 0.0)  # π_old is data
    advantages = torch.where(mask, advantages.to(dtype), 0.0)
    lengths = mask.sum(-1)

    log_ratio = logprobs - old_logprobs  # z, [B, T]
{level}    log_ratio = log_ratio.clamp(-{limit:g}, {limit:g})  # exp overflows in float32 at 88
{values}    values = torch.where(mask, values, 0.0)

    # {aggregation}; sequences without a response token do not count
{aggregate}'''

_VALUES = "    values = surrogate(log_ratio, advantages, logprobs, old_logprobs)\n"
_AMONG = """\
    with torch.no_grad():  # what the batch decides about each token
        decided = among(log_ratio, advantages, logprobs, mask)
    values = surrogate_among(log_ratio, advantages, logprobs, old_logprobs, decided)
"""
_TOKEN_LOG_RATIO = "    log_ratio = token_log_ratio(log_ratio, advantages)\n"
_LEVEL = {
    "token": "",
    "sequence": """\
    # One ratio a sequence: z is its mean, and every token's gradient goes through it. [B, T] -> [B, 1] -> [B, T]
    log_ratio = (log_ratio * mask).sum(-1, keepdim=True) / lengths[:, None].clamp(min=1)
    log_ratio = torch.where(mask, log_ratio, 0.0)
""",
    "sequence-product": """\
    # One ratio a sequence, the product of its tokens': z is their sum. [B, T] -> [B, 1] -> [B, T]
    log_ratio = (log_ratio * mask).sum(-1, keepdim=True)
    log_ratio = torch.where(mask, log_ratio, 0.0)
""",
}
_SEQUENCES = "(lengths > 0).sum().clamp(min=1)"
_AGGREGATE = {
    "seq-mean-token-mean": f"    return -(values.sum(-1) / lengths.clamp(min=1)).sum() / {_SEQUENCES}\n",
    "token-mean": "    return -values.sum() / lengths.sum().clamp(min=1)\n",
    "seq-mean-token-sum": f"    return -values.sum(-1).sum() / {_SEQUENCES}\n",
    "seq-mean-token-sum-norm": f"""\
    budget = values.shape[-1] if max_length is None else max_length
    return -(values.sum(-1) / max(1, budget)).sum() / {_SEQUENCES}
""",
}
_MAX_LENGTH = "\n    max_length    the generation budget T_max that sums are divided by; T if not given"


def standalone(objective: Objective, aggregation: Aggregation | None = None) -> str:
    """The text of a Python file with `<name>_loss(logprobs, old_logprobs, advantages, mask)`.

    Args:
        aggregation: how the file brings tokens to one number; the objective's own if not given.

    The objective's knobs are constants at its top. It imports torch, and `math` where the surrogate does.

    Raises:
        KnobError: the class was not read from a file, so its source is not to be had.
    """
    cls = type(objective)
    collected = _Collector(objective)
    level = _LEVEL[cls.ratio_level]
    if cls.token_log_ratio is not Objective.token_log_ratio:
        collected.method("token_log_ratio", cls.__mro__)
        level = _TOKEN_LOG_RATIO + level
    for method in ("among", "surrogate_among") if cls.reads_batch else ("surrogate",):
        collected.method(method, cls.__mro__)
    how = aggregation or cls.aggregation
    takes_budget = how == "seq-mean-token-sum-norm"
    loss = _LOSS.format(
        name=cls.name,
        level=level,
        values=_AMONG if cls.reads_batch else _VALUES,
        limit=LOG_RATIO_LIMIT,
        aggregation=how,
        aggregate=_AGGREGATE[how],
        more_arguments=", max_length=None" if takes_budget else "",
        more_help=_MAX_LENGTH if takes_budget else "",
    )
    header = _HEADER.format(label=cls.label, paper=cls.paper, doc=_doc(cls) or cls.idea)
    imports = "".join(f"{line}\n" for line in sorted(collected.imports)) + "\nimport torch\n"
    constants = "".join(f"{line}\n" for line in (*_constants(objective), *collected.constants.values()))
    parts = [header + "\n" + imports.lstrip("\n") + ("\n" + constants if constants else "")]
    return "\n\n".join([*parts, *collected.functions.values(), loss])


def latex(objective: Objective, aggregation: Aggregation | None = None) -> str:
    r"""The surrogate as one line for an `align` environment (amsmath), below comments that state the knobs."""
    cls = type(objective)
    knobs = ", ".join(f"{knob.latex} = {getattr(objective, name):.6g}" for name, knob in cls.knobs().items())
    return (
        f"% {cls.label}, arXiv {cls.paper}" + (f": {knobs}" if knobs else "") + "\n"
        f"% ratio level: {cls.ratio_level}; aggregation: {aggregation or cls.aggregation}\n"
        rf"J_t^{{\text{{{cls.label}}}}} &= {cls.formula} \\" + "\n"
    )


def _constants(objective: Objective) -> Iterator[str]:
    for name, knob in objective.knobs().items():
        yield f"{name.upper()} = {getattr(objective, name)!r}  # {knob.symbol}: {knob.help}"


def _doc(cls: type) -> str:
    """The class's own docstring; a dataclass without one gets its signature for one, which says nothing."""
    doc = cls.__doc__ or ""
    return "" if doc.startswith(f"{cls.__name__}(") else inspect.cleandoc(doc)


class _Collector:
    """Functions, modules and constants that a surrogate needs, in an order in which a reader can follow."""

    def __init__(self, objective: Objective) -> None:
        self.cls = type(objective)
        self.imports: set[str] = set()
        self.constants: dict[str, str] = {}
        self.functions: dict[str, str] = {}
        self._under_way: set[str] = set()

    def method(self, name: str, mro: tuple[type, ...]) -> str:
        """Collect the first `name` along `mro`; the name that it has in the file."""
        place = next(i for i, cls in enumerate(mro) if name in vars(cls))
        owner, after = mro[place], mro[place + 1 :]
        first = next(cls for cls in self.cls.__mro__ if name in vars(cls))
        text = name if owner is first else f"{getattr(owner, 'name', owner.__name__).lower().strip('_')}_{name}"
        function = vars(owner)[name]
        if isinstance(function, (staticmethod, classmethod)):
            function = function.__func__
        doc = next((d for cls in mro[place:] if (d := getattr(vars(cls).get(name), "__doc__", None))), "")
        self._function(text, function, after, doc.strip().split("\n")[0])
        return text

    def _function(self, name: str, function: Callable[..., Any], after: tuple[type, ...], doc: str) -> None:
        if name in self.functions or name in self._under_way:
            return
        self._under_way.add(name)
        try:
            source = textwrap.dedent(inspect.getsource(function))
        except (OSError, TypeError) as error:
            raise KnobError(
                f"{self.cls.label}: the source of {name} cannot be read, so there is nothing to write down; "
                "define the class in a file."
            ) from error
        tree = ast.parse(source).body[0]
        assert isinstance(tree, ast.FunctionDef), f"{name} is a {type(tree).__name__}"
        edits = list(self._edits(tree, function, after))
        self.functions[name] = _render(name, tree, _edited(source, edits), doc)

    def _edits(self, tree: ast.FunctionDef, function: Callable[..., Any], after: tuple[type, ...]) -> Iterator[Edit]:
        """What has to be replaced in a function so that it stands alone; collects what it calls."""
        names = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
        local = set(function.__code__.co_varnames)  # `tau = …` is not the function `tau` of the same module
        for node in (inner for statement in tree.body for inner in ast.walk(statement)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                yield _replace(node, self._own(node.attr))
            elif isinstance(node, ast.Attribute) and _is_super(node.value):
                yield _replace(node, self.method(node.attr, after))
            elif isinstance(node, ast.Name) and node.id in names and node.id not in local:
                self._global(node.id, names[node.id])

    def _own(self, name: str) -> str:
        """What `self.<name>` becomes: a knob's constant, a method's name, a class attribute's value."""
        if name in self.cls.knobs():
            return name.upper()
        value = inspect.getattr_static(self.cls, name)
        return self.method(name, self.cls.__mro__) if callable(value) or hasattr(value, "__func__") else repr(value)

    def _global(self, name: str, value: Any) -> None:
        if name == "torch":  # the module, or what `core.lazy` puts in its place
            return
        if isinstance(value, types.ModuleType) and not value.__name__.startswith("sapo_viz"):
            module = value.__name__
            self.imports.add(f"import {module}" if module == name else f"import {module} as {name}")
        elif isinstance(value, types.FunctionType):
            self._function(name, value, (), "")
        elif isinstance(value, (bool, int, float, str, tuple)):
            self.constants[name] = f"{name} = {value!r}"
        else:
            raise KnobError(
                f"{self.cls.label}: the surrogate uses {name}, a {type(value).__name__}, which cannot be written down; "
                "functions, numbers and modules other than this project's can."
            )


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def _replace(node: ast.expr, text: str) -> Edit:
    assert node.end_lineno is not None and node.end_col_offset is not None
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset, text


def _edited(source: str, edits: list[Edit]) -> list[str]:
    """The lines of a source after the edits, from the last to the first so that places stay true."""
    lines = [line.encode() for line in source.split("\n")]  # ast counts bytes
    for line, start, last, end, text in sorted(edits, reverse=True):
        lines[line - 1 : last] = [lines[line - 1][:start] + text.encode() + lines[last - 1][end:]]
    return [line.decode() for line in lines]


def _render(name: str, tree: ast.FunctionDef, lines: list[str], doc: str) -> str:
    """A function with its comments, without annotations and `self`."""
    arguments = tree.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        argument.annotation = None
    arguments.args = [argument for argument in arguments.args if argument.arg not in ("self", "cls")]
    first = tree.body[0].lineno - 1
    while lines[first - 1].lstrip().startswith("#"):  # a comment above the first statement belongs to it
        first -= 1
    body = textwrap.indent(textwrap.dedent("\n".join(lines[first:])).strip("\n"), "    ")
    docstring = "" if ast.get_docstring(tree) or not doc else f'    """{doc}"""\n'
    return f"def {name}({ast.unparse(arguments)}):\n{docstring}{body}\n"
