//! What can the linker do so that the library is small, and packs well into a wheel?
//!
//! LLD, the linker of Rust's own tools on x86-64 Linux, folds functions of the same code and puts similar ones beside each
//! other. Other linkers are left alone, and so is macOS, whose linker needs no telling.
#![allow(clippy::print_stdout)] // this is how a build script speaks to cargo

use std::env::{self, VarError};
use std::path::Path;
use std::process::{Command, Stdio};

/// One function for all of the same code: a twentieth of the library. Nothing here compares addresses of functions.
const FOLD: &str = "-Wl,--icf=all";

/// Similar sections beside each other: a sixth of the wheel. It takes the linker a minute, so that builds for tests do without.
const SORT: &str = "-Wl,--bp-compression-sort=both";

/// maturin sets it where it builds a wheel.
const WHEEL: &str = "PYO3_BUILD_EXTENSION_MODULE";

fn main() -> Result<(), VarError> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    println!("cargo::rerun-if-env-changed={WHEEL}");
    if env::var("CARGO_CFG_TARGET_OS")? != "linux" {
        return Ok(());
    }
    for flag in [Some(FOLD), env::var_os(WHEEL).map(|_| SORT)].into_iter().flatten() {
        if links(flag)? {
            println!("cargo::rustc-link-arg-cdylib={flag}");
        }
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
    rustc.args(["--crate-type=cdylib", "--target", &env::var("TARGET")?, "--out-dir", &folder]);
    rustc.arg(format!("-Clink-arg={flag}"));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty())).arg(source);
    Ok(rustc.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()))
}
