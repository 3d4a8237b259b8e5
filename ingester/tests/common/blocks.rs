//! The SQL of the documentation.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Each SQL block of the documentation with the page that it is on. What needs the Community
/// edition of TimescaleDB says so behind the language: "```sql community".
pub(crate) fn blocks(community: bool) -> Vec<(PathBuf, String)> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut found = Vec::new();
    for file in fs::read_dir(docs).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let page = fs::read_to_string(&file).unwrap();
        for block in page.split("```sql").skip(1) {
            let (needs, block) = block.split_once('\n').unwrap();
            if community || needs.trim() != "community" {
                found.push((file.clone(), block.split("```").next().unwrap().to_owned()));
            }
        }
    }
    assert!(found.len() > 50, "{}", found.len());
    found
}
