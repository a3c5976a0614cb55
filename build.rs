//! Tells cargo when to embed the web page anew.
//!
//! The page is built by Vite into `ui/dist`, apart from cargo, so that the binary builds on a
//! machine without Node; `src/api/ui.rs` then serves the committed fallback page. The folder is
//! created empty when missing: cargo can watch only what exists, and would rebuild each time.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=ui/dist");
    println!("cargo:rerun-if-changed=ui/fallback/index.html");
    let dist = Path::new("ui/dist");
    if !dist.exists() {
        // A read-only source tree cannot hold the folder; the build goes on without the page.
        let _ = std::fs::create_dir_all(dist);
    }
}
