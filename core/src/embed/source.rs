//! Where on this machine does the model lie that the caller named?

use std::path::{Path, PathBuf};

use crate::{Code, Error, Result};

/// The folder of the model that `source` names: a model folder, a Python package folder that holds `model/`, or the
/// hub id of a model, from the Hugging Face cache or (with `download`) from the hub.
/// Errors: `model_not_found`, saying where was looked and what to do.
pub(crate) fn locate(source: &str, download: bool) -> Result<PathBuf> {
    let path = Path::new(source);
    if path.is_dir() {
        return [path.to_path_buf(), path.join("model")]
            .into_iter()
            .find(|folder| holds_model(folder))
            .ok_or_else(|| {
                not_found(format!(
                    "the folder '{source}' holds no model: it has neither config.json nor modules.json"
                ))
            });
    }
    if path.is_file() {
        return Err(not_found(format!("'{source}' is a file; give the folder of the model")));
    }
    if !is_hub_id(source) {
        return Err(not_found(format!("there is no folder '{source}'")));
    }
    let Some(cache) = hub_cache() else {
        return Err(not_found(format!(
            "there is no folder '{source}', and no Hugging Face cache: set HF_HOME"
        )));
    };
    // As sentence-transformers does: a bare name is looked for among its own models, too.
    let bare = (!source.contains('/')).then(|| format!("sentence-transformers/{source}"));
    let ids = [Some(source.to_string()), bare];
    let found = ids.iter().flatten().find_map(|id| Some((id, in_hub_cache(&cache, id)?)));
    if let Some((_, folder)) = &found
        && is_whole(folder)
    {
        return Ok(folder.clone());
    }
    #[cfg(feature = "hub")]
    if download && let Some(id) = found.as_ref().map(|(id, _)| *id).or(ids.iter().flatten().last()) {
        match crate::http::hub::fetch(id, &cache, &crate::Cancel::new()) {
            // What is there may do; else opening it says what it lacks.
            Err(error) if error.code() == Code::Offline && found.is_some() => {}
            fetched => return fetched,
        }
    }
    let _ = download;
    if let Some((_, folder)) = found {
        return Ok(folder);
    }
    Err(not_found(format!(
        "'{source}' is neither a folder nor a model in the Hugging Face cache at '{}'; download it once \
             (`hf download {source}`), or give the folder of a model",
        cache.display()
    )))
}

/// Whether `name` can be the id of a model on the hub: `name` or `owner/name`.
fn is_hub_id(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    name.split('/').count() <= 2 && name.split('/').all(part)
}

/// The folder of the standard cache: `HF_HUB_CACHE` or `HUGGINGFACE_HUB_CACHE`, else `hub` in `HF_HOME`, else `huggingface/hub` in
/// `XDG_CACHE_HOME` or `~/.cache`.
fn hub_cache() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("HF_HUB_CACHE")
        .or_else(|| variable("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| variable("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("huggingface/hub")))
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache/huggingface/hub")))
}

/// The snapshot of `id` that `refs/main` names; without that file, the last by name that holds a model.
fn in_hub_cache(cache: &Path, id: &str) -> Option<PathBuf> {
    let repository = cache.join(format!("models--{}", id.replace('/', "--")));
    let snapshots = repository.join("snapshots");
    if let Ok(commit) = std::fs::read_to_string(repository.join("refs/main")) {
        let commit = commit.trim();
        let plain = !commit.is_empty() && commit.chars().all(|c| c.is_ascii_alphanumeric());
        return plain.then(|| snapshots.join(commit)).filter(|folder| holds_model(folder));
    }
    let entries = std::fs::read_dir(&snapshots).ok()?;
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|folder| holds_model(folder))
        .max()
}

fn holds_model(folder: &Path) -> bool {
    folder.join("config.json").is_file() || folder.join("modules.json").is_file()
}

/// Whether a folder of the cache has the large parts of a model: another tool may have fetched its configuration alone.
fn is_whole(folder: &Path) -> bool {
    let inner = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let places: Vec<PathBuf> = std::iter::once(folder.to_path_buf()).chain(inner).collect();
    let has = |names: &[&str]| places.iter().any(|place| names.iter().any(|name| place.join(name).is_file()));
    has(&["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"])
        && has(&["tokenizer.json"])
}

fn not_found(message: String) -> Error {
    Error::new(Code::ModelNotFound, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_read_by_its_main_revision() {
        let cache = tempfile::tempdir().unwrap();
        let model = cache.path().join("models--org--name");
        for commit in ["abc1", "abc2"] {
            std::fs::create_dir_all(model.join("snapshots").join(commit)).unwrap();
            std::fs::write(model.join("snapshots").join(commit).join("config.json"), "{}").unwrap();
        }
        assert!(in_hub_cache(cache.path(), "org/name").unwrap().ends_with("snapshots/abc2"));
        std::fs::create_dir_all(model.join("refs")).unwrap();
        std::fs::write(model.join("refs/main"), "abc1\n").unwrap();
        assert!(in_hub_cache(cache.path(), "org/name").unwrap().ends_with("snapshots/abc1"));
        std::fs::write(model.join("refs/main"), "../../../../etc").unwrap();
        assert_eq!(in_hub_cache(cache.path(), "org/name"), None);
        assert_eq!(in_hub_cache(cache.path(), "org/other"), None);
    }

    #[test]
    fn what_is_not_there_is_said_to_be_missing() {
        for source in ["/no/such/folder", "./nowhere", "no-such-owner/no-such-model", "a/b/c", ""] {
            let error = locate(source, false).unwrap_err();
            assert_eq!(error.code(), Code::ModelNotFound, "{source}");
            assert!(error.message().contains(source));
        }
        let empty = tempfile::tempdir().unwrap();
        let error = locate(empty.path().to_str().unwrap(), false).unwrap_err();
        assert!(error.message().contains("config.json"), "{error}");
    }

    #[test]
    fn a_package_folder_is_searched_for_its_model() {
        let package = tempfile::tempdir().unwrap();
        std::fs::create_dir(package.path().join("model")).unwrap();
        std::fs::write(package.path().join("model/config.json"), "{}").unwrap();
        assert!(locate(package.path().to_str().unwrap(), false).unwrap().ends_with("model"));
    }
}
