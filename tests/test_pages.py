"""The built book as a reader's browser shows it; after `make book`, by `make pages`.

Needs _build/html and Chromium from the distribution's packages; skipped with a message where either is absent.
"""

import contextlib
import functools
import http.server
import shutil
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

BUILT = Path(__file__).resolve().parents[1] / "_build" / "html"
SIZES = {"desktop": (1440, 850), "phone": (390, 844)}
THEMES = ("light", "dark")
pytestmark = pytest.mark.browser

# What is cut: content beyond the right edge of a box that neither shows nor scrolls to it. A table on a desktop must
# not even need to scroll: a hidden column is a column nobody reads.
LAYOUT = """
(desktop) => {
  const found = [], article = document.querySelector("article");
  const name = (e) => (e.textContent || e.tagName).trim().slice(0, 60);
  const scrolls = (e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
  if (document.documentElement.scrollWidth > innerWidth + 1)
    found.push(`the page scrolls sideways: ${document.documentElement.scrollWidth} > ${innerWidth}`);
  for (const e of article.querySelectorAll("table, mjx-container, svg, img, pre")) {
    if (e.closest("mjx-container") && e.tagName !== "MJX-CONTAINER" || !e.getClientRects().length) continue;
    // the children, but for what a formula has for the ear
    const seen = [e, ...e.children].filter((c) => c.tagName !== "MJX-ASSISTIVE-MML");
    const right = Math.max(...seen.map((c) => c.getBoundingClientRect().right));
    for (let box = e; box && box !== document.body; box = box.parentElement) {
      const edge = box.getBoundingClientRect().left + box.clientLeft + box.clientWidth;
      if (scrolls(box) && box.clientWidth) {
        if (desktop && e.tagName === "TABLE" && right > edge + 1) found.push(`hidden columns: ${name(e)}`);
        break;
      }
      if (getComputedStyle(box).overflowX !== "visible" && box.clientWidth && right > edge + 1) {
        found.push(`cut ${e.tagName}: ${name(e)}`);
        break;
      }
    }
  }
  for (const e of article.querySelectorAll(".math"))
    if (!e.querySelector("mjx-container")) found.push(`not set: ${name(e)}`);
  for (const e of article.querySelectorAll("span.math.sideways"))
    if (e.querySelector("mjx-math").getBoundingClientRect().width < e.clientWidth + 1)
      found.push(`marked as cut, and whole: ${name(e)}`);
  for (const e of article.querySelectorAll("mjx-merror")) found.push(`formula with an error: ${name(e)}`);
  for (const e of article.querySelectorAll("img")) {
    if (!(e.getAttribute("alt") || "").trim()) found.push(`no alternative text: ${e.getAttribute("src")}`);
    if (!e.naturalWidth && e.loading !== "lazy") found.push(`not loaded: ${e.getAttribute("src")}`);
  }
  return found;
}
"""


