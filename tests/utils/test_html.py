import re
from html.parser import HTMLParser

import numpy as np
import pytest

from skcap.utils.html import color_words, legend, page

NAN = float("nan")
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Markup(HTMLParser):
    """Collects tags, attributes and text; fails on tags that are not closed in order."""

    def __init__(self, document):
        super().__init__()
        self.tags, self.titles, self.styles, self.text, self._open = [], [], [], "", []
        self.feed(document)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def spans(self):
        return [attrs for tag, attrs in self.tags if tag == "span"]


def colors(words, scores):
    found = [
        re.search(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)", span["style"])
        for span in Markup(color_words(words, scores)).spans()
    ]
    return [m and (*map(int, m.groups()[:3]), float(m[4])) for m in found]


def test_colors_follow_sign_and_strength():
    strong, weak, against, zero, none = colors(list("abcde"), [2.0, 1.0, -2.0, 0.0, NAN])
    assert strong[2] > strong[0]  # blue
    assert against[0] > against[2]  # orange
    assert strong[:3] == weak[:3]
    assert weak[3] == pytest.approx(strong[3] / 2)
    assert against[3] == strong[3] > 0
    assert zero[3] == 0
    assert none is None


def test_strength_is_relative_to_the_text():
    assert colors(["a", "b"], [1e-6, -5e-7]) == colors(["a", "b"], [4e5, -2e5])


@pytest.mark.parametrize("scores", [[0.0, 0.0], [NAN, 0.0], [NAN, NAN]])
def test_nothing_to_scale_by(scores):
    assert all(color is None or color[3] == 0 for color in colors(["a", "b"], scores))


def test_no_score_is_marked_without_color():
    scored, missing = Markup(color_words(["a", "b"], [0.0, NAN])).spans()
    assert "underline" in missing["style"]
    assert "underline" not in scored["style"]
    assert missing["title"] == "no score"


def test_title_gives_the_score():
    scores = np.array([0.123456, -1e-7, 0.0], dtype=np.float32)
    titles = [span["title"] for span in Markup(color_words(["a", "b", "c"], scores)).spans()]
    assert titles == ["+0.1235", "-1e-07", "+0"]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script> &amp; \"quoted\" 'single' <!-- > -->",
        "</div></span> <b",
        "&lt;b&gt; &#60;",
        "<|im_end|> {x}",
        "שלום 👋🏽",
    ],
)
def test_words_are_escaped(text):
    words = text.split()
    markup = Markup(color_words(words, [1.0] * len(words)))
    assert markup.text.split() == words
    assert {tag for tag, _ in markup.tags} == {"div", "span"}


def test_direction_follows_the_script():
    assert Markup(color_words(["שלום"], [1.0])).tags[0] == (
        "div",
        {"dir": "auto", "style": "margin:.4em 0;line-height:1.7"},
    )


def test_lone_surrogate_is_shown_and_can_be_encoded():
    markup = color_words(["a\ud83d"], [1.0])
    assert "a\\ud83d" in markup.encode("utf-8").decode()


def test_text_without_words():
    assert Markup(color_words([], [])).spans() == []


def test_wrong_scores_are_refused():
    with pytest.raises(ValueError, match=r"got 1 for 2 words: 'play jazz'"):
        color_words(["play", "jazz"], [1.0])
    with pytest.raises(ValueError, match="finite"):
        color_words(["play"], [float("inf")])


def test_legend_shows_the_colors_in_use():
    blue, orange, none = (span["style"] for span in Markup(legend()).spans())
    words = [span["style"] for span in Markup(color_words("abc", [1, -1, NAN])).spans()]
    assert [blue, orange, none] == [style.replace("0.600", "0.6") for style in words]


def test_page_is_complete_and_escapes_its_headings():
    document = page("A & <b>", ("", "<p>first</p>"), ("<i>", "<table><tr><td>1</td></tr></table>"))
    markup = Markup(document.removeprefix("<!doctype html>"))
    assert document.startswith("<!doctype html>\n<html lang")
    assert "<title>A &amp; &lt;b&gt;</title>" in document
    assert "<h1>A &amp; &lt;b&gt;</h1>" in document
    assert re.findall("<h2>.*</h2>", document) == ["<h2>&lt;i&gt;</h2>"]
    assert document.index("<p>first</p>") < document.index("<td>1</td>")
    assert ("meta", {"charset": "utf-8"}) in markup.tags


def test_page_needs_no_network_and_no_script():
    document = page("t", ("h", legend()))
    assert not re.search(r"https?:|//|url\(|@import|<script|<link", document)
    assert "default-src 'none'" in document


def test_page_is_readable_in_the_dark_and_on_a_phone():
    document = page("t")
    assert "prefers-color-scheme: dark" in document
    assert 'name="viewport"' in document


@pytest.mark.parametrize("section", ["<p>body</p>", ("h",), ("h", 3), ["h", "b"]])
def test_page_refuses_what_is_no_section(section):
    with pytest.raises(TypeError, match=r"section 1 must be a pair"):
        page("t", ("h", "b"), section)
