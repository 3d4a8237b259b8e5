//! The documentation says what is excepted.

use std::{fs, path::Path, process::Command};

/// Set to write the list into the documentation instead of comparing it.
const WRITE: &str = "RIBSTREAM_WRITE_DOCS";

#[test]
fn what_routers_are_known_to_get_wrong_is_what_the_command_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interop.md");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- begin known -->\n", "<!-- end known -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (section, after) = rest.split_once(end).unwrap();
    let said = Command::new(env!("CARGO_BIN_EXE_ribstream-interop")).arg("known").output().unwrap();
    let known = String::from_utf8(said.stdout).unwrap();
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, format!("{before}{begin}{known}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(section, known, "run this test with {WRITE}=1 and look at what it wrote");
}
