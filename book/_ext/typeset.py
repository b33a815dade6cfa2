"""What a page keeps on one line, where a long name may break, and what scrolls: done to the page's HTML at the end.

Browsers break a line at any space and after any hyphen, and a name in code type anywhere; only the wide thing itself
shall scroll on a phone, not the words around it.
"""

import re
from collections.abc import Iterator

_AS_IT_IS = "|".join(rf"<{name}\b.*?</{name}>" for name in ("script", "style", "svg", "textarea", "pre"))
_TAG = re.compile(rf"(<!--.*?-->|{_AS_IT_IS}|<[^>]+>)", re.DOTALL)
_UNITS = (
    r"%|±|of|points?|octaves|seeds?|epochs?|steps?|(?:test )?images?|values|networks?|recordings|records|minutes?|flips|"
    r"grey levels?|ms|µs|MiB|GB"
)
_NAMES = (
    r"[Tt]heorems?|[Ll]emma|[Cc]orollary|[Rr]ules?|[Cc]hapters?|[Ss]eeds?|[Ww]idth|EOT|[Ff]ig\.|[Tt]ables?|[Vv]ersion"
)
_GLUED = re.compile(
    rf"(?<=\d) (?=(?:{_UNITS})(?!\w))|(?<=±) |(?<=^\d ·) |(?<=^\d\d ·) |(?<=^\d) (?=·)|(?<=^\d\d) (?=·)"
)
_NAMED = re.compile(rf"\b({_NAMES}) (?=\d)")
_EQUAL = re.compile(r"\b(\w+) (=|≥|≤|&lt;|&gt;) (?=[\d−-])")
_MINUS = re.compile(r"(?<![\w)\];-])-(?=\d)")
_HYPHEN = re.compile(r"\b[A-Z]\w*(?:-[A-Z]\w*)*-\d{1,3}\b(?!-)|\b\d+e-\d+\b")
_JOINT = re.compile(r"((?<!\S)--[\w-]+)|(?<=[^\W\d])([._/=(]+)(?=[\w\"'&])")
_FORMULA = '<span class="math notranslate nohighlight">[^<]*</span>'
_MATH = re.compile(rf"\({_FORMULA}[.,;:)!?’]*|{_FORMULA}[.,;:)!?’]+")
_TABLE = re.compile(r'<table (?:border="1" )?class="(?:records|dataframe)\b.*?</table>', re.DOTALL)
_IMAGE = re.compile(r'<img [^>]*src="_images/[^>]*>')
_CODE = re.compile(r'(<span class="(?:o|p)">[^<]*[.,(=\[]</span>)(?!\s)')


def page(body: str) -> str:
    """The HTML of a page's body, typeset."""
    body = _MATH.sub(r'<span class="whole">\g<0></span>', body)
    for wide in (_TABLE, _IMAGE):
        body = wide.sub(r'<div class="scroll">\g<0></div>', body)
    body = body.replace('  <span class="c1"># fmt: skip</span>', "")  # said to the formatter alone
    return _CODE.sub(r"\1<wbr>", "".join(_parts(body)))


def _parts(body: str) -> Iterator[str]:
    """The tags as they are, and between them the text: whole where it is prose, with places to break where it is code."""
    inside: list[str] = []  # open elements whose text is not prose, the innermost last
    for part in _TAG.split(body):
        if not part.startswith("<"):
            yield whole(part) if not inside else part if "math" in inside else breakable(part)
            continue
        yield part
        name = re.match(r"</?([\w-]*)", part)[1]
        if part.startswith("</"):
            if inside and name == ("span" if inside[-1] == "math" else inside[-1]):
                inside.pop()
        elif name == "span" and 'class="math' in part:
            inside.append("math")
        elif name == "code" or 'class="sig ' in part or (name == "span" and inside):
            inside.append(name)


def whole(text: str) -> str:
    """Prose with its numbers on one line with their units and names, and a minus sign where a number has one."""
    text = re.sub(r"(?<=\w) − (?=\w)", "\N{NO-BREAK SPACE}−\N{NO-BREAK SPACE}", text)
    text = re.sub(r"(?<=\d)%", "\N{NO-BREAK SPACE}%", text)
    text = _GLUED.sub("\N{NO-BREAK SPACE}", _MINUS.sub("\N{MINUS SIGN}", text))
    text = _EQUAL.sub("\\1\N{NO-BREAK SPACE}\\2\N{NO-BREAK SPACE}", _NAMED.sub("\\1\N{NO-BREAK SPACE}", text))
    return _HYPHEN.sub(r'<span class="whole">\g<0></span>', text)


def breakable(name: str) -> str:
    """A name or a signature that may break after a dot, an underscore, a slash, a bracket or an equals sign."""
    return _JOINT.sub(lambda m: f'<span class="whole">{m[1]}</span>' if m[1] else f"{m[2]}<wbr>", name)
