"""Work on the Tokens page: a click in the middle loses nothing, an error is said again, another file clears all."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

STEPS: list[int] = []  # what was worked, over all runs of a script


def script() -> None:
    from collections.abc import Iterator
    from unittest.mock import patch

    import streamlit as st
    from streamlit.delta_generator import DeltaGenerator
    from streamlit.runtime.scriptrunner_utils.exceptions import StopException

    from sapo_viz.ui import work as tokens_work
    from tests.ui.tokens.test_tokens_work import STEPS

    inputs = st.session_state.get("inputs", "a")

    def steps() -> Iterator[float]:
        for number in range(4):
            if inputs == "bad" and number == 2:
                raise ValueError("bad input")
            STEPS.append(number)
            yield number / 4
        return inputs.upper()  # type: ignore[return-value]

    with patch.object(tokens_work, "_SOON", -1.0):
        if st.session_state.get("click"):  # a visitor does something: Streamlit ends the script at its next call
            with patch.object(DeltaGenerator, "progress", side_effect=StopException):
                tokens_work.worked("x", inputs, steps, "Works…")
        st.text(str(tokens_work.worked("x", inputs, steps, "Works…")))
    st.text(f"last {tokens_work.last('x')}, done {tokens_work.done('x', inputs)}")
    if st.session_state.get("other file"):
        tokens_work.forget()
        st.text(f"then {tokens_work.last('x')}")


def run(app: AppTest, **state: object) -> list[str]:
    for key, value in state.items():
        app.session_state[key.replace("_", " ")] = value
    app.run()
    return [element.value for element in app.text]


def test_work_is_done_once_and_again_only_for_other_inputs() -> None:
    STEPS.clear()
    app = AppTest.from_function(script)
    assert run(app) == ["A", "last A, done True"] == run(app)
    assert STEPS == [0, 1, 2, 3]
    assert run(app, inputs="b")[0] == "B" and len(STEPS) == 8


def test_a_click_in_the_middle_loses_nothing() -> None:
    STEPS.clear()
    app = AppTest.from_function(script)
    assert run(app, click=True) == [] and STEPS == [0]
    assert run(app, click=False)[0] == "A" and STEPS == [0, 1, 2, 3]


def test_an_error_is_an_error_each_time() -> None:
    app = AppTest.from_function(script)
    for _ in range(2):
        run(app, inputs="bad")
        assert len(app.exception) == 1
    assert run(app, inputs="c")[0] == "C" and not app.exception


def test_another_file_leaves_nothing_of_the_one_before() -> None:
    assert run(AppTest.from_function(script), other_file=True)[-1] == "then None"


def leaving() -> None:
    import streamlit as st

    from sapo_viz.ui import work as tokens_work
    from tests.ui.tokens.test_tokens_work import STEPS

    def steps():  # type: ignore[no-untyped-def]
        try:
            yield None
            return "done"
        finally:
            STEPS.append(-1)

    works = tokens_work._works()
    works["x"] = tokens_work._Work("a", steps())
    tokens_work._step(works["x"])
    works["y"] = tokens_work._Work("a", None, "Y")
    tokens_work.leave()
    st.text(f"{sorted(works)} {STEPS}")


def test_leaving_gives_up_what_is_not_done_and_keeps_what_is() -> None:
    STEPS.clear()
    assert run(AppTest.from_function(leaving)) == ["['y'] [-1]"]
