"""The picture of a demo run: what the callers went through, and what each pod's circuit did about it.

    python -m dev.timeline build/demo/recording.json build/demo/timeline.svg

Four panels share the time axis: the story's events, calls per second by outcome, the time that each call to payments
took (with the breaker, and the control without one), and each pod's circuit state.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, zip_longest
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from dev.demo.recording import CONTROL, Event, Recording, Sample

__all__ = ["Band", "Rates", "bands", "draw", "main", "rates"]

INK, FAINT, RULE, PAPER = "#1f2933", "#6b7785", "#d9dee4", "#ffffff"
SUCCESS, FAILURE, REJECTED, BARE = "#2a9d8f", "#d1495b", "#6f8fc9", "#8d99a6"
STATE_COLOURS = {
    "closed": SUCCESS,
    "open": FAILURE,
    "half_open": "#e9a23b",
    "forced_open": "#6d4c9f",
    "disabled": "#b8c0c8",
}
TROUBLE = {"hang": "#fdf3e1", "fail": "#fbe9eb"}


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time (Unix seconds) in which a pod's circuit was in one state."""

    start: float
    end: float
    state: str


@dataclass(frozen=True, slots=True)
class Rates:
    """Calls per second by outcome, all pods together, at the end of each second `at` (Unix seconds)."""

    at: Sequence[float]
    success: Sequence[float]
    failure: Sequence[float]
    rejected: Sequence[float]


def draw(recording: Recording, *paths: Path) -> None:
    """Draw the run into each of `paths`; the suffix (.svg, .png) says how.

    Raises:
        ValueError: The recording holds no samples, so there is nothing to draw.
    """
    if not recording.samples:
        raise ValueError("the recording holds no samples: the demo ended before its pods answered")
    with mpl.rc_context(
        {
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "font.size": 10,
            "text.color": INK,
            "axes.edgecolor": RULE,
            "axes.labelcolor": FAINT,
            "xtick.color": FAINT,
            "ytick.color": FAINT,
            "svg.fonttype": "none",
            "svg.hashsalt": "switchgear",
        }
    ):
        figure = _figure(recording)
        for path in paths:
            figure.savefig(path, dpi=150, facecolor=PAPER)


def bands(samples: Sequence[Sample]) -> list[Band]:
    """Join one pod's samples into stretches of one state; each lasts until the next one's first sample."""
    runs = [(state, list(run)) for state, run in groupby(samples, key=lambda sample: sample.state)]
    starts = [run[0].at for _, run in runs]
    ends = [*starts[1:], samples[-1].at] if samples else []
    return [Band(start, end, state) for (state, _), start, end in zip(runs, starts, ends, strict=True)]


def rates(recording: Recording) -> Rates:
    """Difference the pods' counters over each whole second. A counter that fell was restarted: it counts from zero."""
    begin = min(sample.at for sample in recording.samples)
    found: Counter[tuple[int, str]] = Counter()
    for pod in recording.pods:
        of_pod = [sample for sample in recording.samples if sample.pod == pod]
        for before, after in pairwise(of_pod):
            for outcome, value in after.calls.items():
                grown = value - before.calls.get(outcome, 0.0)
                found[int(after.at - begin), outcome] += int(grown if grown >= 0 else value)
    last = int(max(sample.at for sample in recording.samples) - begin)
    seconds = range(last)  # the last second is not whole

    def series(outcome: str) -> list[float]:
        return [float(found[second, outcome]) for second in seconds]

    return Rates([begin + s + 0.5 for s in seconds], series("success"), series("failure"), series("rejected"))


def _figure(recording: Recording) -> Figure:
    figure = Figure(figsize=(13.5, 8.4))
    FigureCanvasAgg(figure)
    heights = [1.0, 2.0, 3.0, 0.42 * max(2, len(recording.pods))]
    place = {"left": 0.085, "right": 0.975, "top": 0.905, "bottom": 0.065, "hspace": 0.17}
    story, calls, latency, states = figure.subplots(
        4, 1, sharex=True, height_ratios=heights, gridspec_kw=place
    )
    begin = min(sample.at for sample in recording.samples)
    end = max(sample.at for sample in recording.samples)
    for axes in (story, calls, latency, states):
        axes.set_xlim(begin, end)
        _plain(axes)
    _shade(recording.events, (story, calls, latency, states), end)
    _draw_events(story, recording.events)
    _draw_calls(calls, rates(recording))
    _draw_latency(latency, recording)
    _draw_states(states, recording)
    for axes in (story, calls, latency):
        axes.tick_params(axis="x", length=0, labelbottom=False)
    _seconds_from(states, begin, end)
    _title(figure, recording, end - begin)
    return figure


def _title(figure: Figure, recording: Recording, seconds: float) -> None:
    pods = len(recording.pods)
    figure.text(
        0.085,
        0.957,
        "What payments did, and what its callers went through",
        fontsize=16,
        fontweight="bold",
        va="center",
    )
    figure.text(
        0.975, 0.957,
        f"{len(recording.calls):,} calls and {len(recording.samples):,} scrapes of {pods} pods in {seconds:.0f} s, "
        "all from this run",
        fontsize=9.5, color=FAINT, va="center", ha="right",
    )  # fmt: skip


def _plain(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="both", length=0)


def _shade(events: Sequence[Event], panels: Sequence[Axes], end: float) -> None:
    changes = [event for event in events if event.payments is not None]
    for event, after in zip_longest(changes, changes[1:]):
        stop = end if after is None else after.at
        if event.payments in TROUBLE:
            for axes in panels:
                axes.axvspan(event.at, stop, color=TROUBLE[event.payments], lw=0, zorder=0)
    for event in events:
        for axes in panels[1:]:
            axes.axvline(event.at, color=RULE, lw=0.9, zorder=1)


