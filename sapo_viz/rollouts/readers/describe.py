"""The schema in words, from the same declaration that the readers use: for the page and docs/rollout-files.md."""

from __future__ import annotations

from sapo_viz.rollouts.schema import DISK, FIELDS, MAX_LENGTH, MAX_LINE, ROUNDING, UPLOAD

_HOLDS = {
    "texts": "list of texts",
    "numbers": "list of numbers",
    "flags": "list of 0 and 1",
    "ids": "list of whole numbers",
    "text": "text",
    "number": "number",
    "integer": "whole number",
    "label": "text or whole number",
}

EXAMPLE_JSONL = (
    '{"id": "a", "tokens": ["2", "+2", "=4"], "logprobs": [-0.9, -0.1, -0.02], '
    '"old_logprobs": [-1.1, -0.1, -0.05], "reward": 1, "group": "p1"}\n'
    '{"id": "b", "tokens": ["5"], "logprobs": [-3.1], "old_logprobs": [-2.2], "reward": 0, "group": "p1"}\n'
)
EXAMPLE_CSV = (
    "sequence,token,logprob,old_logprob,reward,group\n"
    "a,2,-0.9,-1.1,1,p1\n"
    "a,+2,-0.1,-0.1,1,p1\n"
    "a,=4,-0.02,-0.05,1,p1\n"
    "b,5,-3.1,-2.2,0,p1\n"
)


def schema_markdown() -> str:
    """Fields, formats, rules and an example, as Markdown."""
    table = "\n".join(
        f"| `{field.name}` | {f'`{field.column}`' if field.column else '–'} | {_HOLDS[field.kind]} "
        f"| {field.need} | {field.text} |"
        for field in FIELDS.values()
    )
    return f"""A file holds sequences (completions). Its format is recognised from its content, not from its name.

| field (JSON, JSONL, Parquet) | CSV column | holds | needed | what it is |
|---|---|---|---|---|
{table}

- **JSON**: a list of objects. **JSONL**: one object per line. **Parquet**: one row per sequence, with list columns for
  per-token values. **CSV**: a header line, then one row per token; rows with the same `sequence` belong together.
  Parquet may also have the CSV's columns and one row per token, and CSV one row per sequence with lists in its cells.
- The advantage comes from `advantages`, or else from `advantage`, or else it is computed from `reward` within each
  `group`: A = (R − mean) / (std + 1e-6), with the sample standard deviation; a group of one gets 0. In CSV, the columns
  `advantage`, `reward`, `group` and `step` are repeated on every row of the sequence.
- A log-prob is finite and at most 0. An excess of up to {ROUNDING:g}, as rounding can cause, is set to 0 and reported.
- Where `mask` is 0, nothing is read: log-probs there may be null (in CSV, an empty cell).
- With `sampler_logprobs`, a correction by ρ = π_old/π_sampler can be chosen next to the objectives' knobs. A sequence
  that lacks some or all of them is treated as sampled by π_old.
- Text is UTF-8, or UTF-16 with a byte order mark. Fields with other names are ignored and listed.
- JSON objects may also follow one another without a list, each on one or several lines or side by side. An object may
  also be a single token with the CSV's columns, as a data frame is saved; the rows of a sequence must then be adjacent.
- Objects may be nested in another object: in a list under some name, one under each name, or as the columns of a data
  frame (`DataFrame.to_json` with any `orient`); as a batch, where each field is a list with one entry per sequence; and
  in lists of lists, one per prompt. An error message in place of a sequence is skipped and counted.
- A file may be compressed (gzip, zstd, bzip2, xz). A zip or tar may hold one file or the steps of one run. The limits
  below apply to the unpacked data; on a page, the reader's memory and time are limited by the packed size.
- A file that ends too early, because it is still being written or was copied too soon, is read as far as it goes. What
  is missing is counted and reported. In CSV the last row is dropped, so the last sequence may lack tokens.
- At most {UPLOAD.bytes // 1024**2} MB and {UPLOAD.tokens:,} tokens in an upload; {DISK.bytes // 1024**2:,} MB and
  {DISK.tokens:,} tokens in a file opened by its path; {MAX_LENGTH:,} tokens per sequence; {MAX_LINE // 1024**2} MB per
  line of JSONL.
"""


