//! Sections of the documentation that say what the code says.

use std::{fs, path::Path};

/// Set to write the sections instead of comparing them.
const WRITE: &str = "RIBSTREAM_WRITE_DOCS";

/// Compares what stands between `<!-- begin name -->` and `<!-- end name -->` in a page of
/// `docs/` with what the code says.
///
/// # Panics
/// They differ, or the page has no such section.
pub fn check_section(page: &str, name: &str, said: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let parts =
        text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?)));
    let Some((before, (section, after))) = parts else { panic!("{page} has no section {name}") };
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, format!("{before}{begin}{said}{end}{after}"))
            .unwrap_or_else(|error| panic!("{page}: {error}"));
        return;
    }
    assert_eq!(section, said, "run this test with {WRITE}=1 and look at what it wrote");
}
