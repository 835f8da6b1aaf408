//! Can the linker fold functions whose code is the same? The library is then smaller by a tenth.
#![allow(clippy::print_stdout)] // this is how a build script speaks to cargo

use std::env::{self, VarError};
use std::path::Path;
use std::process::{Command, Stdio};

/// LLD, mold and gold know it. Rust compares no addresses of functions.
const FOLD: &str = "-Clink-arg=-Wl,--icf=all";

fn main() -> Result<(), VarError> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    if env::var("CARGO_CFG_TARGET_OS")? == "linux" && links(FOLD)? {
        println!("cargo::rustc-cdylib-link-arg=-Wl,--icf=all");
    }
    Ok(())
}

/// Whether an empty library links with this flag, by the linker that will link ours.
fn links(flag: &str) -> Result<bool, VarError> {
    let folder = env::var("OUT_DIR")?;
    let source = Path::new(&folder).join("empty.rs");
    if std::fs::write(&source, "").is_err() {
        return Ok(false);
    }
    let mut rustc = Command::new(env::var("RUSTC")?);
    rustc.args(["--crate-type=cdylib", "--target", &env::var("TARGET")?, "--out-dir", &folder, flag]);
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty())).arg(source);
    Ok(rustc.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()))
}
