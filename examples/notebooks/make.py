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

EXPERT = [
    """# An expert that answers with citations

Somebody asks, and wants to know where it stands. We ask 300 claims of [SciFact](https://github.com/allenai/scifact) (Wadden et al.
2020) of its 5,183 abstracts. People have judged which abstracts speak to which claim, so that we can measure how often an
answer cites one of them, and decide from how sure an answer must be before it is shown to anybody.""",
    """import os
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import quorate
from quorate import plot

scifact = quorate.load_beir(Path(os.environ.get("QUORATE_DATA", "../../data")) / "scifact")
kb = quorate.open(None)
kb.add(scifact.corpus)
rt = quorate.Runtime(kb=kb)
answer = rt.ask("Does metformin lower blood glucose in type 2 diabetes?")
print(answer.text)
round(answer.confidence, 2)""",
    """No language model was named, so sentences of the sources answer, word for word. Each citation has the place where its words
stand, and can be held against the document.""",
    """for one in answer.citations:
    document = kb.get(one.doc_id)
    assert document.text[one.start : one.end] == one.text
    print(one.marker, document.title)""",
    """## What is not in the sources is not answered

A wrong answer costs more than none. What was found decides how sure the expert is, and below a bound it says that it does not know.""",
    """for question in ("Who won the football world cup in 1998?", "Is vitamin D linked to multiple sclerosis?"):
    one = rt.ask(question)
    print(f"{one.status:<10} {one.confidence:.2f}  {one.text[:90]}")""",
    """## Where should the bound lie?

That can be measured. We take the bound away, ask all 300 claims, and look whether a judged abstract is among those that the answer
cites. Of answers above each bound we then have the share that is right, and how many answers are left.""",
    """open_minded = quorate.Runtime(kb=kb, model=quorate.Model("extractive", kb=kb, min_confidence=0))
rows = []
for id, claim in scifact.queries.items():
    one = open_minded.ask(claim)
    judged = {doc for doc, grade in scifact.qrels[id].items() if grade > 0}
    rows.append({"claim": claim, "confidence": one.confidence, "right": any(cited.doc_id in judged for cited in one.citations)})
asked = pd.DataFrame(rows)
asked["right"].mean().round(3)""",
    """import numpy as np

bounds = np.linspace(0, 0.95, 20)
above = [asked[asked["confidence"] >= bound] for bound in bounds]
right = np.array([one["right"].mean() for one in above])
n = np.array([len(one) for one in above])
# Wilson's interval: that of Wald is too narrow for shares near one.
z = 1.96
middle = (right + z**2 / (2 * n)) / (1 + z**2 / n)
half = z / (1 + z**2 / n) * np.sqrt(right * (1 - right) / n + z**2 / (4 * n**2))
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.fill_between(bounds, middle - half, middle + half, color=plot.BLUE, alpha=0.2)
ax.plot(bounds, right, "o-", color=plot.BLUE, label="of them, cite a judged abstract")
ax.plot(bounds, n / len(asked), "s--", color="0.5", label="claims answered")
ax.set(xlabel="least confidence", ylabel="share", ylim=(0, 1), title="Fewer answers, and better ones")
ax.legend(frameon=False, loc="lower left")
ax.spines[["top", "right"]].set_visible(False)
ax.grid(color="0.9");""",
    """The curve of what is right rises and that of what is answered falls: there is no free choice of a bound, only a trade that the cost of an
error decides. If nine of ten answers shall cite an abstract that people judged to matter, this bound does it here:""",
    """enough = next(bound for bound, share in zip(bounds, right) if share >= 0.9)
pd.Series({"bound": enough, "answered": (asked["confidence"] >= enough).mean(), "right": right[list(bounds).index(enough)]}).round(2)""",
    """A bound that is chosen on the data on which it is then praised looks better than it is. We choose it on one half of the claims,
and look at the other; a hundred times, with another cut each time.""",
    """draw = np.random.default_rng(1)
held_out = []
for _ in range(100):
    mixed = asked.sample(frac=1, random_state=draw)
    chosen, rest = mixed[:150], mixed[150:]
    fits = [bound for bound in bounds if chosen[chosen["confidence"] >= bound]["right"].mean() >= 0.9]
    if fits:
        held_out.append(rest[rest["confidence"] >= fits[0]]["right"].mean())
pd.Series(held_out, name="right on the other half").describe(percentiles=[0.1, 0.5, 0.9]).round(3).to_frame()""",
    """## When a language model writes

With `model=` of a service or of this machine the model writes, and every sentence of it is held against the sources. Here a script
stands in for one: it says one thing that the first source says, one that no source says, and one that turns the source round.""",
    """said = (
    "Metformin treatment significantly decreased the blood glucose levels from 15.5 weeks of age [1]. "
    "It halves mortality in 90 % of patients [1]. "
    "Metformin treatment significantly increased the blood glucose levels from 15.5 weeks of age [1]."
)
written = quorate.Runtime(kb=kb, model=quorate.ScriptedModel([said])).ask("Does metformin lower blood glucose in type 2 diabetes?")
pd.DataFrame([{"sentence": one.claim, "verdict": one.verdict} for one in written.checks])""",
    """The share of sentences that are borne out is a number that one can watch, or set a bound for:""",
    """written.grounded""",
    """## What was done for it

Every run is a list of steps, in a journal that outlives the process where the runtime has a folder.""",
    """pd.DataFrame([{"step": one.kind, "name": one.name, "what": one.detail} for one in written.steps])""",
    """kb.close()""",
]

