"""The entry: `streamlit run app.py`.

The script that Streamlit runs is sapo_viz/ui/shell.py, which does not lie beside pages/: so the legacy
page scheme stays off and a first visit to a deep link on a fresh server opens rightly.
"""

from streamlit import App

from sapo_viz.ui.routes import routes
from sapo_viz.ui.warm import warm

app = App("sapo_viz/ui/shell.py", routes=routes(), lifespan=warm)
