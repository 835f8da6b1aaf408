"""Who should answer a question? Agents that are described by what they can do, and found by it."""

import quorate

# The healthcare catalogue ships with the package; `catalog=None` begins with nobody, and a `path` keeps a registry in a file.
with quorate.AgentRegistry() as registry:
    question = "Is a 510(k) needed for our ECG app?"
    best = registry.match(question, k=3)[0]
    print(f"best: {best.agent.name} ({best.agent.domain})")

    # Conditions: a capability that the agent must have, a filter on its fields, the most that a call may cost.
    matches = registry.match(question, k=3, require=["reimbursement"], where="latency = 'interactive'", max_cost=0.1)
    print(f"{len(matches)} within reimbursement; the best of them: {matches[0].agent.domain.split('/')[0]}")

    # With `abstain` nobody is named when nobody is likely to be right.
    print("for the weather:", len(registry.match("What is the weather tomorrow?", abstain=True)))

    # One's own agents stand beside the others.
    registry.add({
        "id": "bees",
        "name": "Beekeeper",
        "summary": "Knows honeybees: swarms, hives, queens, honey and the diseases of bees.",
        "skills": [{"id": "hives", "examples": ["Why has my hive lost its queen?", "When do bees swarm?"]}],
    })
    match = registry.match("Our bees leave the hive with their queen; what now?", k=1)[0]
    print(f"for bees: {match.agent.name}, {'surely' if match.confidence > 0.5 else 'perhaps'}")

    # A registry learns: 1 for a good answer, 0 for a useless one. Questions like this one profit.
    registry.record_outcome("bees", "When do bees swarm?", 1.0)
    print("outcomes:", registry.match("When do bees swarm?", k=1)[0].explain().outcomes)