def _draw_events(axes: Axes, events: Sequence[Event]) -> None:
    """Write each label beside its moment's line, above the labels of later moments that it would run into."""
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    labels = [
        (event.at, axes.text(event.at, 0, f"  {event.label}", fontsize=9, va="center")) for event in events
    ]
    _make_room(axes, labels)
    placed: list[tuple[float, int]] = []  # moments to the right, and their levels
    for at, text in reversed(labels):
        end = at + _share(axes, text) * _span(axes)
        level = 1 + max((level for moment, level in placed if moment <= end), default=-1)
        placed.append((at, level))
        text.set_y(level + 0.5)
        axes.plot([at, at], [0, level + 0.8], color=FAINT, lw=1.1, solid_capstyle="butt")
    axes.set_ylim(0, 1 + max((level for _, level in placed), default=2))


def _make_room(axes: Axes, labels: Sequence[tuple[float, Text]]) -> None:
    """Extend the time axis until the last labels end within it."""
    begin, end = axes.get_xlim()
    shares = [(at, _share(axes, text)) for at, text in labels]
    axes.set_xlim(begin, max([end, *((at - share * begin) / (1 - share) for at, share in shares)]))


def _share(axes: Axes, text: Text) -> float:
    """A text's width as a share of the axis's."""
    return text.get_window_extent().width / axes.get_window_extent().width + 0.008


def _span(axes: Axes) -> float:
    begin, end = axes.get_xlim()
    return end - begin


def _draw_calls(axes: Axes, found: Rates) -> None:
    axes.stackplot(
        found.at, found.success, found.failure, found.rejected,
        colors=[SUCCESS, FAILURE, REJECTED], lw=0, step="mid", zorder=2,
    )  # fmt: skip
    axes.set_ylim(0, None)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.grid(axis="y", color=RULE, lw=0.6, zorder=1)
    axes.set_ylabel("calls a second\n(the pods' counters)", labelpad=8)
    _legend(
        axes,
        [
            Patch(color=SUCCESS, label="success"),
            Patch(color=FAILURE, label="failure"),
            Patch(color=REJECTED, label="rejected"),
        ],
    )


def _draw_latency(axes: Axes, recording: Recording) -> None:
    axes.set_yscale("log")
    axes.set_ylim(0.05, 2600)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticks([0.1, 1, 10, 100, 1000], labels=["0.1 ms", "1 ms", "10 ms", "100 ms", "1 s"])
    axes.grid(axis="y", color=RULE, lw=0.6, zorder=1)
    bare = [(call.at, call.waited) for call in recording.calls if call.target == CONTROL]
    _dots(axes, bare, BARE, size=26, marker="x", zorder=2)
    for outcome, colour in (("charged", SUCCESS), ("failed", FAILURE), ("later", REJECTED)):
        guarded = [
            (call.at, call.inside)
            for call in recording.calls
            if call.target != CONTROL and call.outcome == outcome and call.inside is not None
        ]
        _dots(axes, guarded, colour, size=9, marker="o", zorder=3)
    axes.set_ylabel("time that a call\nto payments took", labelpad=8)

    def dot(colour: str, label: str, marker: str = "o") -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=colour, markersize=5, label=label)

    _legend(
        axes,
        [
            dot(SUCCESS, "charged"),
            dot(FAILURE, "failed"),
            dot(REJECTED, "fallback, circuit open"),
            dot(BARE, "without a breaker", "x"),
        ],
    )


def _dots(
    axes: Axes, points: Sequence[tuple[float, float]], colour: str, *, size: float, marker: str, zorder: int
) -> None:
    axes.scatter(
        [at for at, _ in points], [max(0.05, value) for _, value in points],
        s=size, c=colour, marker=marker, linewidths=1.0 if marker == "x" else 0, alpha=0.75, zorder=zorder, rasterized=True,
    )  # fmt: skip


def _draw_states(axes: Axes, recording: Recording) -> None:
    pods = recording.pods
    for row, pod in enumerate(reversed(pods)):
        for band in bands([sample for sample in recording.samples if sample.pod == pod]):
            axes.barh(
                row, band.end - band.start, left=band.start, height=0.62,
                color=STATE_COLOURS.get(band.state, FAINT), lw=0, zorder=2,
            )  # fmt: skip
    axes.set_ylim(-0.6, len(pods) - 0.4)
    axes.set_ylabel("circuit", labelpad=8)
    axes.set_yticks(range(len(pods)), labels=[_short(pod) for pod in reversed(pods)])
    seen = {sample.state for sample in recording.samples}
    _legend(
        axes,
        [
            Patch(color=colour, label=state.replace("_", "-"))
            for state, colour in STATE_COLOURS.items()
            if state in seen
        ],
    )


def _short(pod: str) -> str:
    return f"…{pod[-5:]}"


def _legend(axes: Axes, handles: Sequence[Patch | Line2D]) -> None:
    axes.legend(
        handles=list(handles), loc="lower left", bbox_to_anchor=(0.0, 0.985), ncols=len(handles), frameon=False, fontsize=9,
        handlelength=0.9, handleheight=0.9, handletextpad=0.5, columnspacing=1.6, borderpad=0, borderaxespad=0.1,
    )  # fmt: skip


def _seconds_from(axes: Axes, begin: float, end: float) -> None:
    step = next(
        step
        for step in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 3600, 86400)
        if (end - begin) / step <= 16 or step == 86400
    )
    axes.set_xticks([begin + second for second in range(0, int(end - begin) + 1, step)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at - begin:.0f} s"))


def main(source: str, *targets: str) -> None:
    """Draw a saved recording again."""
    draw(Recording.load(Path(source)), *map(Path, targets))


if __name__ == "__main__":
    main(*sys.argv[1:])
