"""What _config.yml cannot say: a stale cache, the repository's address, raw reprs on a page, a script given twice."""

import hashlib
import re
import shutil
import tomllib
from pathlib import Path

from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]
# Chapters compute from these; the cache of executed notebooks looks at a chapter's own code alone.
INPUTS = ("snnpaper", "results", "zoo", "workflow/grid.yml", "book/paper_values.yml", "book/published_defences.yml")
RAW_REPR = re.compile(r"<[\w.]+ (?:object\b|at 0x)[^>]*>")


def digest(root: Path) -> str:
    """SHA-256 over the names and contents of the files below `root` that chapters compute from."""
    total = hashlib.sha256()
    for top in (root / name for name in INPUTS):
        for path in sorted([top, *top.rglob("*")]):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(path.relative_to(root).as_posix().encode() + b"\0")
                total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def drop_stale_cache(app, config) -> None:
    """Remove the executed chapters when their inputs changed since they were executed."""
    now = digest(ROOT)
    cache = Path(app.outdir).parent / ".jupyter_cache"
    mark = cache.with_name(".jupyter_cache_inputs")
    if cache.exists() and not (mark.exists() and mark.read_text() == now):
        print("snnpaper, results or zoo changed: every chapter is executed again")
        shutil.rmtree(cache)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(now)
    config.book_inputs = now  # declared with "env" below: Sphinx reads every page again when it differs


def address(root: Path) -> str:
    """The repository's address from pyproject.toml, "" while it is not set."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository", "")


def show_address(app, config) -> None:
    """Repository, issue and launch buttons, once there is an address for them to point to."""
    if url := address(ROOT):
        config.html_theme_options |= {
            "repository_url": url,
            "use_repository_button": True,
            "use_issues_button": True,
            "launch_buttons": {"notebook_interface": "jupyterlab", "binderhub_url": "https://mybinder.org"},
        }


def warn_of_raw_reprs(app, doctree, docname) -> None:
    """An output that shows `<Some object>` to the reader is a warning, hence an error of `make book`."""
    for found in sorted(set(RAW_REPR.findall(doctree.astext()))):
        logging.getLogger(__name__).warning("raw repr on the page: %s", found, location=docname)


def every_script_once(app, pagename, templatename, context, doctree) -> None:
    """Inline scripts come twice, named None and "": the second `const` of sphinx-thebe's is an error to a browser."""
    once = {(js.filename or "", *sorted(js.attributes.items())): js for js in context["script_files"]}
    context["script_files"] = list(once.values())


def setup(app) -> dict:
    app.add_config_value("book_inputs", "", "env", str)
    app.connect("config-inited", drop_stale_cache, priority=100)
    app.connect("config-inited", show_address, priority=100)
    app.connect("doctree-resolved", warn_of_raw_reprs)
    app.connect("html-page-context", every_script_once)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
