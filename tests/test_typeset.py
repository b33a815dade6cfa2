"""What the book keeps on one line, where names may break, and what scrolls."""

import collections

import book_build
import pytest
import typeset

NBSP, MINUS = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("4 epochs of 5", "4_epochs of 5"),
        ("8 of 8 seeds, 95 %, 46%", "8_of 8_seeds, 95_%, 46_%"),
        ("1.9 ± 1.8 points", "1.9_±_1.8_points"),
        ("n = 256, x &lt; 3", "n_=_256, x_&lt;_3"),
        ("width 16, rules 11 and 12", "width_16, rules_11 and 12"),
        ("max − avg, 15 MiB", "max_−_avg, 15_MiB"),
        ("10 · The report", "10_·_The report"),
        ("4 epochs · 5 seeds", "4_epochs · 5_seeds"),
        ("4 oranges in 3 rows", "4 oranges in 3 rows"),
    ],
)
def test_numbers_stay_with_their_units_and_names(text, whole):
    assert typeset.whole(text) == whole.replace("_", NBSP)


def test_a_negative_number_has_a_minus_sign_and_a_name_its_hyphen():
    assert typeset.whole("(-0.6 to -2") == f"({MINUS}0.6 to {MINUS}2"
    assert typeset.whole("1e-06") == '<span class="whole">1e-06</span>'
    assert typeset.whole("4-5, name&gt;-1.pt") == "4-5, name&gt;-1.pt"
    assert typeset.whole("PGD-7 on CIFAR-10") == (
        '<span class="whole">PGD-7</span> on <span class="whole">CIFAR-10</span>'
    )
    assert typeset.whole("cifar10-sew18-w16-max-s0") == "cifar10-sew18-w16-max-s0"


def test_names_in_code_type_break_at_their_joints_and_options_nowhere():
    assert typeset.breakable("snnpaper.train_stage(") == "snnpaper.<wbr>train_<wbr>stage("
    assert typeset.breakable("0.5") == "0.5" and typeset.breakable("...") == "..."
    assert typeset.breakable("train --profile cpu") == 'train <span class="whole">--profile</span> cpu'


def test_only_prose_is_changed():
    formula = '<span class="math notranslate nohighlight">\\(x = -1\\)</span>'
    kept = [
        "<pre>n = 2 -1</pre>",
        "<script>if (a < -1) { n = 2 }</script>",
        "<svg><title>-1</title></svg>",
        formula,
        "<!-- n = -1 -->",
        '<img alt="n = -1" src="_static/a.png">',
    ]
    for html in kept:
        assert typeset.page(f"<p>{html}</p>") == f"<p>{html}</p>"
    code = '<code class="literal"><span class="pre">a.b</span> <span class="pre">n = -1</span></code> -1'
    assert typeset.page(code).endswith(f"n = -1</span></code> {MINUS}1") and "a.<wbr>b" in typeset.page(code)
    prose = f"<dt>n = 2</dt><dd>{formula} and n = 2</dd>"
    assert typeset.page(prose) == f"<dt>n{NBSP}={NBSP}2</dt><dd>{formula} and n{NBSP}={NBSP}2</dd>"


def test_a_formula_keeps_the_comma_behind_it():
    formula = '<span class="math notranslate nohighlight">\\(x\\)</span>'
    assert typeset.page(f"<p>({formula}), so</p>") == f'<p><span class="whole">({formula}),</span> so</p>'
    assert typeset.page(f"<p>({formula} is</p>") == f'<p><span class="whole">({formula}</span> is</p>'
    assert typeset.page(f"<p>{formula} so</p>") == f"<p>{formula} so</p>"


def test_the_table_scrolls_and_not_what_is_printed_around_it():
    table = '<table class="records"><tr><td>1</td></tr></table>'
    assert typeset.page(f"<p>a</p>{table}<p>b</p>") == f'<p>a</p><div class="scroll">{table}</div><p>b</p>'
    frame = '<table border="1" class="dataframe"><tr></tr></table>'
    assert typeset.page(frame) == f'<div class="scroll">{frame}</div>'
    picture = '<figure><img alt="a" src="_images/a.svg" /><figcaption>b</figcaption></figure>'
    assert '<div class="scroll"><img alt="a" src="_images/a.svg" /></div><figcaption>' in typeset.page(picture)


def test_what_is_said_to_the_formatter_is_not_shown():
    code = '<pre><span class="p">})</span>  <span class="c1"># fmt: skip</span>\n</pre>'
    assert "fmt" not in typeset.page(code)


def test_a_signature_has_types_without_modules_and_values_as_they_are_said():
    found = (
        "(a: ~collections.abc.Mapping[str, ~typing.Any] = <factory>, eps: float = 0.03137254901960784, b=<class 'x.Y'>)"
    )
    short, after = book_build.short_signature(None, "class", "n", None, {}, found, " -> ~torch.Tensor")
    assert short == "(a: Mapping[str, Any] = ..., eps: float = 8/255, b=Y)" and after == " -> ~torch.Tensor"
    assert book_build.short_signature(None, "class", "n", None, {}, None, None) is None


def test_what_python_says_of_a_named_tuple_s_fields_is_left_out():
    point = collections.namedtuple("Point", ["x"])
    assert book_build.no_field_numbers(None, "class", "x", point.x, False, {}) is True
    assert book_build.no_field_numbers(None, "class", "Point", point, False, {}) is None
