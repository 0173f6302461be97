"""All text of the interface goes through `_`, English as the source.

A catalogue is `assets/locale/<language>/LC_MESSAGES/sapo_viz.mo`; SAPO_VIZ_LANG chooses it. What there is to translate
is in `assets/locale/sapo_viz.pot`: `make words` collects it, and a test says when it is out of date.
"""

from __future__ import annotations

import gettext
import os

from sapo_viz.paths import ASSETS

_language = os.environ.get("SAPO_VIZ_LANG", "en")
_translation = gettext.translation("sapo_viz", str(ASSETS / "locale"), languages=[_language], fallback=True)
_ = _translation.gettext  # takes a literal: what a variable holds could not be collected


def declared(text: str) -> str:
    """The words of a declaration further down: a knob's help, a metric's name, an experiment's question.

    Layers below know no language; `scripts/extract_words.py` collects these from the declarations themselves.
    """
    return _translation.gettext(text)
