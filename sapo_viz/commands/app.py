"""`python -m sapo_viz app`: the same as `streamlit run app.py`, from anywhere."""

from __future__ import annotations

import argparse
import os
import sys

from sapo_viz.paths import HOME, runs_dir


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8501, help="port (default 8501)")


def run(args: argparse.Namespace) -> int:
    """Become the server: the process is replaced, so that signals reach Streamlit itself."""
    os.environ["SAPO_VIZ_RUNS_DIR"] = str(runs_dir().absolute())  # where one stands, not where the app lies
    os.environ["PYTHONUTF8"] = "1"  # whatever the locale
    os.chdir(HOME)  # .streamlit/config.toml and app.py lie there
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    os.execv(sys.executable, [*command, "--server.address", args.host, "--server.port", str(args.port)])
