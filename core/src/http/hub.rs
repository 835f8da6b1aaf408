//! How is a model fetched from the Hugging Face hub?
//!
//! Files land in the standard cache layout (`models--OWNER--NAME/{refs,blobs,snapshots}`), so that other tools find
//! them. A file is written beside its place, resumed where it broke off, checked against the hub's checksum (SHA-256)
//! or size, and moved into place whole. Of several that want one model at once (threads or processes), one downloads while the
//! others wait for it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs4::fs_std::FileExt;
use reqwest::StatusCode;
use reqwest::header::RANGE;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Secret;
use super::service::{Failure, Http};
use crate::{Cancel, Code, Error, Result, runtime};

const ENDPOINT: &str = "https://huggingface.co";

/// Time for one file, all tries included.
const TIMEOUT: Duration = Duration::from_secs(4 * 3600);

/// How often it is looked whether another download of the same model has ended.
const TURN: Duration = Duration::from_millis(100);

/// Files of a model folder that loading reads.
const WANTED: [&str; 11] = [
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "vocab.txt",
];

/// Downloads what loading needs of model `id` into the hub cache and returns the snapshot's folder. The endpoint is
/// `HF_ENDPOINT` or the public hub; `HF_TOKEN` is sent when set; `HF_HUB_OFFLINE=1` forbids the network.
/// Errors: `offline`, `not_found`, `remote_failed`, `remote_invalid`, `corrupt`, `timeout`, `cancelled`, `io`.
pub(crate) fn fetch(id: &str, cache: &Path, cancel: &Cancel) -> Result<PathBuf> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if variable("HF_HUB_OFFLINE").is_some_and(|value| value != "0") {
        let message = format!("model '{id}' is not in the cache, and HF_HUB_OFFLINE forbids to download it");
        return Err(Error::new(Code::Offline, message));
    }
    let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.into());
    let http = Http::new(variable("HF_TOKEN").map(Secret::new), TIMEOUT, 3, Duration::from_millis(300))?;
    let hub = Hub { http, base: endpoint.trim_end_matches('/').to_owned(), id };
    let folder = cache.join(format!("models--{}", id.replace('/', "--")));
    runtime::block_on(hub.fetch(&folder, cancel)).map_err(|e| {
        e.context(format_args!("download of model '{id}' (or give the folder of a model you have)"))
    })
}

struct Hub<'a> {
    http: Http,
    base: String,
    id: &'a str,
}

#[derive(Deserialize)]
struct Model {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
}

