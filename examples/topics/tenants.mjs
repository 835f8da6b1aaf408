// How do the documents of several customers stay apart in one knowledge base?

import { QuorateError, open } from 'quorate';

const kb = await open(null);

// A tenant is there when something is written for it. An id is unique within its tenant.
const acme = await kb.tenant('acme');
const zenith = await kb.tenant('zenith');
await acme.add([{ id: 'plan', text: 'Acme launches a glucose meter in May.' }]);
await zenith.add([{ id: 'plan', text: 'Zenith buys a maker of glucose meters.' }]);
console.log('tenants:', ...(await kb.tenants()));

// A tenant's handle sees and writes nothing else, whatever it is asked for; hand it to the code that serves the customer.
for (const handle of [acme, zenith]) {
  const hits = await handle.search('glucose meter');
  console.log(`${handle.tenantName} finds: ${hits.map((hit) => hit.text).join(' ')}`);
}
console.log(`without a tenant: ${await kb.count()} documents`);

// It cannot become another's.
try {
  await acme.tenant('zenith');
} catch (error) {
  if (!(error instanceof QuorateError)) throw error;
  console.log('refused:', error.code);
}

// Removing a tenant removes all its versions from the disk too.
await kb.dropTenant('acme');
console.log('left:', ...(await kb.tenants()));
await kb.close();
