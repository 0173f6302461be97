"""Pictures of every page at 1440 and 390 pixels, light and dark, from a running server.

python -m scripts.screenshots http://127.0.0.1:8501 docs/images [--pages curves tokens] [--query 'axis=log']
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import ViewportSize

from scripts.browser import PAGES, WIDTHS, chromium, settle

# The Training page reads its runs when it stands already.
RUNS_ARE_DRAWN = """() => {
  const live = document.querySelector('.live');
  if (!live) return true;
  const shown = live.querySelector('[data-testid=legend] button');
  return 'ready' in live.dataset && (!shown || live.querySelector('.live-plot').data?.some((t) => t.x?.length > 1));
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="where the app runs, for example http://127.0.0.1:8501")
    parser.add_argument("folder", type=Path, help="where the pictures go: PAGE-WIDTH-SCHEME.png")
    parser.add_argument("--pages", nargs="*", choices=list(PAGES), default=list(PAGES))
    parser.add_argument("--widths", nargs="*", type=int, choices=list(WIDTHS), default=list(WIDTHS))
    parser.add_argument("--schemes", nargs="*", choices=["light", "dark"], default=["light", "dark"])
    parser.add_argument("--query", default="", help="what comes after the question mark, the page's state")
    parser.add_argument("--whole", action="store_true", help="the whole page, not only the first screen")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for width in args.widths:
            for scheme in args.schemes:
                viewport = ViewportSize(width=width, height=WIDTHS[width])
                context = browser.new_context(viewport=viewport, color_scheme=scheme)
                for name in args.pages:
                    page = context.new_page()
                    page.goto(f"{args.url.rstrip('/')}{PAGES[name]}" + (f"?{args.query}" if args.query else ""))
                    settle(page)
                    page.wait_for_function(RUNS_ARE_DRAWN)
                    if args.whole:  # Streamlit scrolls inside the page: the window has to be as tall as its content
                        height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
                        page.set_viewport_size({"width": width, "height": max(height, WIDTHS[width])})
                    page.wait_for_timeout(500)  # fades and fonts
                    target = args.folder / f"{name}-{width}-{scheme}.png"
                    page.screenshot(path=target)
                    print(target)
                    page.close()
                context.close()


if __name__ == "__main__":
    main()
