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
    return f"""A file holds sequences (completions). Which format it has is seen from its content, not from its name.

| field (JSON, JSONL, Parquet) | CSV column | holds | needed | what it is |
|---|---|---|---|---|
{table}

- **JSON**: a list of objects. **JSONL**: one object per line. **Parquet**: one row per sequence, list columns
  for what is per token. **CSV**: one row per token with a header line; rows with the same `sequence` belong together.
  Parquet may have the CSV's columns and a row per token too, and CSV a row per sequence with its lists in cells.
- The advantage comes from `advantages`, else `advantage`, else it is computed from `reward` within each `group`:
  A = (R − mean) / (std + 1e-6), with the sample standard deviation; a group of one gets 0. In CSV the column
  `advantage` is repeated on every row of the sequence, as are `reward`, `group` and `step`.
- A log-prob is finite and at most 0. An excess of up to {ROUNDING:g}, as rounding leaves it, is taken as 0 and said.
- Where `mask` is 0 nothing is read: log-probs there may be null (an empty cell).
- With `sampler_logprobs` a correction by ρ = π_old/π_sampler can be chosen beside the objectives' knobs; a sequence
  that lacks them, or some of them, is taken as drawn by π_old.
- Text is UTF-8, or UTF-16 with its mark. Fields with other names are left alone and listed.
- JSON objects may also follow one another without a list, written over several lines or side by side; and an object may
  be one token with the CSV's columns, as a data frame is saved: rows of a sequence then follow one another.
- Objects may stand inside another one: in a list under some name, one under each name, or as the columns of a data
  frame (`DataFrame.to_json`, whatever its `orient`); as a batch, each field a list with one entry per sequence; and in
  lists of lists, one per prompt. An error that stands where a sequence would be is left out and counted.
- A file may be compressed (gzip, zstd, bzip2, xz), and a zip or tar may hold one file or the steps of one run. Unpacked
  they are held to the limits below, and a page's reader to memory and time for the packed size.
- A file that ends too early, as one that is still being written or was copied meanwhile, is read up to there. What
  was left out is counted and said; of CSV it is the last row, so that its sequence may lack tokens.
- At most {UPLOAD.bytes // 1024**2} MB and {UPLOAD.tokens:,} tokens in an upload; {DISK.bytes // 1024**2:,} MB and
  {DISK.tokens:,} tokens in a file opened by its path; {MAX_LENGTH:,} tokens per sequence; {MAX_LINE // 1024**2} MB a
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
    """The frameworks' files that are read as they are, as Markdown; from the list that the readers stand in."""
    from sapo_viz.rollouts.readers.formats import FORMATS

    table = "\n".join(
        f"| [{format.framework}]({format.docs}) | `{format.file}` | {format.holds} | {format.taken} |"
        for format in FORMATS
    )
    return f"""Files that a framework wrote are read as they are, recognised by their fields, whatever they are called:

| framework | its file | holds | what is taken |
|---|---|---|---|
{table}

- Prompt and padding are left out; tokens between two answers, such as a tool's output, stay and are masked out.
  A token whose log-prob is null, NaN, infinite or a sentinel (−9999) is masked out, and how many is said.
- Real logs hold single failed lines, and files that are still being written end in half a line: such rows are left out,
  how many and why the first is said, and the rest is read. A reward that is null or NaN means not rewarded; numbers may
  be written as text, lists too, as Python, numpy and torch print them. Padding rows, removed samples and tokens trained
  by another loss are left or masked out, and said.
- Files that a framework writes as JSON are read as Parquet and as CSV too, a row a sample, as a data frame saves them.
- Images in messages are marked ⟨image⟩. A message between two answers of which the file has no tokens stands as one
  masked token.
- Where a file holds token ids and no texts, a token is shown as ⟨id⟩. Name the model that sampled them, on the page or
  with `inspect FILE --tokenizer MODEL` (a bundled policy, a folder, a Hub id), and its tokenizer gives the texts; bytes
  that are half a character show as ⟨E4⟩.
- Trainers save their log-probs before the update, so in most of these files the ratio is that of trainer and sampler.
- **One policy only**: give two files over the same tokens, `python -m sapo_viz inspect NEW --old OLD`. Sequences belong
  together by name (slime's sample index), else by their order. Without rewards or advantages A = 1.
- **Texts only**: two models score them, on the Tokens page or with `python -m sapo_viz score`. Prompts and completions
  may be chat messages (`role`, `content`), as TRL logs them: a prompt of one message goes into the models' chat
  templates, a longer one is written out with its roles; of a completion with tools the first answer is scored. Where
  every reward function has its own column, the reward is the sum of those that gave one.
- Tables that Weights & Biases saved (`*.table.json`) of TRL's, ms-swift's and verl's completions are read as these.
- NeMo-RL files without `token_ids` (older versions) are read by the tokens' places, ⟨#1⟩.
- Sampler and trainer are known to have the same weights at step 0 of prime-rl only; there every difference is called
  mismatch. NeMo-RL, slime and SkyRL write the same fields when the sampler is a step behind.
- **`.pt` and `.pkl`** are read as data: nothing that they name is imported or called, and a file that names anything
  else than data is refused. Such a file can be converted where it is trusted; for slime's train dump:

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
