//! How do the documents of several customers stay apart in one knowledge base?

use std::error::Error;
use std::io::Write;

use quorate::rag::{Document, KnowledgeBase, OpenOptions, SearchOptions};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;

    // A tenant is there when something is written for it. An id is unique within its tenant.
    let (acme, zenith) = (kb.tenant("acme")?, kb.tenant("zenith")?);
    acme.add(vec![Document::new("plan", "Acme launches a glucose meter in May.")])?;
    zenith.add(vec![Document::new("plan", "Zenith buys a maker of glucose meters.")])?;
    writeln!(out, "tenants: {}", kb.tenants()?.join(" "))?;

    // A tenant's handle sees and writes nothing else, whatever it is asked for; hand it to the code that serves the customer.
    for handle in [&acme, &zenith] {
        let hits = handle.search("glucose meter", &SearchOptions::default())?;
        let texts: Vec<&str> = hits.iter().map(|hit| hit.text()).collect();
        writeln!(out, "{} finds: {}", handle.tenant_name().unwrap_or("nobody"), texts.join(" "))?;
    }
    writeln!(out, "without a tenant: {} documents", kb.count(None)?)?;

    // It cannot become another's.
    if let Err(error) = acme.tenant("zenith") {
        writeln!(out, "refused: {}", error.code().as_str())?;
    }

    // Removing a tenant removes all its versions from the disk too.
    kb.drop_tenant("acme")?;
    writeln!(out, "left: {}", kb.tenants()?.join(" "))?;
    Ok(())
}