REVIEWS = [
    """# A workflow with reviews

An expert looks for evidence; where it is not sure enough, a person decides. Who waits for whom, for how long, and what happens when
nobody comes is what the workflow says. We run it for 40 claims of [SciFact](https://github.com/allenai/scifact) (Wadden et al. 2020),
with three reviewers whose judgements are those that SciFact's annotators made, and with a clock of our own, so that
days pass at once.""",
    """import os
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import quorate
from quorate import plot
from quorate import workflows as wf

scifact = quorate.load_beir(Path(os.environ.get("QUORATE_DATA", "../../data")) / "scifact")
claims = dict(list(scifact.queries.items())[:40])
kb = quorate.open(None)
kb.add(scifact.corpus)
runtime = quorate.Runtime(kb=kb, model=quorate.Model("extractive", kb=kb, min_confidence=0))""",
    """## The file

Three steps: the expert answers; a condition ends the run where it is sure; a review is opened where it is not. After a day the review goes to
the lead. The starter of a run may not decide it.""",
    """WORKFLOW = \"\"\"
apiVersion: quorate/v1
kind: Workflow
id: claim.evidence
version: 1.0.0
input: {type: object, properties: {claim: {type: string}}, required: [claim]}
steps:
  evidence:
    agent_task: {prompt: "${input.claim}"}
  sure:
    needs: [evidence]
    conditional:
      - {when: "steps.evidence.output.confidence >= 0.8", then: {end: completed}}
      - {else: continue}
  review:
    needs: [sure]
    human_review:
      role: reviewer
      title: "${input.claim}"
      data: "${steps.evidence.output.citations}"
      options: [speaks to it, off topic]
      due: P1D
      on_timeout: escalate
      escalate_to: lead
      forbid: [starter]
output:
  cited: "${steps.evidence.output.citations}"
  decision: "${steps.review.output.decision}"
  by: "${steps.review.output.by}"
\"\"\"
now = 1_767_600_000.0  # Monday, 5 January 2026, 8:00 UTC
clock = wf.ManualClock(now)
engine = wf.Engine(quorate.StateStore(), runtime=runtime, clock=clock)
engine.add(WORKFLOW)
engine.validate()""",
    """Nothing is wrong with it. What is would be named here, all of it at once, with the line:""",
    """broken = wf.Engine(quorate.StateStore())
try:
    broken.add(WORKFLOW.replace("needs: [sure]", "needs: [shure]").replace("P1D", "a day"))
except quorate.QuorateError as error:
    print(error)
broken.close();""",
    """## Start

Each claim is a run of its own. A run that waits for a person costs nothing: it is in the store, and no thread holds it.""",
    """runs = {id: engine.start("claim.evidence", {"claim": claim}, starter="intake") for id, claim in claims.items()}
for run in runs.values():
    run.wait(60, until="waiting")
pd.Series([run.status for run in runs.values()]).value_counts().to_frame("runs")""",
    """waiting = sorted(engine.reviews(role="reviewer"), key=lambda one: one.title)
pd.DataFrame([{"claim": one.title[:70], "options": ", ".join(one.options), "due in hours": (one.due - now) / 3600} for one in waiting[:5]])""",
    """Whoever has started a run is refused, whatever they say:""",
    """try:
    waiting[0].decide("speaks to it", by="intake")
except quorate.QuorateError as error:
    print(error.code, "-", error)""",
    """## People decide

Ann and Ben look at a claim each every three hours. What they have not come to within a day is the lead's, who looks at two in that time.""",
    """claim_of = {run.id: id for id, run in runs.items()}


def judge(review):
    \"\"\"What the annotators of SciFact said of the abstracts that the expert has cited.\"\"\"
    judged = scifact.qrels[claim_of[review.run_id]]
    return "speaks to it" if any(judged.get(one["doc_id"], 0) > 0 for one in review.data) else "off topic"


while reviews := sorted(engine.reviews(), key=lambda one: one.title):
    mine = {role: [one for one in reviews if one.role == role] for role in ("reviewer", "lead")}
    for person, review in [*zip(("ann", "ben"), mine["reviewer"]), *(("lead", one) for one in mine["lead"][:2])]:
        review.claim(person).decide(judge(review), by=person)
    now += 3 * 3600
    clock.advance(3 * 3600)
    # What is overdue now changes hands before anybody looks again.
    while any(one.due <= now for one in engine.reviews()):
        time.sleep(0.01)
for run in runs.values():
    run.wait(60)
pd.Series([run.status for run in runs.values()]).value_counts().to_frame("runs")""",
    """## What the journal knows

Everything that happened is written down before anything follows from it; after a crash a run goes on from there, and later one can ask
who decided what, and when. This is one of the runs that went to the lead:""",
    """late = next(run for run in runs.values() if any(entry["type"] == "review_escalated" for entry in run.journal()))
began = late.journal()[0]["time"]
pd.DataFrame(
    [
        {"hour": (entry["time"] - began) / 3600, "entry": entry["type"], "step": entry["data"].get("step"), "by": entry["data"].get("by")}
        for entry in late.journal()
        if entry["type"] != "heard"
    ]
).fillna("")""",
    """rows = []
for id, run in runs.items():
    steps = {one.id: one for one in run.steps()}
    evidence, review = steps["evidence"], steps.get("review")
    asked = review is not None and review.began is not None and review.status == "completed"
    rows.append(
        {
            "claim": claims[id],
            "confidence": evidence.output["confidence"],
            "by": review.output["by"] if asked else "expert alone",
            "hours": (review.ended - review.began) / 3600 if asked else 0.0,
            "right": any(scifact.qrels[id].get(one["doc_id"], 0) > 0 for one in evidence.output["citations"]),
        }
    )
table = pd.DataFrame(rows)
table.groupby("by").agg(claims=("claim", "size"), hours=("hours", "mean"), right=("right", "mean")).round(2)""",
    """colours = {"expert alone": "0.6", "ann": plot.BLUE, "ben": "tab:green", "lead": "tab:orange"}
ordered = table.sort_values(["hours", "confidence"], ascending=[True, False]).reset_index(drop=True)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", width_ratios=[3, 2])
for person, colour in colours.items():
    own = ordered[ordered["by"] == person]
    left.barh(own.index, own["hours"], color=colour)
    left.plot(own["hours"], own.index, "o", color=colour, label=person, markersize=4)
    right.scatter(own["confidence"], own["right"] + 0.02 * (own.index % 5), color=colour, s=14)
left.axvline(24, color="0.4", linestyle=":", linewidth=1)
left.set(xlabel="hours until somebody had decided", ylabel="claims", yticks=[], title="Who decided, and when")
left.legend(frameon=False, loc="lower right")
right.axvline(0.8, color="0.4", linestyle=":", linewidth=1)
right.set(xlabel="confidence of the expert", yticks=[0, 1], yticklabels=["off topic", "speaks to it"], title="Were they asked of the right ones?")
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False);""",
    """The dotted line on the left is the day after which reviews went to the lead; the one on the right is the bound of the condition. Left of it
stand claims that people were asked about although the expert was right: that is what a high bound costs. Off topic on its right would be
what a low one costs, and those nobody looks at. The notebook `expert_citations` measures that trade on all claims.""",
    """missed = table[(table["by"] == "expert alone") & ~table["right"]]
saved = (table["by"] == "expert alone").mean()
print(f"{saved:.0%} of the claims took nobody's time; {len(missed)} of those were not right")""",
    """engine.close()
kb.close()""",
]

NOTEBOOKS = {"search_scifact": SEARCH, "panel_consensus": PANEL, "delphi_panel": DELPHI, "expert_citations": EXPERT, "workflow_reviews": REVIEWS}


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
