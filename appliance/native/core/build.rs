//! Finds Debian's `libhs.so` (package libvectorscan-dev) for the `vectorscan` feature.
//!
//! The shared library, because Debian's static one is compiled as position-independent *executable* code: the linker refuses it
//! in a Python extension module. A folder that has only `libhs.a` (a build of one's own with -fPIC) is linked statically.
//!
//! `VEDETTE_LIBHS_DIR` names a folder to use instead of searching. Without the library the build stops with the package's
//! name, because a sensor without it would be several times slower and nobody would be told.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=VEDETTE_LIBHS_DIR");
    if std::env::var_os("CARGO_FEATURE_VECTORSCAN").is_none() {
        return;
    }
    let Some(folder) = folder_of_libhs() else {
        println!(
            "cargo::error=neither libhs.so nor libhs.a was found under /usr/lib or /usr/local/lib; install libvectorscan-dev, set \
             VEDETTE_LIBHS_DIR, or build with --no-default-features"
        );
        return;
    };
    println!("cargo:rerun-if-changed={}", folder.join("libhs.so").display());
    println!("cargo:rustc-link-search=native={}", folder.display());
    if folder.join("libhs.so").is_file() {
        println!("cargo:rustc-link-lib=dylib=hs");
        return;
    }
    println!("cargo:rustc-link-lib=static=hs");
    println!("cargo:rustc-link-lib=dylib=stdc++");
    println!("cargo:rustc-link-lib=dylib=m");
}

/// The multiarch folder of the target (`/usr/lib/<arch>-linux-gnu`), then the plain library folders.
fn folder_of_libhs() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("VEDETTE_LIBHS_DIR") {
        return Some(PathBuf::from(folder));
    }
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    [format!("/usr/lib/{arch}-linux-gnu"), "/usr/local/lib".into(), "/usr/lib64".into(), "/usr/lib".into()]
        .iter()
        .map(|folder| Path::new(folder).to_path_buf())
        .find(|folder| folder.join("libhs.so").is_file() || folder.join("libhs.a").is_file())
}
