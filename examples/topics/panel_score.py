"""What does a panel decide, how firmly, and who differs?"""

from quorate import consensus
from quorate.consensus import Ballot

BALLOTS = [
    Ballot("Ann", "510(k)", confidence=0.9, rationale="a predicate exists"),
    Ballot("Bob", "510(k)", confidence=0.8),
    Ballot("Cid", "510(k)", confidence=0.7),
    Ballot("Eve", "De Novo", confidence=0.6, rationale="the predicate reads twelve leads"),
    # A vote may count more than others.
    Ballot("Fay", "510(k)", confidence=0.5, weight=2),
]

# `options` names all that could be chosen: what nobody chose counts when chance is reckoned.
score = consensus.score_panel(BALLOTS, options=["510(k)", "De Novo", "PMA"])
print(f"decision: {score.decision}, {score.level}, held by {100 * score.support:.0f} % of the weight")
print(f"confidence: {score.confidence:.3f}")
print(f"agreement beyond chance: {score.agreement.value:.3f}")

# Nobody is lost: every faction with its members and their reasons.
for faction in score.minority.minorities:
    member = faction.members[0]
    print(f"minority: {faction.position}, {member.voter}: {member.rationale}")

# Positions may be numbers, probabilities, rankings or vectors too. Ties are told, not broken.
dose = consensus.score_panel({"Ann": 5.0, "Bob": 5.5, "Cid": 10.0}, scale=(0.0, 20.0))
print("dose:", dose.decision)
print("tied:", *consensus.score_panel({"Ann": "yes", "Bob": "no"}).tied)
