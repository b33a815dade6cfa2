"""What _config.yml cannot say: a stale cache, chapters executed side by side, the repository's address, a page's flaws."""

import json
import os
import re
import sys
import tomllib
from pathlib import Path
from unittest import mock

from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor
from sphinx.util import logging

sys.path.append(str(Path(__file__).resolve().parents[1]))  # refresh.py, which knows the chapters

import inputs
import typeset
from refresh import chapters

ROOT = Path(__file__).resolve().parents[2]
RAW_REPR = re.compile(r"<[\w.]+ (?:object\b|at 0x)[^>]*>")


def digests() -> dict[str, str]:
    """What each chapter of the book follows from, as a checksum by chapter."""
    package = inputs.Package(ROOT)
    return {name: inputs.digest(ROOT / "book" / f"{name}.ipynb", package) for name in chapters(ROOT / "book")}


def drop_stale_chapters(app, config) -> None:
    """Remove from the cache the executed chapters whose inputs changed since; their own code the cache looks at."""
    app.book_inputs = digests()
    cache = _cache_of(app)
    mark = cache.with_name(".jupyter_cache_inputs")
    before = _read(mark)
    stale = {name for name, now in app.book_inputs.items() if before.get(name) != now}
    if cache.exists() and stale:
        kept = get_cache(cache)
        for record in kept.list_cache_records():
            if (name := Path(record.uri).stem) in stale or name not in app.book_inputs:
                print(f"{name}: what it computes from has changed, it is executed again")
                kept.remove_cache(record.pk)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps(app.book_inputs))


def execute_side_by_side(app, config) -> None:
    """Execute into the cache what it lacks, a chapter a core; one that fails is left to the build, which says why."""
    if config.nb_execution_mode != "cache":
        return
    cache = get_cache(_cache_of(app))
    pages = [cache.add_nb_to_project(str(ROOT / "book" / f"{name}.ipynb")) for name in app.book_inputs]
    lacking = cache.list_unexecuted([page.uri for page in pages])
    if len(lacking) < 2:
        return
    print(f"executing {len(lacking)} chapters, {os.cpu_count()} at once")
    with mock.patch.dict(os.environ, OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1"):  # a core has one chapter's threads
        load_executor("local-parallel", cache).run_and_cache(
            filter_uris=[page.uri for page in lacking], timeout=config.nb_execution_timeout
        )


def _cache_of(app) -> Path:
    return Path(app.outdir).parent / ".jupyter_cache"


def _read(mark: Path) -> dict[str, str]:
    try:
        return dict(json.loads(mark.read_text()))
    except (OSError, ValueError):  # the first build here, or one that was stopped while it wrote
        return {}


def stale_pages(app, env, added, changed, removed) -> list[str]:
    """Pages to be read again although their text is the same; a build that fails leaves `env` as it was."""
    before = getattr(env, "book_inputs", {})
    return [name for name, now in app.book_inputs.items() if name in env.found_docs and before.get(name) != now]


def pages_are_read(app, env) -> None:
    env.book_inputs = app.book_inputs


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


def entries_need_no_list(app, pagename, templatename, context, doctree) -> None:
    """The bibliography's entries have a role of their own, which a list may not hold: a reader's software stumbles."""
    plain = '<div class="citation-list">'
    context["body"] = context.get("body", "").replace('<div role="list" class="citation-list">', plain)


def typeset_page(app, pagename, templatename, context, doctree) -> None:
    if "body" in context:
        context["body"] = typeset.page(context["body"])


def short_signature(app, what, name, obj, options, signature, annotation):
    """A dataclass's signature is made of full names and of values: types without their modules, 8/255 as it is said."""
    if not signature:
        return None
    text = re.sub(r"<factory>", "...", re.sub(r"<class '([\w.]+)'>", r"\1", signature))
    text = re.sub(r"~?\b(?:[a-z_]\w*\.)+(?=[A-Za-z_]\w*)", "", text)
    text = re.sub(r"\b0\.\d{10,}", lambda m: f"{255 * float(m[0]):.3g}/255", text)
    return text, annotation


def no_field_numbers(app, what, name, obj, skip, options):
    """The fields of a named tuple are said in its own words; Python's are "Alias for field number 0"."""
    return True if (getattr(obj, "__doc__", "") or "").startswith("Alias for field number") else None


def setup(app) -> dict:
    app.connect("config-inited", drop_stale_chapters, priority=100)
    app.connect("config-inited", execute_side_by_side, priority=900)
    app.connect("env-get-outdated", stale_pages)
    app.connect("env-updated", pages_are_read)
    app.connect("config-inited", show_address, priority=100)
    app.connect("doctree-resolved", warn_of_raw_reprs)
    app.connect("html-page-context", every_script_once)
    app.connect("html-page-context", entries_need_no_list)
    app.connect("html-page-context", typeset_page, priority=900)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("autodoc-skip-member", no_field_numbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
