"""How do the documents of several customers stay apart in one knowledge base?"""

import quorate

with quorate.open(None) as kb:
    # A tenant is there when something is written for it. An id is unique within its tenant.
    acme, zenith = kb.tenant("acme"), kb.tenant("zenith")
    acme.add([{"id": "plan", "text": "Acme launches a glucose meter in May."}])
    zenith.add([{"id": "plan", "text": "Zenith buys a maker of glucose meters."}])
    print("tenants:", *kb.tenants())

    # A tenant's handle sees and writes nothing else, whatever it is asked for; hand it to the code that serves the customer.
    for handle in (acme, zenith):
        texts = [hit.text for hit in handle.search("glucose meter")]
        print(f"{handle.tenant_name} finds: {' '.join(texts)}")
    print(f"without a tenant: {kb.count()} documents")

    # It cannot become another's.
    try:
        acme.tenant("zenith")
    except quorate.QuorateError as error:
        print("refused:", error.code)

    # Removing a tenant removes all its versions from the disk too.
    kb.drop_tenant("acme")
    print("left:", *kb.tenants())
