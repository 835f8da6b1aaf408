"""Who should answer, what do they decide together, and who disagrees?

A question picks a panel from the healthcare catalogue; the members' ballots, which are given here, are scored; the
minority is heard with its reasons.
"""

import quorate
from quorate import consensus

QUESTION = (
    "Our AI reads single-lead ECGs on a phone: is a 510(k) the right route to market, how is the accuracy study powered, "
    "and will Medicare pay for it?"
)
OPTIONS = ["510(k)", "De Novo", "more evidence first"]

# What an expert would say: the field of work, the choice, how sure, and why. An agent would answer this itself; the
# fields are matched from the most specific on.
OPINIONS = [
    ("regulatory/us/devices", "510(k)", 0.9, "cleared ECG software serves as a predicate for the same intended use"),
    ("digital/software", "510(k)", 0.8, "rhythm analysis is a device function with an existing product code"),
    ("digital/ai", "510(k)", 0.7, "a change control plan can go into the same submission"),
    ("regulatory", "510(k)", 0.85, "the shortest route for which a comparable device exists"),
    ("medical", "510(k)", 0.75, "cardiologists already rely on comparable single-lead recordings"),
    ("reimbursement", "more evidence first", 0.8, "clearance alone opens no coverage; payers will ask for outcomes"),
    ("clinical", "more evidence first", 0.7, "accuracy in people with pacemakers and tremor has not been shown"),
    ("quality", "510(k)", 0.6, "the software life cycle records would support a submission now"),
    ("", "510(k)", 0.5, "no objection from this field"),
]


def main() -> None:
    registry = quorate.AgentRegistry()
    print(f"{len(registry)} experts in the catalogue\n\n{QUESTION}\n")

    panel = registry.select_panel(QUESTION, size=7)
    print("The panel")
    for member in panel.members:
        print(f"  {member.agent.name:<46} {member.agent.domain:<26} +{member.gain:.3f}")
    covered = panel.coverage
    print(
        f"  relevance {covered.relevance:.2f}, parts of the question {covered.facets:.2f}, "
        f"capabilities {covered.capabilities:.2f}, fields {covered.diversity:.2f}\n"
    )

    ballots = []
    for member in panel.members:
        domain = member.agent.domain
        _, choice, confidence, reason = next(one for one in OPINIONS if domain.startswith(one[0]))
        ballots.append(consensus.Ballot(member.agent.name, choice, confidence=confidence, rationale=reason))
    score = consensus.score_panel(ballots, options=OPTIONS)
    print(f"The decision: {score.decision or 'a tie of ' + ' and '.join(score.tied)}")
    holders = sum(len(faction.members) for faction in score.minority.leading)
    print(
        f"  {score.level} consensus: {holders} of {score.voters} hold it ({100 * score.support:.0f} %), "
        f"confidence {score.confidence:.2f}"
    )
    if score.agreement.value is not None:
        print(f"  agreement beyond chance: {score.agreement.value:.2f} ({score.agreement.coefficient})")
    for faction in score.minority.minorities:
        print(f"\nThe minority, {100 * faction.share:.0f} %: {faction.position}")
        for one in faction.members:
            print(f"  {one['voter']} ({one['confidence']:.1f}): {one['rationale'] or 'no reason given'}")

    aside = "What is the weather tomorrow?"
    known = len(registry.match(aside, abstain=True))
    print(f"\n{aside}\n  {known} experts: nobody here is asked what nobody here knows")


if __name__ == "__main__":
    main()
