"""What do agreement, factions, scores and evaluations look like? Needs ``matplotlib``, which is imported at the first plot.

Each function draws on ``ax`` where one is given, and returns the ``Axes`` (or the ``Figure`` where it draws several). The
colours (Okabe and Ito 2008; cividis) can be told apart with any kind of colour vision.

>>> import matplotlib
>>> matplotlib.use("agg")
>>> agreement([[1, 1, 2, 2], [1, 1, 2, 1], [2, 2, 1, 1]]).get_title()
'Pairwise agreement (share of equal ratings)'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _eval, consensus
from ._errors import InvalidInput
from .consensus.data import _table, column

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["agreement", "evaluation", "factions", "scores"]

BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000",
)  # fmt: skip
_COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW, BLACK)
_HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")

_MEASURES: dict[str, tuple[str, Callable[..., Any]]] = {
    "percent": ("share of equal ratings", consensus.percent_agreement),
    "cohen_kappa": ("Cohen's kappa", consensus.conger_kappa),
    "gwet_ac": ("Gwet's AC1", consensus.gwet_ac),
    "krippendorff_alpha": ("Krippendorff's alpha", consensus.krippendorff_alpha),
}


def agreement(
    data: Any = None,
    raters: Any = None,
    values: Any = None,
    *,
    measure: str = "percent",
    order: str = "similar",
    ax: Axes | None = None,
) -> Axes:
    """A heat map of how well each two raters agree on the items that both rated.

    ``data`` as in :mod:`quorate.consensus`, but not :class:`quorate.consensus.Ratings`. ``measure``: ``percent``,
    ``cohen_kappa``, ``gwet_ac`` or ``krippendorff_alpha``. ``order``: ``similar`` (raters who agree stand together, by the
    Fiedler vector of their agreement; Atkins et al. 1998) or ``given``. Cells without a common item stay empty.
    Codes: ``invalid_argument``, and those of the measure.
    """
    import numpy as np

    if measure not in _MEASURES:
        raise InvalidInput("invalid_argument", f"measure is '{measure}'; known are {', '.join(_MEASURES)}")
    if order not in ("similar", "given"):
        raise InvalidInput("invalid_argument", f"order is '{order}'; known are similar and given")
    by_rater: dict[Any, dict[Any, Any]] = {}
    for item, rater, value in zip(*_columns(data, raters, values), strict=True):
        if value is not None and value == value:
            by_rater.setdefault(rater, {})[item] = value
    names = list(by_rater)
    table, common = _pairs(by_rater, _MEASURES[measure][1])
    if order == "similar" and len(names) > 2:
        place = _seriation(table)
        names, table, common = [names[i] for i in place], table[np.ix_(place, place)], common[np.ix_(place, place)]

    axes: Any = _axes(ax, 1.8 + 0.55 * len(names), 1.4 + 0.5 * len(names))
    # The colours span what there is, from the tenth below the least agreement.
    low = min(0.9, float(np.floor(10 * np.nanmin(table)) / 10))
    image = axes.imshow(table, cmap="cividis", vmin=low, vmax=1.0)
    for i, j in np.argwhere(~np.eye(len(names), dtype=bool)):
        if len(names) > 16:
            break
        if np.isnan(table[i, j]):
            axes.text(j, i, "none", ha="center", va="center", fontsize=7, color="0.4")
            continue
        bright = (table[i, j] - low) / (1.0 - low) > 0.55
        text = f"{table[i, j]:.2f}\nn = {common[i, j]}" if len(names) <= 9 else f"{table[i, j]:.2f}"
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color="black" if bright else "white")
    for axis, rotation in ((axes.xaxis, 45), (axes.yaxis, 0)):
        axis.set_ticks(range(len(names)), [_short(name, 18) for name in names], rotation=rotation)
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("right")
        label.set_rotation_mode("anchor")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(f"Pairwise agreement ({_MEASURES[measure][0]})", fontsize=11)
    axes.figure.colorbar(image, ax=axes, shrink=0.8, label=_MEASURES[measure][0])
    whole: Axes = axes
    return whole


def factions(
    pool: consensus.DensityPool,
    *,
    outcomes: Sequence[Any] | None = None,
    experts: Sequence[Any] | None = None,
    least: float = 0.02,
) -> Figure:
    """What a panel's factions think, and who belongs to them.

    ``pool``: what :func:`quorate.consensus.density_pool` returned. Left: each faction's distribution over the outcomes beside
    the pooled one; right: the squared overlap of each expert with each faction. ``least``: the least weight of a faction
    that is shown. ``outcomes`` and ``experts``: their names. Code: ``invalid_shape``.
    """
    import numpy as np

    shown = [faction for faction in pool.factions if faction.weight >= least] or pool.factions[:1]
    names = _named(outcomes, len(pool.pooled), "outcome", "outcomes")
    people = _named(experts, len(shown[0].overlap), "expert", "experts")
    plt = _pyplot()
    height = max(3.0, 1.2 + 0.22 * len(names) * (len(shown) + 1), 1.6 + 0.34 * len(people))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10.5, height), width_ratios=(1.5, 1.0), layout="constrained"
    )

    rows = np.arange(len(names))
    bars = [("pooled", pool.pooled, "0.6", "")] + [
        (f"faction {i + 1} ({faction.weight:.0%} of the weight)", faction.opinion, _COLOURS[i % 8], _HATCHES[i % 8])
        for i, faction in enumerate(shown)
    ]
    thick = 0.8 / len(bars)
    for i, (label, opinion, colour, hatch) in enumerate(bars):
        at = rows - 0.4 + thick * (i + 0.5)
        left.barh(at, opinion, thick, label=label, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5)
    left.set_yticks(rows, [_short(name, 28) for name in names])
    left.invert_yaxis()
    left.set_xlim(0, 1)
    left.set_xlabel("probability")
    left.set_title(f"Opinions (purity {pool.purity:.2f}, entropy {pool.entropy:.2f} bits)", fontsize=11)
    left.legend(frameon=False, fontsize=9, loc="best")
    _bare(left, "x")

    overlap = np.array([faction.overlap for faction in shown]).T
    image = right.imshow(overlap, cmap="cividis", vmin=0.0, vmax=1.0, aspect="auto")
    for (i, j), value in np.ndenumerate(overlap):
        right.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color="black" if value > 0.55 else "white")
    right.set_xticks(range(len(shown)), [f"faction {i + 1}" for i in range(len(shown))])
    right.set_yticks(range(len(people)), [_short(name, 18) for name in people])
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    right.set_title("Who stands where (squared overlap)", fontsize=11)
    figure.colorbar(image, ax=right, shrink=0.8)
    whole: Figure = figure
    return whole


def scores(hits: Sequence[Any], *, ax: Axes | None = None) -> Axes:
    """Where the scores of a search come from: one bar for each hit, best on top.

    Parts of the bar are what the words and the meaning add in the fusion; with one leg alone, what each term adds (lexical)
    or the cosine (dense). A diamond is what a reranker made of it, on the scale at the top.
    """
    from matplotlib.patches import Patch

    if not len(hits):
        raise InvalidInput("empty_input", "there are no hits to show")
    told = [hit.explain() for hit in hits]
    axes: Any = _axes(ax, 8.0, 1.4 + 0.42 * len(told))
    rows = range(len(told))
    styles: dict[str, tuple[str, str]] = {"words": (BLUE, ""), "meaning": (ORANGE, "//")}
    seen: dict[str, None] = {}
    for row, explanation in zip(rows, told, strict=True):
        right = left = 0.0
        for name, value in _parts(explanation):
            if name not in styles:
                styles[name] = (_COLOURS[len(styles) % 8], _HATCHES[len(styles) % 8])
            colour, hatch = styles[name]
            start = right if value >= 0 else left
            axes.barh(row, value, 0.62, left=start, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5)
            seen[name] = None
            if value >= 0:
                right += value
            else:
                left += value
        axes.annotate(f"{right + left:.3f}", (right, row), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(rows, [_short(hit.title or hit.doc_id, 40) for hit in hits])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    if min(axes.get_xlim()) > -1e-9 or all(value >= 0 for one in told for _, value in _parts(one)):
        axes.set_xlim(left=0)
    axes.set_xlabel(_scale(told[0]))
    keys: list[Any] = [
        Patch(facecolor=styles[name][0], hatch=styles[name][1], edgecolor="white", label=_short(name, 24)) for name in seen
    ]
    reranked = [(row, one["rerank"]) for row, one in zip(rows, told, strict=True) if one.get("rerank")]
    if reranked:
        above = axes.twiny()
        style: dict[str, Any] = {"marker": "D", "color": BLACK, "linestyle": "none", "markersize": 6}
        keys += above.plot([one["score"] for _, one in reranked], [row for row, _ in reranked], label="reranked", **style)
        above.margins(x=0.12)
        above.set_xlabel(f"score of the reranker ({reranked[0][1]['name']})")
        above.spines[["right", "bottom"]].set_visible(False)
    axes.set_title("Where the scores come from", fontsize=11)
    _bare(axes, "x")
    axes.legend(handles=keys, frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
    whole: Axes = axes
    return whole


def evaluation(
    runs: Mapping[str, Mapping[str, Any]],
    qrels: _eval.Qrels | None = None,
    *,
    metrics: Iterable[str] = ("ndcg@10", "recall@100", "mrr@10"),
    ax: Axes | None = None,
) -> Axes:
    """Systems side by side: one group of bars for each metric.

    ``runs``: ``{name: run}``, scored against ``qrels``, or ``{name: {metric: value}}`` from :func:`quorate.evaluate`. For
    runs a line shows the 95% interval of the mean over queries (percentile bootstrap, 2,000 rounds, seed 0).
    """
    import numpy as np

    if not runs:
        raise InvalidInput("empty_input", "there are no runs to compare")
    measured = {name: _measured(name, one, qrels, metrics) for name, one in runs.items()}
    wanted = [metric for metric in next(iter(measured.values())) if all(metric in one for one in measured.values())]
    if not wanted:
        raise InvalidInput("invalid_argument", "the runs have no metric in common")
    axes: Any = _axes(ax, 2.2 + 0.55 * len(wanted) * (len(measured) + 0.6), 3.8)
    places, thick = np.arange(len(wanted)), 0.82 / len(measured)
    for i, (name, values) in enumerate(measured.items()):
        at = places - 0.41 + thick * (i + 0.5)
        means = [values[metric][0] for metric in wanted]
        style: dict[str, Any] = {"color": _COLOURS[i % 8], "hatch": _HATCHES[i % 8], "edgecolor": "white", "linewidth": 0.5}
        axes.bar(at, means, thick * 0.94, label=name, **style)
        for x, metric in zip(at, wanted, strict=True):
            mean, interval = values[metric]
            top = mean
            if interval:
                axes.plot([x, x], interval, color="0.15", linewidth=1.1)
                top = interval[1]
            axes.annotate(f"{mean:.3f}", (x, top), (0, 2), textcoords="offset points", ha="center", fontsize=8)
    axes.set_xticks(places, wanted)
    axes.set_ylim(0, min(1.08, axes.get_ylim()[1] * 1.08))
    axes.set_ylabel("mean over queries")
    axes.set_title("Evaluation" + (", with 95% intervals" if qrels is not None else ""), fontsize=11)
    _bare(axes, "y")
    axes.tick_params(axis="x", length=0)
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
    whole: Axes = axes
    return whole


def _pyplot() -> Any:
    import matplotlib.pyplot

    return matplotlib.pyplot


def _axes(ax: Axes | None, width: float, height: float) -> Any:
    if ax is not None:
        return ax
    return _pyplot().subplots(figsize=(min(width, 14.0), min(height, 12.0)), layout="constrained")[1]


def _bare(ax: Axes, grid: str) -> None:
    """No frame but the axes; faint lines behind the bars."""
    ax.spines[["top", "right"]].set_visible(False)
    if grid == "x":
        ax.xaxis.grid(True, color="0.9")
    else:
        ax.yaxis.grid(True, color="0.9")
    ax.set_axisbelow(True)


def _short(name: Any, length: int) -> str:
    text = str(name)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _named(names: Sequence[Any] | None, count: int, one: str, many: str) -> list[str]:
    if names is None:
        return [f"{one} {i + 1}" for i in range(count)]
    if len(names) != count:
        raise InvalidInput("invalid_shape", f"{len(names)} {many} are named, the pool has {count}")
    return [str(name) for name in names]


def _columns(data: Any, raters: Any, values: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Items, raters and values from any of the forms but ``Ratings``."""
    if isinstance(data, consensus.Ratings):
        raise InvalidInput("invalid_argument", "Ratings do not give their cells back; give what they were made of")
    parts = (data, raters, values) if raters is not None or values is not None else data
    if not (isinstance(parts, tuple) and len(parts) == 3):
        found = _table(parts)
        if found is None:
            # Refuses what is no table.
            consensus.ratings(parts, form="raters_x_items")
            rows = [list(row) for row in getattr(parts, "tolist", lambda: parts)()]
            places = [(item, rater) for rater, row in enumerate(rows) for item in range(len(row))]
            return [item for item, _ in places], [rater for _, rater in places], [cell for row in rows for cell in row]
        parts = found
    items, people, votes = (list(column(part, name)) for part, name in zip(parts, ("items", "raters", "values"), strict=True))
    if not len(items) == len(people) == len(votes):
        raise InvalidInput("invalid_shape", f"{len(items)} items, {len(people)} raters and {len(votes)} values are given")
    return items, people, votes