impl Hub<'_> {
    async fn fetch(&self, folder: &Path, cancel: &Cancel) -> Result<PathBuf> {
        let url = format!("{}/api/models/{}/revision/main?blobs=true", self.base, self.id);
        let get = || async {
            let request = self.http.authorized(self.http.client()?.get(&url))?;
            let answer = request.send().await.map_err(|e| self.http.lost(&url, e))?;
            self.http.read(&url, self.http.accepted(&url, answer).await?).await
        };
        let answer = self.http.tries(cancel, get).await?;
        let model: Model = serde_json::from_slice(&answer)
            .map_err(|e| Error::with_source(Code::RemoteInvalid, format!("{url}: {e}"), e))?;
        if model.sha.is_empty() || !model.sha.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(Error::new(Code::RemoteInvalid, format!("{url}: '{}' is no revision", model.sha)));
        }
        let snapshots = folder.join("snapshots");
        make_dir(&snapshots)?;
        let _turn = turn(&folder.join("download.lock"), cancel).await?;
        let snapshot = snapshots.join(&model.sha);
        // Files gather beside the snapshots, so that a snapshot is there whole or not at all; one that another tool has begun
        // gets what it lacks.
        let begun = snapshot.exists();
        let place = if begun { snapshot.clone() } else { folder.join(format!("incomplete-{}", model.sha)) };
        let safe = model.siblings.iter().any(|file| file.rfilename.starts_with("model.safetensors"));
        for file in model.siblings.iter().filter(|file| wanted(&file.rfilename, safe)) {
            self.file(&model.sha, file, folder, &place, cancel).await?;
        }
        if !begun {
            fs::rename(&place, &snapshot).map_err(|e| Error::io(&snapshot, e))?;
        }
        self.named(folder, snapshot)
    }

    /// Notes that `snapshot` is the newest.
    fn named(&self, folder: &Path, snapshot: PathBuf) -> Result<PathBuf> {
        let refs = folder.join("refs");
        make_dir(&refs)?;
        let sha = snapshot.file_name().unwrap_or_default();
        write_whole(&refs.join("main"), sha.as_encoded_bytes())?;
        Ok(snapshot)
    }

    async fn file(
        &self,
        sha: &str,
        file: &Sibling,
        folder: &Path,
        place: &Path,
        cancel: &Cancel,
    ) -> Result<()> {
        let target = place.join(&file.rfilename);
        if target.exists() {
            return Ok(());
        }
        let blobs = folder.join("blobs");
        make_dir(&blobs)?;
        let name = file
            .lfs
            .as_ref()
            .map_or_else(|| format!("{sha}-{}", file.rfilename.replace('/', "--")), |lfs| lfs.sha256.clone());
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
            return Err(Error::new(
                Code::RemoteInvalid,
                format!("the hub names a file '{}'", file.rfilename),
            ));
        }
        let blob = blobs.join(&name);
        if !blob.exists() {
            let part = blobs.join(format!("{name}.incomplete"));
            let url = format!("{}/{}/resolve/{sha}/{}", self.base, self.id, file.rfilename);
            self.http.tries(cancel, || self.part(&url, &part, cancel)).await?;
            if let Err(error) = check(&part, file) {
                // A damaged part must not be resumed.
                let _ = fs::remove_file(&part);
                return Err(error);
            }
            fs::rename(&part, &blob).map_err(|e| Error::io(&blob, e))?;
        }
        if let Some(parent) = target.parent() {
            make_dir(parent)?;
        }
        fs::hard_link(&blob, &target)
            .or_else(|_| fs::copy(&blob, &target).map(|_| ()))
            .map_err(|e| Error::io(&target, e))
    }

    /// Appends what is missing of a file to `part`.
    async fn part(&self, url: &str, part: &Path, cancel: &Cancel) -> Result<(), Failure> {
        let io = |e| Failure::lasting(Error::io(part, e));
        let have = fs::metadata(part).map(|meta| meta.len()).unwrap_or(0);
        let mut request = self.http.authorized(self.http.client()?.get(url))?;
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
        }
        let answer = request.send().await.map_err(|e| self.http.lost(url, e))?;
        if have > 0 && answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            // Nothing is missing, or the part is longer than the file; the checksum tells.
            return Ok(());
        }
        let mut answer = self.http.accepted(url, answer).await?;
        let resumed = answer.status() == StatusCode::PARTIAL_CONTENT;
        let mut file = OpenOptions::new()
            .create(true)
            .append(resumed)
            .write(true)
            .truncate(!resumed)
            .open(part)
            .map_err(io)?;
        while let Some(bytes) = answer.chunk().await.map_err(|e| self.http.lost(url, e))? {
            cancel.check().map_err(Failure::lasting)?;
            file.write_all(&bytes).map_err(io)?;
        }
        file.sync_all().map_err(io)
    }
}

/// The right to download into one folder, given back when the file is dropped. Errors: `cancelled`, `io`.
async fn turn(path: &Path, cancel: &Cancel) -> Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|e| Error::io(path, e))?;
    while !file.try_lock_exclusive().map_err(|e| Error::io(path, e))? {
        cancel.check()?;
        tokio::time::sleep(TURN).await;
    }
    Ok(file)
}

fn wanted(name: &str, safe: bool) -> bool {
    let plain = !name.split('/').any(|part| part.is_empty() || part == ".." || part == ".");
    let module = name.split_once('/').is_some_and(|(folder, file)| {
        folder.starts_with(|c: char| c.is_ascii_digit())
            && matches!(file, "config.json" | "model.safetensors" | "pytorch_model.bin")
    });
    let shard = name.starts_with("model-") && name.ends_with(".safetensors") && !name.contains('/');
    plain && (WANTED.contains(&name) || module || shard) && !(safe && name == "pytorch_model.bin")
}

fn check(part: &Path, file: &Sibling) -> Result<()> {
    let size = fs::metadata(part).map_err(|e| Error::io(part, e))?.len();
    if let Some(want) = file.size.filter(|&want| want != size) {
        let message = format!("'{}' came with {size} bytes, the hub says {want}", file.rfilename);
        return Err(Error::new(Code::Corrupt, message));
    }
    let Some(lfs) = &file.lfs else { return Ok(()) };
    let mut reader = File::open(part).map_err(|e| Error::io(part, e))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer).map_err(|e| Error::io(part, e))? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    let got: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if got != lfs.sha256 {
        let message = format!("'{}' has the checksum {got}, the hub says {}", file.rfilename, lfs.sha256);
        return Err(Error::new(Code::Corrupt, message));
    }
    Ok(())
}

fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| Error::io(path, e))
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = path.with_extension("incomplete");
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, path)).map_err(|e| Error::io(path, e))
}
