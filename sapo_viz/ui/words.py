"""Every word of the interface goes through `_`, English as the source.

A catalogue is `assets/locale/<language>/LC_MESSAGES/sapo_viz.mo`; SAPO_VIZ_LANG chooses it.
"""

from __future__ import annotations

import gettext
import os

from sapo_viz.figures.assets import ASSETS

_language = os.environ.get("SAPO_VIZ_LANG", "en")
_translation = gettext.translation("sapo_viz", str(ASSETS / "locale"), languages=[_language], fallback=True)
_ = _translation.gettext
