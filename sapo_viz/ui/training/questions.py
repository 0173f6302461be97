"""Your own questions on the Training page: which file, and what the first of them look like and earn."""

from __future__ import annotations

from importlib.util import find_spec

import streamlit as st

from sapo_viz.errors import RolloutError
from sapo_viz.models.memory import free_bytes
from sapo_viz.models.shape import shape_of
from sapo_viz.models.source import local_folder, visitors_root
from sapo_viz.paths import data_dir
from sapo_viz.rollouts.apart.asking import Given, reading_table
from sapo_viz.rollouts.apart.folder import inside, list_files
from sapo_viz.rollouts.table import MOST_BYTES, TextTable
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.need import memory_sentence
from sapo_viz.runs.questions.exercise import examples_of
from sapo_viz.runs.questions.gym import PREFIX, gym_table, is_gym
from sapo_viz.runs.workers.quotas import admitted_reward, page_rules
from sapo_viz.ui import address
from sapo_viz.ui.text import plain
from sapo_viz.ui.uploads import uploaded
from sapo_viz.ui.words import _
from sapo_viz.ui.work import kept, worked

_ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
_SHOWN = 300  # characters of a question in the table


def choose_questions() -> TextTable | None:
    """An uploaded file, questions of reasoning-gym where that is installed, or a file of the data folder where there is
    one; None while none is chosen.

    Raises:
        RolloutError: it cannot be read.
    """
    upload = st.file_uploader(
        _("Questions with answers: JSONL, CSV or Parquet"),
        type=[ending[1:] for ending in _ENDINGS],
        key="train: questions",
        help=_("One question per row. A run keeps a copy of them in its folder; nothing in the file is executed."),
    )
    if upload is not None:
        return worked("questions", upload.file_id, lambda: reading_table(uploaded(upload)), _("Reading the questions…"))
    if find_spec("reasoning_gym") and (asked := _generators()):
        with st.spinner(_("Making the questions…")):
            return kept("generated", asked, lambda: gym_table(asked))
    root = data_dir()
    if root is None:
        return None
    names = [name for name in list_files(root) if name.endswith(_ENDINGS)]
    asked = address.text("data")
    name = st.selectbox(
        _("… or a file of the server's data folder"),
        names,
        index=names.index(asked) if asked in names else None,
        placeholder=_("none"),
    )
    address.put("data", name)
    if name is None:
        return None
    path = inside(root, name)
    state = path.stat()
    if state.st_size > MOST_BYTES:
        raise RolloutError(f"{name}: it has more than {MOST_BYTES // 1024**2} MB; take a part of it.")
    return worked(
        "questions",
        (name, state.st_mtime_ns, state.st_size),
        lambda: reading_table(Given.of_path(path, name)),
        _("Reading the questions…"),
    )


def _generators() -> str:
    """The setting `data` for the generators that are typed; empty if none are."""
    usual = address.text("data")
    named = st.text_input(
        _("… or generators of reasoning-gym"),
        value=usual.removeprefix(PREFIX) if is_gym(usual) else "",
        key="train: generators",
        placeholder="chain_sum, leg_counting*200",
        help=_("Names, and how many questions of each; 500 without a number. The reward is gym, their own scorer."),
    ).strip()
    if named or is_gym(usual):
        address.put("data", PREFIX + named if named else None)
    return PREFIX + named if named else ""


def show_examples(config: RunConfig, table: TextTable | None, at_once: int) -> str:
    """Five questions as they will be asked, with what their own answers earn: a reward that is always 0 shows here; and
    the memory that `at_once` runs take. Returns that sentence if they take more than is there.

    Raises:
        RunError: the questions or the reward cannot be used.
    """
    reward = admitted_reward(config, page_rules())
    assert reward is not None  # every text task has one
    told = kept("examples", (table, config), lambda: examples_of(config, table, reward))
    st.caption(
        plain(
            _("{train} questions to train on, {held_out} held out. Reward: {reward}.").format(
                train=f"{told.train:,}", held_out=f"{told.held_out:,}", reward=reward.text
            )
        )
    )
    memory, fits = "", True
    folder = local_folder(config.policy, visitors_root())
    if folder is not None:
        longest = max((len(question.text) for question in told.questions), default=0) + len(config.system)
        memory, fits = memory_sentence(shape_of(folder), config, longest, free_bytes("cpu"), at_once)
        if fits:
            st.caption(plain(memory))
    asked, answers, earned = _("Question"), _("Answer"), _("The answer itself earns")
    rows = [
        {asked: question.text[:_SHOWN], answers: question.answer[:_SHOWN], earned: score}
        for question, score in zip(told.questions, told.scores, strict=True)
    ]
    st.dataframe(
        rows if any(q.answer for q in told.questions) else [{asked: row[asked]} for row in rows], hide_index=True
    )
    return "" if fits else memory
