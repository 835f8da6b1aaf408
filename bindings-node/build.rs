//! Which linker flags does a Node addon need, and where are its TypeScript declarations put?

fn main() {
    napi_build::setup();
    // The macros of napi-derive write what they see of types there; `scripts/build.mjs` makes native.d.ts of it.
    if let Ok(folder) = std::env::var("OUT_DIR") {
        println!("cargo:rustc-env=NAPI_TYPE_DEF_TMP_FOLDER={folder}");
    }
}
