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

NOTEBOOKS = {"search_scifact": SEARCH, "panel_consensus": PANEL}


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
