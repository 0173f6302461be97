"""What Streamlit runs on every visit: page set-up, navigation, and the safety net under every page."""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st

from sapo_viz.errors import SapoVizError
from sapo_viz.paths import ASSETS
from sapo_viz.ui.address import unused_said
from sapo_viz.ui.nav import page_file
from sapo_viz.ui.streamlit_internals import tab_icon
from sapo_viz.ui.text import plain
from sapo_viz.ui.tools import page_tools
from sapo_viz.ui.views import as_left
from sapo_viz.ui.warm import EVERY_PAGE, before
from sapo_viz.ui.words import _
from sapo_viz.ui.work import leave

EVERY_PAGE.ready()
st.set_page_config(page_title="SAPO Viz", layout="wide")
tab_icon(ASSETS / "icon.svg")  # set later, it would leave the tab to the page's own icon, fetched from outside

main = [
    st.Page(page_file("home"), title=_("Home"), icon=":material/home:", default=True),
    st.Page(page_file("curves"), title=_("Curves"), icon=":material/show_chart:", url_path="curves"),
    st.Page(page_file("tokens"), title=_("Tokens"), icon=":material/segment:", url_path="tokens"),
    st.Page(page_file("train"), title=_("Training"), icon=":material/play_circle:", url_path="train"),
    st.Page(page_file("experiments"), title=_("Experiments"), icon=":material/science:", url_path="experiments"),
    st.Page(page_file("reference"), title=_("Reference"), icon=":material/menu_book:", url_path="reference"),
]
exhibits = [
    st.Page(page_file("outlier"), title=_("Outlier tokens"), icon=":material/scatter_plot:", url_path="outlier"),
    st.Page(
        page_file("coherence"), title=_("Sequence coherence"), icon=":material/bubble_chart:", url_path="coherence"
    ),
    st.Page(
        page_file("asymmetry"), title=_("Asymmetric temperatures"), icon=":material/balance:", url_path="asymmetry"
    ),
]
page = st.navigation({"": main, _("Exhibits"): exhibits}, position="top")  # the nameless section has no menu
st.html(Path(__file__).with_name("page.css"))
if page.url_path != "tokens":
    leave()
try:
    with as_left(page.url_path):
        page_tools(page.url_path)
        before(page.url_path)
        with unused_said():
            page.run()
except SapoVizError as error:
    st.error(plain(str(error)), icon=":material/error:")
except Exception:  # a fault of ours: the log gets the traceback, the reader a sentence
    logging.getLogger("sapo_viz").exception("page %s failed", page.title)
    st.error(
        _("Something went wrong on our side; the details are in the server's log. Reload the page to continue."),
        icon=":material/error:",
    )
