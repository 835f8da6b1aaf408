"""What do many rankings say together? Methods that differ, on an election in which they do."""

from quorate import consensus

# Where shall the capital be? Each city prefers what is near (the textbook's Tennessee).
RANKINGS = [
    ["Memphis", "Nashville", "Chattanooga", "Knoxville"],
    ["Nashville", "Chattanooga", "Knoxville", "Memphis"],
    ["Chattanooga", "Knoxville", "Nashville", "Memphis"],
    ["Knoxville", "Chattanooga", "Nashville", "Memphis"],
]
VOTES = [42, 26, 15, 17]

# Points for each option that is ranked lower.
borda = consensus.borda(RANKINGS, VOTES)
print("Borda:", ", ".join(f"{option} {borda.scores[option]:.0f}" for option in borda.ranking))

# By comparisons in pairs.
print("Schulze:", " > ".join(consensus.schulze(RANKINGS, VOTES).ranking))
kemeny = consensus.kemeny(RANKINGS, VOTES)
print("Kemeny:", " > ".join(kemeny.orders[0]), "- proved to be best" if kemeny.exact else "")

# The last goes out, count by count, until somebody has more than half.
runoff = consensus.instant_runoff(RANKINGS, VOTES)
for count in runoff.rounds[:2]:
    print("out:", ", ".join(count.eliminated))
print("instant runoff:", runoff.winner)

# A strength for each option: how likely it is to be chosen from all.
strengths = consensus.plackett_luce(RANKINGS, VOTES)
print("Plackett-Luce:", " > ".join(strengths.ranking))
