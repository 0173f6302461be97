"""What axe-core finds on the pages: names, roles and states for whoever does not see them. Contrast has its own test.

Every page as it opens, and every view of a file: test_pages.py.

axe-core is one of Node's packages that the checks bring (`make check-browser-code` puts them there).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from scripts.browser import ROOT
from tests.browser.conftest import eventually

Visit = Callable[..., Page]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = pytest.mark.skipif(not AXE.exists(), reason="no axe-core: make node_modules/.ready")
# Through the debugger, so that the pages keep their Content-Security-Policy.
RUN = """async () => {
  const found = await axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa'], rules: { 'color-contrast': { enabled: false } },
  });
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 200)).slice(0, 3).join(' | ')}`);
}"""


def assert_accessible(page: Page) -> None:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    eventually(page, lambda: page.evaluate(RUN), [])


def test_the_check_itself_sees_a_button_without_a_name(visit: Visit) -> None:
    page = visit("/")
    page.evaluate("() => document.body.insertAdjacentHTML('beforeend', '<button></button><img src=\"data:,\">')")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert {line.split(":")[0] for line in page.evaluate(RUN)} >= {"button-name", "image-alt"}
