"""Writes the notebooks beside it and runs them, so that their outputs are those of this release.

Run: python make.py [name ...]. Needs: nbformat nbclient ipykernel matplotlib pandas, and QUORATE_DATA for SciFact.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

HERE = Path(__file__).parent

SEARCH = [
    """# Search on SciFact, evaluated

[SciFact](https://github.com/allenai/scifact) (Wadden et al. 2020) holds 5,183 abstracts and 300 scientific claims, each with the
abstracts that support or refute it. We put the abstracts into a knowledge base, look at single answers, and then measure
which way of searching ranks the judged abstracts best. Everything runs in this process, with the built-in model.""",
    """import os
import tempfile
from pathlib import Path

import quorate
from quorate import plot

data = Path(os.environ.get("QUORATE_DATA", "../../data")) / "scifact"
scifact = quorate.load_beir(data)
folder = tempfile.TemporaryDirectory()
kb = quorate.open(folder.name)
kb.add(scifact.corpus)
kb.count()""",
    """## One search

Hits show themselves. `where` filters both legs before anything is scored; here we ask for all documents.""",
    """hits = kb.search("Metformin lowers blood glucose in type 2 diabetes.", k=6, group_by="doc")
hits""",
    """Each score can be taken apart: what the words gave, what the meaning gave, and how they were fused.""",
    """print(hits[0].explain())""",
    """plot.scores(hits);""",
    """## Which mode ranks best?

We rank 100 abstracts for each claim with the words alone, with the meaning alone, and with both, and score the rankings with
the measures of trec_eval. The lines are 95% intervals over the claims.""",
    """def ranking(**how):
    found = kb.search_batch(scifact.queries.values(), k=100, group_by="doc", **how)
    return {query: {hit.doc_id: hit.score for hit in hits} for query, hits in zip(scifact.queries, found)}


runs = {
    "lexical": ranking(mode="lexical"),
    "dense": ranking(mode="dense"),
    "hybrid": ranking(mode="hybrid"),
    "hybrid, RRF": ranking(mode="hybrid", fusion="rrf"),
}
plot.evaluation(runs, scifact.qrels);""",
    """## Is the difference more than luck?

Fisher's paired randomisation test asks how often a difference as large as this would come about if the labels of the two
rankings meant nothing.""",
    """quorate.compare(runs["hybrid"], runs["lexical"], scifact.qrels, metric="ndcg@10")""",
    """How much should the dense leg weigh? The convex fusion takes `alpha` between 0 (words alone) and 1 (meaning alone).""",
    """import matplotlib.pyplot as plt

weights = [i / 10 for i in range(11)]
scores = [quorate.evaluate(ranking(alpha=a), scifact.qrels, ["ndcg@10"])["ndcg@10"] for a in weights]
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(weights, scores, "o-", color=plot.BLUE)
ax.set(xlabel="alpha, the weight of the dense leg", ylabel="nDCG@10", title="How much should the meaning weigh?")
ax.spines[["top", "right"]].set_visible(False)
ax.grid(color="0.9");""",
    """## Context for a language model

The best pieces, cited, within a budget of tokens.""",
    """context = kb.context("Does metformin lower blood glucose?", max_tokens=300)
print(context.text[:700], "...")
context.citations[0]""",
    """kb.close()
folder.cleanup()""",
]

PANEL = [
    """# A panel's consensus

Dawid and Skene (1979) report how five anaesthetists judged the fitness of 45 patients for a general anaesthetic on a scale of 1 to 4;
the first of them judged each patient three times. Whom can we trust, what is true, and where does the panel split? All figures
come from `quorate.consensus`.""",
    """import pandas as pd

from quorate import consensus, plot

votes = pd.read_csv("../../consensus/tests/fixtures/dawid_skene_anaesthetist.csv", usecols=["item", "worker", "label"])
names = {"w1": "first, 1", "w2": "first, 2", "w3": "first, 3", "w4": "second", "w5": "third", "w6": "fourth", "w7": "fifth"}
votes = votes.assign(worker=votes["worker"].map(lambda name: names.get(name, name))).rename(columns={"item": "task"})
votes.pivot(index="worker", columns="task", values="label").iloc[:, :20]""",
    """## How well do they agree?

Krippendorff's alpha, for grades in an order, with a bootstrap interval; then each two judges by themselves. Cells show the share
of patients on whom both gave the same grade.""",
    """consensus.krippendorff_alpha(votes, level="ordinal", bootstrap=1000)""",
    """plot.agreement(votes);""",
    """## What is true?

The method of Dawid and Skene learns a confusion matrix for each judge and weighs the votes by it. The log-likelihood converges
to the value that their paper's algorithm reaches.""",
    """truth = consensus.dawid_skene(votes, tol=1e-10, max_iter=500)
print(truth)
pd.Series(truth.skills, name="probability of the right grade").sort_values(ascending=False).round(3).to_frame()""",
    """The patients on whom the weighted answer differs from the plain majority, or is not sure:""",
    """majority = consensus.majority_vote(votes)
table = pd.DataFrame(truth.probabilities).T.round(3)
table.columns = [f"p(grade {grade})" for grade in table.columns]
table["Dawid-Skene"] = pd.Series(truth.labels)
table["majority"] = pd.Series(majority.labels)
table[(table["Dawid-Skene"] != table["majority"]) | (table.filter(like="p(").max(axis=1) < 0.9)]""",
    """## The same with scikit-learn's habits

`quorate.integrations.sklearn` has the methods as estimators, with crowd-kit's names.""",
    """from quorate.integrations import sklearn as estimators

models = [estimators.MajorityVote(), estimators.Wawa(), estimators.OneCoinDawidSkene(), estimators.DawidSkene(), estimators.GLAD()]
answers = pd.DataFrame({type(model).__name__: model.fit_predict(votes) for model in models})
answers.apply(lambda one: answers.eq(one, axis=0).mean()).round(2)""",
    """## Factions

A panel of six (made up for this page) was asked which of four courses is right. The density pool finds the directions along which
opinions lie: the heaviest is what most of the panel shares, the second is what splits it.""",
    """panel = {
    "cardiologist": [0.70, 0.20, 0.05, 0.05],
    "nephrologist": [0.65, 0.25, 0.05, 0.05],
    "pharmacist": [0.75, 0.15, 0.05, 0.05],
    "surgeon": [0.05, 0.10, 0.80, 0.05],
    "anaesthetist": [0.05, 0.05, 0.75, 0.15],
    "patient": [0.30, 0.15, 0.35, 0.20],
}
pool = consensus.density_pool(list(panel.values()))
plot.factions(pool, outcomes=["drug", "watch", "operate", "refer"], experts=list(panel));""",
    """## The verdict

One call for a panel: the decision, how firm it is, who differs, and the arithmetic.""",
    """verdict = consensus.score_panel({name: dict(zip(["drug", "watch", "operate", "refer"], p)) for name, p in panel.items()})
print(verdict.explain())
verdict.decision, verdict.level, round(verdict.support, 3)""",
]

