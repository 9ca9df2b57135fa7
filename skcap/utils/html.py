"""HTML: words coloured by score, and a standalone page around them.

Everything that comes from a text is escaped here. Colours are translucent, so that the same markup
is legible on light and dark backgrounds, in notebooks and in pages.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

from skcap.utils.words import show_surrogates

__all__ = ["color_texts", "color_words", "html_table", "legend", "page"]

_BLUE = "0,114,178"  # for the label; colour-blind people can tell blue and orange apart
_ORANGE = "230,126,0"  # against it
_STRONGEST = 0.6  # opacity of the largest score, at which words are still legible
_NO_SCORE = "opacity:.65;text-decoration:underline dotted"
_WORD = "border-radius:.25em;padding:.05em .2em"

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #666; --page: #fff; --ink: #1b1d21; }
@media (prefers-color-scheme: dark) { :root { --dim: #aaa; --page: #16181c; --ink: #e8e9eb; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 3rem; background: var(--page);
  color: var(--ink); font: 16px/1.6 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
p { margin: .5rem 0; }
small { color: var(--dim); font-size: .875rem; }
table { border-collapse: collapse; display: block; max-width: 100%; overflow-x: auto;
  border: 0; margin: .8rem 0; overflow-wrap: normal; font-variant-numeric: tabular-nums; }
th, td { border: 0; border-bottom: 1px solid var(--line); padding: .4rem .8rem .4rem 0;
  text-align: start; vertical-align: top; }
thead th { border-bottom-width: 2px; white-space: nowrap; }
@media (max-width: 32rem) {
  table { font-size: .8rem; }
  th, td { padding-inline-end: .5rem; }
  thead th { white-space: normal; }
}
img, svg { max-width: 100%; height: auto; }
pre { overflow-x: auto; padding: .8rem; border: 1px solid var(--line); border-radius: .4rem; }
"""


def _escape(text: str) -> str:
    return html.escape(show_surrogates(text))


def _word(word: str, score: float, largest: float) -> str:
    if math.isnan(score):
        style, title = _NO_SCORE, "no score"
    else:
        opacity = _STRONGEST * abs(score) / largest if largest else 0.0
        hue = _BLUE if score > 0 else _ORANGE
        style, title = f"background:rgba({hue},{opacity:.3f})", f"{score:+.4g}"
    return f'<span style="{_WORD};{style}" title="{title}">{_escape(word)}</span>'


def color_words(words: Sequence[str], scores: Iterable[float]) -> str:
    """Colour the words of one text by their scores.

    Parameters
    ----------
    words : sequence of str, length n_words
    scores : iterable of float, length n_words
        Positive scores are blue, negative ones orange. Their strength is relative to the largest
        absolute score of this text, so that texts with scores of different size can be compared.
        Words without a score (NaN) are grey and underlined with dots.

    Returns
    -------
    str
        One ``<div>``, in the writing direction of its script. Words are escaped, and the score of
        each is in its ``title``.

    Raises
    ------
    ValueError
        If the lengths differ or a score is infinite.

    Examples
    --------
    >>> from skcap.utils.html import color_words
    >>> "lost &amp; found</span>" in color_words(["lost & found"], [0.5])
    True
    """
    values = [float(score) for score in scores]
    if len(values) != len(words):
        raise ValueError(
            f"scores must hold one score per word, got {len(values)} for {len(words)} words: "
            f"{' '.join(words)!r:.80}."
        )
    if any(math.isinf(value) for value in values):
        raise ValueError("scores must be finite or NaN (no score), got an infinite one.")
    largest = max((abs(value) for value in values if not math.isnan(value)), default=0.0)
    spans = (_word(word, value, largest) for word, value in zip(words, values, strict=True))
    return f'<div dir="auto" style="margin:.4em 0;line-height:1.7">{" ".join(spans)}</div>'


def color_texts(
    words: Sequence[Sequence[str]], scores: Sequence[Iterable[float]], n_hidden: int = 0
) -> str:
    """Colour the words of several texts, below a legend.

    Parameters
    ----------
    words : sequence of sequence of str, length n_texts
    scores : sequence of iterable of float, length n_texts
        As for :func:`color_words`.
    n_hidden : int, default=0
        Number of further texts, which a last line says are not shown.

    Returns
    -------
    str

    Examples
    --------
    >>> from skcap.utils.html import color_texts
    >>> "1 more of 2 texts not shown" in color_texts([["stop"]], [[1.0]], n_hidden=1)
    True
    """
    lines = [legend(), *map(color_words, words, scores)]
    if n_hidden:
        n_texts = len(words) + n_hidden
        lines.append(f"<p><small>{n_hidden} more of {n_texts} texts not shown.</small></p>")
    return "\n".join(lines)


def legend() -> str:
    """Explain the colours of :func:`color_words` in one line of HTML.

    Returns
    -------
    str

    Examples
    --------
    >>> from skcap.utils.html import legend
    >>> legend().startswith("<div")
    True
    """
    samples = [
        (f"background:rgba({_BLUE},{_STRONGEST})", "for the label"),
        (f"background:rgba({_ORANGE},{_STRONGEST})", "against it"),
        (_NO_SCORE, "no score"),
    ]
    spans = (f'<span style="{_WORD};{style}">{name}</span>' for style, name in samples)
    note = "<small>strength relative to the largest score of the text</small>"
    return f'<div style="margin:.4em 0">{" ".join(spans)} {note}</div>'


def html_table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Lay out cells as a table; ``DataFrame.to_html`` would cut long ones.

    Parameters
    ----------
    header : iterable of object, length n_columns
    rows : iterable of iterable of object, length n_columns
        Cells are written as ``str`` gives them, and escaped.

    Returns
    -------
    str

    Examples
    --------
    >>> from skcap.utils.html import html_table
    >>> "<td>lost &amp; found</td>" in html_table(["class"], [["lost & found"]])
    True
    """

    def line(cells: Iterable[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{_escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table>"


def page(title: str, *sections: tuple[str, str]) -> str:
    """Put sections of HTML into one standalone page.

    The page needs no network and no script, follows the reader's light or dark setting, and fits
    the screen of a phone. Tables, such as those of ``DataFrame.to_html()``, are styled.

    Parameters
    ----------
    title : str
        Plain text, escaped here.
    *sections : tuple of (heading, body)
        The heading is plain text, escaped here, and left out if empty. The body is HTML and not
        escaped: escape what you put there, or make it with :func:`color_words`.

    Returns
    -------
    str
        A complete HTML document.

    Raises
    ------
    TypeError
        If a section is not a pair of strings.

    Examples
    --------
    >>> from skcap.utils.html import color_words, legend, page
    >>> text = page("One text", ("", legend()), ("Prior", color_words(["play", "jazz"], [0, 1])))
    >>> text.startswith("<!doctype html>")
    True
    """
    parts = []
    for number, section in enumerate(sections):
        if not (isinstance(section, tuple) and [type(part) for part in section] == [str, str]):
            raise TypeError(
                f"section {number} must be a pair (heading, body) of strings, got {section!r:.80}."
            )
        heading, body = section
        head = f"<h2>{_escape(heading)}</h2>\n" if heading else ""
        parts.append(f"<section>\n{head}{body}\n</section>")
    name = _escape(title)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # The browser itself refuses scripts and network requests, whatever a body contains.
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">",
            f"<title>{name}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            f"<h1>{name}</h1>",
            *parts,
            "</body>",
            "</html>",
            "",
        ]
    )