# Runs where the file is trusted; a test runs it and compares with what the reader makes of the same file.
CONVERT = """import json, torch

d = torch.load("train.pt", weights_only=False, map_location="cpu")["rollout_data"]
for i, n in enumerate(d["response_lengths"]):
    numbers = {"logprobs": "log_probs", "old_logprobs": "rollout_log_probs", "advantages": "advantages"}
    row = {ours: [float(x) for x in d[theirs][i]] for ours, theirs in numbers.items()}
    row |= {"tokens": [str(int(t)) for t in d["tokens"][i][-n:]], "mask": [int(m) for m in d["loss_masks"][i]]}
    print(json.dumps(row))
"""


def formats_markdown() -> str:
    """The frameworks' files that are read as they are, as Markdown; from the list of the readers."""
    from sapo_viz.rollouts.readers.formats import FORMATS

    table = "\n".join(
        f"| [{format.framework}]({format.docs}) | `{format.file}` | {format.holds} | {format.taken} |"
        for format in FORMATS
    )
    return f"""Files written by a framework are read as they are. They are recognised by their fields, not their names:

| framework | its file | holds | what is taken |
|---|---|---|---|
{table}

- Prompt and padding are dropped. Tokens between two answers, such as a tool's output, are kept and masked out. Tokens
  whose log-prob is null, NaN, infinite or a sentinel (−9999) are masked out, and their number is reported.
- Real logs contain the odd broken line, and files that are still being written end in the middle of one. Such rows are
  skipped, their number and the first reason are reported, and the rest is read. A reward that is null or NaN means "not
  rewarded". Numbers and lists may be written as text, as Python, numpy and torch print them. Padding rows, removed
  samples and tokens trained by another loss are skipped or masked out, and reported.
- Files that a framework writes as JSON can also be read as Parquet or CSV, one row per sample, as a data frame saves
  them.
- Images in messages are shown as ⟨image⟩. A message between two answers becomes one masked token if its tokens are not
  in the file.
- If a file holds token ids but no texts, a token is shown as ⟨id⟩. Name the model that sampled them, on the page or
  with `inspect FILE --tokenizer MODEL` (a bundled policy, a folder or a Hub id), and its tokenizer supplies the texts;
  bytes that are only part of a character are shown as ⟨E4⟩.
- Trainers save their log-probs before the update, so in most of these files the ratio compares trainer and sampler.
- **One policy only**: give two files over the same tokens, `python -m sapo_viz inspect NEW --old OLD`. Sequences are
  paired by name (slime's sample index), or else by their order. Without rewards or advantages, A = 1.
- **Texts only**: two models score them, on the Tokens page or with `python -m sapo_viz score`. Prompts and completions
  may be chat messages (`role`, `content`), as TRL logs them. A prompt of one message goes into each model's chat
  template; a longer prompt is written out with its roles. If a completion uses tools, its first answer is scored. If
  every reward function has its own column, the reward is the sum of those that gave one.
- Tables that Weights & Biases saved (`*.table.json`) of completions from TRL, ms-swift and verl are read in the same
  way.
- NeMo-RL files without `token_ids` (older versions) show the position of each token instead, ⟨#1⟩.
- Only at step 0 of prime-rl are sampler and trainer known to have the same weights; every difference there is called
  mismatch. NeMo-RL, slime and SkyRL write the same fields even when the sampler is a step behind.
- **`.pt` and `.pkl`** are read as data: nothing that they name is imported or called, and a file that names anything
  other than data is refused. Convert such a file on a machine where you trust it; for slime's training dump:

```python
{CONVERT}```
"""


def document() -> str:
    """docs/rollout-files.md, whole. `python -m sapo_viz.rollouts.readers.describe` prints it; a test compares."""
    return f"""# Rollout files

<!-- Generated by `python -m sapo_viz.rollouts.readers.describe`; edit schema.py or describe.py instead. -->

{schema_markdown()}
The same two sequences as JSONL:

```json
{EXAMPLE_JSONL}```

and as CSV:

```csv
{EXAMPLE_CSV}```

## Files of frameworks

{formats_markdown()}
## Without a browser

```
python -m sapo_viz inspect FILE --objective sapo,grpo,gspo
python -m sapo_viz inspect FILE --objective sapo:tau_neg=1.05,sapo:tau_neg=4 --json
```
"""


if __name__ == "__main__":
    import sys

    sys.stdout.write(document())
