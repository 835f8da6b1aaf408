//! How is a knowledge base made?

use quorate::rag::{KnowledgeBase, Language, ModelSource};
use quorate::{Error, Result};
use serde_json::json;

use crate::args::Init;
use crate::console::Console;
use crate::failure::Failure;
use crate::place::{Place, Settings, check_catalog};

pub(crate) fn run(given: Init, place: &Place, console: &mut Console) -> Result<(), Failure> {
    let language = given.language.as_deref().map(language).transpose()?;
    let before = place.exists();
    let settings = match given.catalog {
        Some(catalog) => {
            check_catalog(&catalog)?;
            let ships = matches!(catalog.as_str(), "none" | "healthcare" | "service");
            let absolute = || std::path::absolute(&catalog).map_err(|e| Error::io(&catalog, e));
            let catalog = if ships { catalog } else { absolute()?.display().to_string() };
            Some(Settings { catalog })
        }
        None => None,
    };
    let mut options = place.options(None);
    options.language = language;
    options.model = given.embedder.map(ModelSource::new);
    let kb = KnowledgeBase::open(place.name(), options)?;
    if let Some(settings) = &settings {
        place.keep(settings)?;
    }
    let stats = kb.stats()?;
    kb.close()?;
    let catalog = place.settings()?.catalog;
    if console.is_json() {
        let mut out = json!(stats);
        out["place"] = json!(place.name());
        out["created"] = json!(!before);
        out["catalog"] = json!(catalog);
        return console.document(&out);
    }
    let what = if before { "The knowledge base is there already" } else { "Made a knowledge base" };
    console.say(&format!("{what} in {}.", crate::text::line(place.name())))?;
    console.say(&format!(
        "Embedder {}, experts {}.",
        crate::text::line(&stats.embedder),
        crate::text::line(&catalog)
    ))?;
    if stats.documents == 0 {
        console.note("Next: quorate add FILES");
    }
    Ok(())
}

fn language(name: &str) -> Result<Language> {
    serde_json::from_value(json!(name.to_lowercase()))
        .map_err(|e| Error::invalid(format!("--language '{}': {e}", quorate::core::shorten(name))))
}
