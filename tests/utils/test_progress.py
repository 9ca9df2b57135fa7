import re

import pytest

from skcap.utils import progress
from skcap.utils.progress import ProgressLines, in_words, show_progress


@pytest.fixture
def clock(monkeypatch):
    """Make time stand still, unless it is told to pass."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def count(n, **options):
    with show_progress(n, "cap", "text", **options) as shown:
        for _ in range(n):
            shown.update()


def test_a_log_file_gets_a_line_now_and_then(clock, capsys):
    with show_progress(100, "cap", "text", verbose=1, initial=20) as shown:
        assert isinstance(shown, ProgressLines)
        for seconds in (5, 4, 3, 20, 20, 8):
            clock(seconds)
            shown.update(10)
        clock(60)
        shown.update(20)
    assert capsys.readouterr().err.splitlines() == [
        "cap: 50 of 100 texts, 2.5 per second, about 20 s left",
        "cap: 70 of 100 texts, 0.962 per second, about 31 s left",
        "cap: 100 of 100 texts in 2.0 minutes",
    ]


def test_short_steps_are_silent(capsys, monkeypatch):
    count(3, verbose=1)
    monkeypatch.setattr(progress, "_can_draw", lambda: True)
    count(3, verbose=1)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_without_colours(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_can_draw", lambda: True)
    monkeypatch.setattr(progress, "_DELAY", 0.0)
    count(3, verbose=1)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.search(r"cap: 100%.*3/3.*text/s", shown.err)
    assert "\x1b[3" not in shown.err


def test_nothing_without_a_stderr(clock, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    with show_progress(2, "cap", "text", verbose=1) as shown:
        clock(60)
        shown.update()
    assert capsys.readouterr().out == ""


def test_nothing_with_verbose_0(clock, capsys, monkeypatch):
    for can_draw in (True, False):
        monkeypatch.setattr(progress, "_can_draw", lambda can_draw=can_draw: can_draw)
        monkeypatch.setattr(progress, "_DELAY", 0.0)
        with show_progress(2, "cap", "text", verbose=0) as shown:
            clock(100)
            shown.update()
    assert capsys.readouterr() == ("", "")


def test_no_rate_before_anything_is_done():
    assert ProgressLines(4, "cap", "text").line(0, 9.0) == "cap: 0 of 4 texts"
    assert in_words(89.0) == "89 s"
