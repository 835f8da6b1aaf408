"""What is true, when raters of unknown skill disagree? The majority, and who is right how often."""

from quorate import consensus

# Four raters of eight cases. Three are mostly right; the last one says the opposite of what is true.
ANSWERS = {
    "ann": ["yes", "no", "yes", "no", "yes", "no", "yes", "no"],
    "bob": ["yes", "no", "yes", "no", "yes", "no", "no", "no"],
    "cid": ["yes", "no", "yes", "yes", "yes", "no", "yes", "no"],
    "eve": ["no", "yes", "no", "yes", "no", "yes", "no", "yes"],
}
rows = [(f"case {i}", rater, answer) for rater, answers in ANSWERS.items() for i, answer in enumerate(answers)]
items, raters, values = zip(*rows)

# Three columns: item, rater, value. Each vote counts the same.
majority = consensus.majority_vote(items, raters, values)
print("majority:", *majority.labels.values())

# Dawid and Skene (1979): how each rater confuses the answers is estimated together with the truth. A rater who is
# always wrong is as informative as one who is always right.
truth = consensus.dawid_skene(items, raters, values)
print("inferred:", *truth.labels.values())
for rater, skill in truth.skills.items():
    print(f"{rater} is right with probability {skill:.3f}")

# What is known for sure can be said: `gold`.
known = consensus.dawid_skene(items, raters, values, gold={"case 6": "no"})
print("with a known case:", known.labels["case 6"])
