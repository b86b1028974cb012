//! Tells the linker and the bundler what Tauri's configuration says. No command of ours can be called from a page.

fn main() {
    println!("cargo::rerun-if-changed=../icons");
    tauri_build::build();
}
