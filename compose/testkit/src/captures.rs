//! Real routers' BMP streams, and what is known to be in them.
//!
//! Small captures are in the repository (`collector/tests/data`). Large ones are not: they
//! are looked for where `RIBSTREAM_CAPTURES` says, else in `../shared/data` beside the
//! checkout, and a test that needs one that is not there says so and passes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Long-distance matching of the large captures needs 27; 31 is the most that zstd has.
const WINDOW_LOG_MAX: u32 = 31;

/// Where captures are.
fn directories() -> [PathBuf; 2] {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let elsewhere = std::env::var_os("RIBSTREAM_CAPTURES")
        .map_or_else(|| repository.join("../shared/data"), PathBuf::from);
    [repository.join("collector/tests/data"), elsewhere]
}

/// A file of the captures by its whole name, such as `frr10-unicast.cli.tar.zst`.
#[must_use]
pub fn path(file: &str) -> Option<PathBuf> {
    directories().map(|directory| directory.join(file)).into_iter().find(|path| path.is_file())
}

/// The captures that have a file of this suffix, such as `.cli.tar.zst`; none, and a line that
/// says so, where there is no such capture.
#[must_use]
pub fn names(suffix: &str) -> BTreeSet<String> {
    let files = directories().into_iter().filter_map(|directory| directory.read_dir().ok());
    let files = files.flatten().flatten().filter_map(|file| file.file_name().into_string().ok());
    let names: BTreeSet<String> =
        files.filter_map(|file| Some(file.strip_suffix(suffix)?.to_owned())).collect();
    if names.is_empty() {
        println!("skipped: no capture has a {suffix}");
    }
    names
}

/// The content of a file of the captures, decompressed where its name ends in `.zst`; none,
/// and a line that says so, where it is not there.
///
/// # Panics
///
/// Where it is there and cannot be read: that is no test to skip.
#[must_use]
pub fn read(file: &str) -> Option<Vec<u8>> {
    let Some(path) = path(file) else {
        println!("skipped: capture {file} not found");
        return None;
    };
    match load(&path) {
        Ok(content) => Some(content),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn load(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut file = File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "zst") {
        let mut decoder = zstd::Decoder::new(file)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        decoder.read_to_end(&mut content)?;
    } else {
        file.read_to_end(&mut content)?;
    }
    Ok(content)
}

/// The BMP stream of a capture, exactly as its router sent it, such as of `frr10-unicast`.
#[must_use]
pub fn capture(name: &str) -> Option<Vec<u8>> {
    read(&format!("{name}.bmp.zst"))
}

/// What an independent counter found in a capture: messages by type, and by peer, view and
/// family what was announced and withdrawn.
///
/// # Panics
///
/// Where it is there and is no JSON.
#[must_use]
pub fn stats(name: &str) -> Option<serde_json::Value> {
    let content = read(&format!("{name}.stats.json"))?;
    match serde_json::from_slice(&content) {
        Ok(stats) => Some(stats),
        Err(error) => panic!("{name}.stats.json: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{capture, names, stats};

    #[test]
    fn a_capture_of_the_repository_is_whole() {
        for (name, octets) in
            [("frr10-unicast", 192_111), ("frr10-mirror", 44_519), ("gobgp336-multi", 269_336)]
        {
            assert_eq!(capture(name).expect("it is in the repository").len(), octets, "{name}");
            assert!(stats(name).expect("it is in the repository").is_object(), "{name}");
        }
    }

    #[test]
    fn captures_are_found_by_what_they_have() {
        assert!(names(".bmp.zst").contains("frr10-unicast"));
        assert!(names(".no-such-file").is_empty());
    }

    #[test]
    fn a_capture_that_is_not_there_is_skipped() {
        assert_eq!(capture("no-such-router"), None);
    }
}
