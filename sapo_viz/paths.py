"""Where things lie: in a checkout beside the package, in an installed package inside it. No other module knows."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
_BESIDE = PACKAGE.parent
CHECKOUT = _BESIDE if (_BESIDE / "app.py").is_file() and (_BESIDE / "pages").is_dir() else None
HOME = CHECKOUT or PACKAGE / "_home"  # app.py, pages/, assets/ and .streamlit/; the wheel puts them into `_home`
ASSETS = HOME / "assets"
PAGES = HOME / "pages"
DATA_VARIABLE = "SAPO_VIZ_DATA_DIR"


def runs_dir() -> Path:
    """`SAPO_VIZ_RUNS_DIR`; else `runs/` in the checkout; else, for an installed package, `runs/` where one stands."""
    return Path(os.environ.get("SAPO_VIZ_RUNS_DIR") or (CHECKOUT or Path.cwd()) / "runs")


def data_dir() -> Path | None:
    """The folder that `SAPO_VIZ_DATA_DIR` names: rollout files and recorded runs of the server's owner, never written
    to. None where it names none."""
    text = os.environ.get(DATA_VARIABLE, "").strip()
    return Path(text).expanduser() if text else None


def child_environment() -> dict[str, str]:
    """The environment in which `python -m sapo_viz.…` finds this very package, from whatever folder it is started.

    Python then speaks UTF-8, whatever the locale: what a worker prints holds symbols and tokens.
    """
    path = os.pathsep.join(filter(None, [str(_BESIDE), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "PYTHONUTF8": "1"}
