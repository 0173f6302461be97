"""The entry: `streamlit run app.py`.

The script that Streamlit runs is sapo_viz/ui/shell.py, which does not lie beside pages/: so the legacy
page scheme stays off and a first visit to a deep link on a fresh server opens rightly.
"""

from streamlit import App

from sapo_viz.errors import SettingError
from sapo_viz.paths import PACKAGE
from sapo_viz.ui.serving.alerts import webhook
from sapo_viz.ui.serving.guard import guard
from sapo_viz.ui.serving.lifespan import lifespan
from sapo_viz.ui.serving.routes import routes

try:
    middleware = [guard()]
    webhook()  # said now, not when the first alert is lost
except SettingError as error:
    raise SystemExit(str(error)) from None

app = App(str(PACKAGE / "ui" / "shell.py"), routes=routes(), lifespan=lifespan, middleware=middleware)
