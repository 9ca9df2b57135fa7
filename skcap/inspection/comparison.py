"""What a comparison of guidance with its controls found, as a table, a plot and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from skcap.inspection.intervals import Interval, resampled_interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["GuidanceComparison"]


@dataclass(frozen=True, eq=False, repr=False)
class GuidanceComparison:
    """Scores of a guided classifier and of its controls, on the same splits.

    Made by :func:`skcap.inspection.compare_guidance`.

    Attributes
    ----------
    scores : pandas.DataFrame, shape (n_splits, n_arms)
        Score on the test texts of each split. Columns are the arms, ``unguided``, ``shuffled`` and
        ``guided``.
    fit_seconds : pandas.DataFrame, shape (n_splits, n_arms)
        Time of each fit, without that of the prior. NaN for the first fit of a process, which also
        loads libraries.
    metric : str
        Name of the score; higher is better.
    test_to_train : float
        Number of test texts over number of training texts, as the intervals need it.
    reads_prior : bool, default=True
        Whether the guidance goes by the prior at all.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcap.inspection import GuidanceComparison
    >>> scores = pd.DataFrame({"unguided": [0.8, 0.7, 0.8], "guided": [0.9, 0.8, 0.9]})
    >>> comparison = GuidanceComparison(scores, scores * 10, "accuracy", 0.5)
    >>> comparison.to_frame()[["score", "gain", "gain_low", "gain_high"]].round(3)
              score  gain  gain_low  gain_high
    unguided  0.767   0.1       0.1        0.1
    guided    0.867   NaN       NaN        NaN
    >>> comparison.summary()[:40]
    'Guidance is worth having here: accuracy '
    """

    scores: pd.DataFrame
    fit_seconds: pd.DataFrame
    metric: str
    test_to_train: float
    reads_prior: bool = True

    @property
    def gains(self) -> pd.DataFrame:
        """pandas.DataFrame, shape (n_splits, n_controls): guided less control, split by split."""
        controls = self.scores.drop(columns="guided")
        return -controls.sub(self.scores["guided"], axis=0)

    def interval(self, control: str) -> Interval:
        """Compute the mean gain of the guided classifier over a control, with its 95 % interval.

        Parameters
        ----------
        control : {"unguided", "shuffled"}

        Returns
        -------
        Interval
            Tuple ``(mean, low, high)``, see :func:`skcap.inspection.intervals.resampled_interval`.
        """
        return resampled_interval(self.gains[control], self.test_to_train)

    def to_frame(self) -> pd.DataFrame:
        """Lay the comparison out as a table.

        Returns
        -------
        pandas.DataFrame, one row per arm
            Columns ``score``, the mean over the splits; ``gain``, the mean of guided less this arm,
            with the ends of its 95 % interval, ``gain_low`` and ``gain_high``; and ``fit_seconds``,
            the median of a fit. The gain of the guided row is NaN.
        """
        import pandas as pd

        gains = {arm: self.interval(arm) for arm in self.gains}
        return pd.DataFrame(
            {
                "score": self.scores.mean(),
                "gain": pd.Series({arm: gain.mean for arm, gain in gains.items()}),
                "gain_low": pd.Series({arm: gain.low for arm, gain in gains.items()}),
                "gain_high": pd.Series({arm: gain.high for arm, gain in gains.items()}),
                "fit_seconds": self.fit_seconds.median(),
            },
            index=self.scores.columns,
        )

    def summary(self) -> str:
        """Say in one sentence whether guidance is worth having on these texts.

        Returns
        -------
        str
            It is, if the intervals of both gains lie above zero. If only that over no guidance
            does, scores in any order help, so that the prior's knowledge is not what helps. If a
            metric is NaN on a split, as ROC AUC is on one class, nothing can be said.
        """
        return (
            f"{self._verdict()}: {self.metric} {self.scores['guided'].mean():.3f} guided, "
            f"{_words(self.interval('unguided'))} over unguided{self._knowledge()}{self._cost()}."
        )

    def _cost(self) -> str:
        seconds = self.fit_seconds.median()
        slower = seconds["guided"] / seconds["unguided"]
        # With as many processes as splits, no unguided fit may have been timed.
        return "" if slower != slower else f", at {slower:.1f} times the training time"

    def _verdict(self) -> str:
        n_missing = int(self.scores.isna().any(axis=1).sum())
        if n_missing:
            return (
                f"Nothing can be said, since {n_missing} of {len(self.scores)} splits have no score"
            )
        gain = self.interval("unguided")
        if gain.high < 0:
            return "Guidance does harm here"
        if gain.low <= 0:
            return "No gain from guidance could be shown here"
        if "shuffled" in self.scores and self.interval("shuffled").low <= 0:
            return "Guidance helps here, but not demonstrably by what the prior knows"
        return "Guidance is worth having here"

    def _knowledge(self) -> str:
        if not self.reads_prior:
            return " (the guidance does not read the prior)"
        if "shuffled" not in self.scores:
            return " (whether a shuffled prior gains as much was not tried)"
        return f" and {_words(self.interval('shuffled'))} over the prior shuffled"

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Plot the gain over each control: every split, the mean and its 95 % interval.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from skcap.inspection.plots.gains import plot_gains

        intervals = {control: self.interval(control) for control in self.gains}
        return plot_gains(self.gains, intervals, self.metric, ax=ax)

    def __repr__(self) -> str:
        means = ", ".join(f"{arm} {mean:.3f}" for arm, mean in self.scores.mean().items())
        return f"GuidanceComparison({self.metric} of {len(self.scores)} splits: {means})"


def _words(gain: Interval) -> str:
    return f"{gain.mean:+.3f} (95 % interval {gain.low:+.3f} to {gain.high:+.3f})"
