"""What does quorate do on real text? Keeps SciFact in a knowledge base, searches it and scores the rankings; then it asks an expert and
a panel, and runs a workflow.

Nothing of it needs a network or a language model: the expert answers with sentences of its sources, the raters of the panel and the person of
the workflow are scripted. With `model=` of a service or of this machine, and with people, the calls are the same.
"""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import quorate
from quorate import workflows as wf

RATERS = [
    # Who, their rating alone, how far they go to the median that they are shown, and why.
    ("nephrologist", 7, 0.0, "At an eGFR of 40 the kidney still clears it."),
    ("diabetologist", 9, 0.6, "It lowers glucose and weighs little."),
    ("pharmacist", 5, 1.0, "The dose can be halved below 45."),
    ("family doctor", 6, 0.5, "It is what the guideline says, with controls."),
    ("toxicologist", 2, 0.0, "Lactic acidosis is rare, and kills."),
]

WORKFLOW = """
apiVersion: quorate/v1
kind: Workflow
id: evidence.check
version: 1.0.0
input: {type: object, properties: {claim: {type: string}}, required: [claim]}
steps:
  evidence: {agent_task: {prompt: "${input.claim}"}}
  sure:
    needs: [evidence]
    conditional: [{when: "steps.evidence.output.confidence >= 0.95", then: {end: completed}}, {else: continue}]
  review:
    needs: [sure]
    human_review: {role: pharmacist, title: "Does this answer it?", options: [yes it does, look again], due: P2D, on_timeout: escalate}
    routes: {look again: {goto: evidence, max: 2}}
output: {claim: "${input.claim}", by: "${steps.review.output.by}", decision: "${steps.review.output.decision}"}
"""


def ask(rt: quorate.Runtime) -> None:
    for question in ("Does metformin lower blood glucose in patients with type 2 diabetes?", "Who won the football world cup in 1998?"):
        answer = rt.ask(question)
        print(f"{question}\n  {answer.agent or 'nobody in particular'}, {answer.status}, confidence {answer.confidence or 0:.2f}: {answer.text}")
        for cited in answer.citations:
            print(f"  {cited.marker} {cited.title}")


def rater(id: str, blind: int, pull: float, reason: str) -> quorate.Member:
    def rate(request: dict[str, Any]) -> str:
        alone = "Nobody has spoken yet" in request["messages"][-1]["content"]
        number = blind if alone else round(blind + pull * (6 - blind))
        return json.dumps({"number": number, "confidence": 0.8, "reasons": [{"text": reason}]})

    return quorate.Member(id, model=quorate.ScriptedModel(rate, id=f"scripted:{id}"))


def deliberate(rt: quorate.Runtime) -> None:
    members = [rater(*one) for one in RATERS]
    panel = rt.panel("How appropriate is metformin at an eGFR of 40, from 1 to 9?", type="delphi", members=members)
    for one in panel.rounds:
        said = {ballot.member: ballot.position for ballot in panel.ballots if ballot.round == one.round}
        print(f"  round {one.round}: " + ", ".join(f"{member} {rating:g}" for member, rating in said.items()))
    assert panel.score is not None
    print(f"  decided: {panel.score.decision}, {panel.score.level} consensus; it ended by {panel.stopped_by}")
    for group in panel.minority:
        for ballot in group.ballots:
            print(f"  not of that opinion: {ballot.member}, {ballot.position:g}: {ballot.reasons[0].text}")


def work(rt: quorate.Runtime) -> None:
    with wf.Engine(quorate.StateStore(), runtime=rt) as engine:
        engine.add(WORKFLOW)
        run = engine.start("evidence.check", {"claim": "Metformin lowers the risk of cancer in type 2 diabetes."}, starter="demo")
        print(f"  {run.wait(30, until='waiting')} for {engine.reviews()[0].role}: {engine.reviews()[0].title}")
        engine.reviews(role="pharmacist")[0].claim("ann").decide("yes it does", by="ann", comment="read what it cites")
        print(f"  {run.wait(30)}: {run.result()}")
        for entry in run.journal():
            print(f"  {entry['seq']:>3}  {entry['type']:<16} {entry['data'].get('step', '')}")


def main() -> None:
    scifact = quorate.load_beir(Path(os.environ.get("QUORATE_DATA", "data")) / "scifact")
    with tempfile.TemporaryDirectory() as folder, quorate.open(folder) as kb:
        start = time.perf_counter()
        report = kb.add(scifact.corpus)
        print(f"{report.added} abstracts stored in {time.perf_counter() - start:.2f} s\n")

        for claim in ("Metformin lowers blood glucose in type 2 diabetes.", "Smoking raises the risk of lung cancer."):
            print(claim)
            for hit in kb.search(claim, k=3, group_by="doc"):
                print(f"  {hit.score:.3f}  {hit.title}")
            print()

        claims = list(scifact.queries.values())
        for mode in ("hybrid", "dense", "lexical"):
            start = time.perf_counter()
            found = kb.search_batch(claims, k=100, mode=mode, group_by="doc")
            took = time.perf_counter() - start
            run = {
                query: {hit.doc_id: hit.score for hit in hits}
                for query, hits in zip(scifact.queries, found, strict=True)
            }
            scores = quorate.evaluate(run, scifact.qrels, ["ndcg@10", "recall@100", "mrr@10"])
            told = "  ".join(f"{metric} {value:.4f}" for metric, value in scores.items())
            print(f"{mode:<8} {len(claims)} claims in {took:.2f} s  {told}")

        rt = quorate.Runtime(kb=kb, registry=quorate.AgentRegistry())
        print("\nAsk an expert")
        ask(rt)
        print("\nAsk a panel")
        deliberate(rt)
        print("\nRun a workflow")
        work(rt)


if __name__ == "__main__":
    main()
