//! The documentation says what the command does.

use std::{fs, path::Path};

use ribstream_ingester::config::Cli;
use ribstream_runtime::config;

/// Set to write the reference into the documentation instead of comparing it.
const WRITE: &str = "RIBSTREAM_WRITE_DOCS";

#[test]
fn the_configuration_reference_is_what_help_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- begin ribstream-ingester -->\n", "<!-- end ribstream-ingester -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (section, after) = rest.split_once(end).unwrap();
    let reference = config::reference(&config::command::<Cli>());
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, format!("{before}{begin}{reference}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(section, reference, "run this test with {WRITE}=1 and look at what it wrote");
}