def _pairs(
    by_rater: Mapping[Any, Mapping[Any, Any]], measure: Callable[..., Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Agreement and number of common items of each two raters; NaN where it is undefined."""
    import numpy as np

    votes = list(by_rater.values())
    table = np.full((len(votes), len(votes)), np.nan)
    common = np.zeros(table.shape, dtype=np.int64)
    for i, a in enumerate(votes):
        table[i, i] = 1.0
        for j in range(i):
            shared = [item for item in a if item in votes[j]]
            common[i, j] = common[j, i] = len(shared)
            if not shared:
                continue
            cells = [a[item] for item in shared] + [votes[j][item] for item in shared]
            found = measure(shared + shared, ["a"] * len(shared) + ["b"] * len(shared), cells).value
            table[i, j] = table[j, i] = np.nan if found is None else found
    return table, common


def _seriation(table: npt.NDArray[np.float64]) -> list[int]:
    """An order in which similar raters stand together: by the second eigenvector of the Laplacian."""
    import numpy as np

    weight = np.nan_to_num(table, nan=0.0)
    weight = weight - min(0.0, float(weight.min()))
    np.fill_diagonal(weight, 0.0)
    fiedler = np.linalg.eigh(np.diag(weight.sum(axis=1)) - weight)[1][:, 1]
    order = np.argsort(np.round(fiedler, 9), kind="stable")
    # The sign of an eigenvector is arbitrary: the rater who was given first stands in the first half.
    first = int(np.flatnonzero(order == 0)[0])
    return [int(i) for i in (order if first < len(order) / 2 else order[::-1])]


def _parts(explanation: Mapping[str, Any]) -> list[tuple[str, float]]:
    """What adds up to the score before any reranker."""
    fusion, lexical, dense = (explanation.get(name) for name in ("fusion", "lexical", "dense"))
    if fusion:
        weights = (1.0 - fusion["alpha"], fusion["alpha"]) if "alpha" in fusion else (1.0, 1.0)
        return [("words", weights[0] * fusion["lexical"]), ("meaning", weights[1] * fusion["dense"])]
    if lexical:
        terms: dict[str, float] = {}
        for term in lexical["terms"]:
            terms[term["term"]] = terms.get(term["term"], 0.0) + term["score"]
        return list(terms.items()) or [("words", lexical["score"])]
    if dense:
        return [("meaning", dense["similarity"])]
    return [("score", explanation["score"])]


def _scale(explanation: Mapping[str, Any]) -> str:
    if fusion := explanation.get("fusion"):
        return f"fused score ({fusion['method']})"
    return "BM25, by term" if explanation.get("lexical") else "cosine similarity"


def _measured(
    name: str, one: Mapping[str, Any], qrels: _eval.Qrels | None, metrics: Iterable[str]
) -> dict[str, tuple[float, tuple[float, float] | None]]:
    import numpy as np

    if all(isinstance(value, (int, float)) for value in one.values()):
        return {metric: (float(value), None) for metric, value in one.items()}
    if qrels is None:
        raise InvalidInput("invalid_argument", f"'{name}' is a run; give qrels to score it")
    by_query = _eval.evaluate(dict(one), qrels, metrics, per_query=True)
    rng = np.random.default_rng(0)
    out: dict[str, tuple[float, tuple[float, float] | None]] = {}
    for metric in next(iter(by_query.values())):
        values = np.array([row[metric] for row in by_query.values()])
        means = rng.choice(values, (2_000, len(values))).mean(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        out[metric] = (float(values.mean()), (float(low), float(high)))
    return out
