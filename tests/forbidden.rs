//! What no source of the operator may do: unsafe code, and connections that are not verified. See docs/security.md.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{
    fs,
    path::{Path, PathBuf},
};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "core/src"] {
        files(&root.join(folder), &mut found);
    }
    assert!(found.len() > 100, "the sources are where they were");
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn unsafe_code_is_forbidden_in_every_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let whole = manifest("Cargo.toml");
    assert!(whole.contains("[workspace.lints.rust]\nunsafe_code = \"forbid\""));
    let members = whole.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let members = members.split('"').skip(1).step_by(2).map(|member| format!("{member}/Cargo.toml"));
    for path in members.chain(["Cargo.toml".to_owned()]) {
        assert!(manifest(&path).contains("\n[lints]\nworkspace = true"), "{path} has lints of its own");
    }
}

#[test]
fn certificates_are_always_verified() {
    for (path, text) in sources() {
        for word in [
            "accept_invalid_certs",
            "danger_accept",
            "accept_invalid_hostnames",
            "dangerous(",
            "ServerCertVerifier",
            "insecure_skip_tls_verify",
            "SslVerifyMode",
        ] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
    let (connects, others): (Vec<_>, Vec<_>) =
        sources().into_iter().partition(|(path, _)| path.ends_with("src/outbound.rs"));
    let connects = &connects[0].1;
    assert!(connects.contains(".try_with_platform_verifier()") && connects.contains(".https_only()"));
    for (path, text) in others {
        assert!(!text.contains("HttpsConnectorBuilder"), "{} connects by itself", path.display());
    }
}
