//! Which linker flags does a Node addon need?

fn main() {
    napi_build::setup();
}
