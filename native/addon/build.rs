//! Tells the linker what a Node addon leaves open.
fn main() {
    napi_build::setup();
}
