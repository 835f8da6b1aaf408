"""Which few experts cover a question together? Not the best ones alike, but those that complement each other."""

import quorate

QUESTION = (
    "Our AI reads single-lead ECGs on a phone: is a 510(k) the right route to market, how is the accuracy study powered, "
    "and will Medicare pay for it?"
)

with quorate.AgentRegistry() as registry:
    # `diversity` is what counts beside relevance, 0 to 1.
    for diversity in (0.0, 0.5):
        panel = registry.select_panel(QUESTION, size=4, diversity=diversity)
        fields = {member.agent.domain.split("/")[0] for member in panel.members}
        print(f"diversity {diversity}: {len(panel.members)} members of {', '.join(sorted(fields))}")

    # Capabilities that the panel must have among its members.
    required = ["regulatory.fda", "reimbursement"]
    panel = registry.select_panel(QUESTION, size=4, require=required)
    for capability in required:
        able = [member for member in panel.members if member.agent.has_capability(capability)]
        print(f"{capability}: {'covered' if able else 'missing'}")

    # A panel explains itself: what each member adds, and which parts of the question are covered.
    for member in panel.members[:2]:
        print(f"{member.agent.name} adds {member.gain:.2f}")
    print(f"value: {panel.coverage.value:.2f} of 1")