class _Targets(HTMLParser):
    """The anchors of a page and the links of its article."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors, self.links = set(), []

    def handle_starttag(self, tag, attrs) -> None:
        given = dict(attrs)
        self.anchors |= {v for k in ("id", "name") if (v := given.get(k))}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])


def targets(page: Path) -> _Targets:
    parsed = _Targets()
    parsed.feed(page.read_text(encoding="utf-8"))
    return parsed


def broken(folder: Path) -> list[str]:
    """Links inside the book that lead nowhere."""
    known = {page.resolve(): targets(page) for page in pages_of(folder)}
    found = []
    for page, parsed in known.items():
        for link in parsed.links:
            path, anchor = urldefrag(unquote(link))
            if ":" in path.split("/")[0]:
                continue  # another site
            to = (page.parent / path).resolve() if path else page
            if not to.exists():
                found.append(f"{page.name}: {link} leads nowhere")
            elif anchor and to in known and anchor not in known[to].anchors:
                found.append(f"{page.name}: {link} names no anchor of {to.name}")
    return found


def pages_of(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.html") if p.stem not in ("genindex", "search", "py-modindex"))


@pytest.fixture(scope="module")
def chromium():
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not path:
        pytest.skip("no Chromium: install your distribution's package `chromium`")
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is in the extra `test`")
    with sync.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-background-networking"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def book():
    if not (BUILT / "index.html").exists():
        pytest.skip("the book is not built: `make book` first")
    return BUILT


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/favicon.ico":  # which a browser asks for unbidden
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path):
    """The address at which this folder's files can be fetched; from a file's own address a page may fetch nothing."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def problems(browser, page: Path, sizes=tuple(SIZES), themes=THEMES) -> list[str]:
    """What is wrong with one page at these sizes and in these themes; it is loaded once and then looked at anew.

    Accessibility is asked at the first size, in every theme.
    """
    # reduced motion: a theme's colours do not fade into each other while they are looked at
    context = browser.new_context(color_scheme=themes[0], reduced_motion="reduce")
    # the reader's choice of theme; without one the theme itself writes an error to the console
    chosen = f"localStorage.setItem('mode', '{themes[0]}'); localStorage.setItem('theme', '{themes[0]}')"
    context.add_init_script(chosen)
    said: list[str] = []
    found: list[str] = []
    try:
        tab = context.new_page()
        tab.on("console", lambda m: said.append(f"console: {m.text}") if m.type == "error" else None)
        tab.on("pageerror", lambda e: said.append(f"script: {e}"))
        tab.set_default_timeout(120_000)
        with served(page.parent) as address:
            tab.goto(f"{address}/{page.name}", wait_until="load")
            tab.evaluate("async () => { await window.MathJax?.startup?.promise; }")
            for size in sizes:
                tab.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
                for theme in themes:
                    tab.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
                    tab.wait_for_timeout(100)
                    seen = tab.evaluate(LAYOUT, size == "desktop")
                    seen += _violations(tab) if size == sizes[0] else []
                    found += [f"{size}, {theme}: {text}" for text in seen]
    finally:
        context.close()
    return [f"{page.name}: {text}" for text in [*said, *found]]


def _violations(tab) -> list[str]:
    """Serious findings of the accessibility checker axe in the article."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is in the extra `test`")
    result = axe.Axe().run(tab, context="article", options={"resultTypes": ["violations"], "preload": False})
    return [
        f"axe {v['id']}: {v['nodes'][0]['html'][:120]} ({len(v['nodes'])})"
        for v in result.response["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def test_links_and_anchors_resolve(book):
    assert not broken(book)


def test_pages_as_they_are_seen(chromium, book):
    found = [text for page in pages_of(book) for text in problems(chromium, page)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ('<p><a href="nowhere.html">x</a></p>', "leads nowhere"),
        ('<p><a href="#nowhere">x</a></p>', "names no anchor"),
        ('<p><img src="_static/none.png"></p>', "no alternative text"),
        ('<div class="math">x<mjx-container style="display:block;overflow:hidden"><div style="width:4000px">'
         'x</div></mjx-container></div>', "cut MJX-CONTAINER"),
        ('<div style="overflow-x:auto"><table><tr><td style="min-width:4000px">x</td></tr></table></div>',
         "hidden columns"),
        ('<div style="width:4000px">x</div>', "scrolls sideways"),
        ("<script>console.error('no')</script>", "console: no"),
        ('<div class="math">\\\\[x\\\\]</div><mjx-merror></mjx-merror>', "not set"),
        ('<p><span class="math"><mjx-container style="position:relative"><mjx-math>x</mjx-math>'
         '<i style="position:absolute;width:400px;height:1px"></i></mjx-container></span></p>', "marked as cut"),
        ('<p style="color:#eee;background:#fff">pale words</p>', "axe color-contrast"),
    ],
)  # fmt: skip
def test_a_spoiled_page_is_seen(chromium, book, tmp_path, spoiled, said):
    page = tmp_path / "index.html"
    shutil.copytree(book / "_static", tmp_path / "_static")
    text = (book / "glossary.html").read_text(encoding="utf-8")
    page.write_text(text.replace("</article>", spoiled + "</article>", 1), encoding="utf-8")
    found = broken(tmp_path) + problems(chromium, page, ("desktop",), ("light",))
    assert any(said in text for text in found), found