DELPHI = [
    """# A Delphi panel

How appropriate is metformin at an eGFR of 40? Six raters say so on RAND/UCLA's scale of 1 to 9, first alone, then with the
distribution of all ratings and the reasons of both tails before them. They are scripted here, so that this page runs without a
language model and comes out the same each time; with `model=` of a service or of this machine the calls are the same.""",
    """import json

import quorate


def rater(blind, pull, reason, id):
    \"\"\"Rates `blind` alone, and then moves a share of the way to the median that it is shown.\"\"\"

    def rate(request):
        shown = request["messages"][-1]["content"]
        if "Nobody has spoken yet" in shown:
            number = blind
        else:
            number = round(blind + pull * (7 - blind))
        return json.dumps({"number": number, "confidence": 0.8, "reasons": [{"text": reason}]})

    return quorate.Member(id, model=quorate.ScriptedModel(rate, id=f"scripted:{id}"))


members = [
    rater(7, 0.0, "At an eGFR of 40 the kidney still clears it.", "nephrologist"),
    rater(9, 0.6, "It lowers glucose and weighs little.", "diabetologist"),
    rater(5, 1.0, "The dose can be halved below 45.", "pharmacist"),
    rater(6, 0.5, "It is what the guideline says, with controls.", "family doctor"),
    rater(8, 0.4, "Outcomes are better with it than without.", "cardiologist"),
    rater(2, 0.0, "Lactic acidosis is rare, and kills.", "toxicologist"),
]
runtime = quorate.Runtime(model=quorate.ScriptedModel([]))
panel = runtime.panel("How appropriate is metformin at an eGFR of 40?", type="delphi", members=members)
panel.score.decision, panel.score.level, panel.stopped_by""",
    """## Round by round

The rule when to stop is laid down before: the distribution has come to rest (less than 15 % of it moved), or four rounds were
held. That somebody still disagrees then is a result, not a failure.""",
    """panel.to_pandas().pivot(index="member", columns="round", values="position")""",
    """import matplotlib.pyplot as plt

from quorate import plot

rounds = [one for one in panel.rounds if one.delphi]
items = [one.delphi["items"][0] for one in rounds]
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.fill_between([one.round for one in rounds], [i.q1 for i in items], [i.q3 for i in items], color=plot.BLUE, alpha=0.2)
ax.plot([one.round for one in rounds], [i.median for i in items], "o-", color=plot.BLUE)
for member in panel.members:
    own = [one for one in panel.ballots if one.member == member.id]
    ax.plot([one.round for one in own], [one.position for one in own], ".:", color="0.5", zorder=0)
ax.set(xlabel="round", ylabel="rating", ylim=(1, 9), xticks=[one.round for one in rounds], title="Median, quartiles and each rater")
ax.spines[["top", "right"]].set_visible(False);""",
    """## Did they think, or follow?

Ballots that moved to what led are counted, with an interval, beside how much of the first disagreement is gone.""",
    """panel.conformity""",
    """The one who stays is not averaged away: a minority is kept in its own words.""",
    """for one in panel.minority:
    for ballot in one.ballots:
        print(f"{ballot.member} rates {ballot.position:g}: {ballot.reasons[0].text}")""",
    """## The page

A result shows itself as the page that `panel.report("panel.html")` writes: who said what, how positions moved, agreement by round, the
minority and the cost.""",
    """panel""",
]

NOTEBOOKS = {"search_scifact": SEARCH, "panel_consensus": PANEL, "delphi_panel": DELPHI}


def notebook(cells: list[str]) -> NotebookNode:
    """Texts become cells: those that start as prose are markdown."""
    made = []
    for i, text in enumerate(cells):
        prose = text.startswith(("#", "[")) or text[0].isupper() and "=" not in text.split("\n", 1)[0]
        cell = new_markdown_cell(text) if prose else new_code_cell(text)
        cell["id"] = f"cell-{i}"
        made.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=made, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def run(made: NotebookNode) -> NotebookNode:
    """Runs the cells, in the folder of the notebooks."""
    NotebookClient(made, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}).execute()
    for cell in made.cells:
        cell.metadata.pop("execution", None)
    return made


def main() -> None:
    for name in sys.argv[1:] or NOTEBOOKS:
        nbformat.write(run(notebook(NOTEBOOKS[name])), HERE / f"{name}.ipynb")


if __name__ == "__main__":
    main()
