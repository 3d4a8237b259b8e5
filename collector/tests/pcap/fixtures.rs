//! Captures of real routers, against the streams that others have put together from them.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
};

use ribstream_collector::{decode, source::Capture};
use ribstream_testkit::captures;
use serde_json::Value;

use crate::{MAX_MESSAGE, build::read};

/// The files of the archive, by their paths.
fn files() -> Option<BTreeMap<String, Vec<u8>>> {
    let archive = captures::read("public-fixtures.tar.zst")?;
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(Cursor::new(archive)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().trim_start_matches("./").to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(path, content);
    }
    Some(files)
}

fn summary(file: &[u8]) -> (decode::Summary, anyhow::Result<()>) {
    decode::summary(Capture::detect(file, &[]).unwrap(), MAX_MESSAGE)
}

#[test]
fn the_sessions_of_real_captures_are_byte_for_byte_what_others_make_of_them() {
    let Some(files) = files() else { return };
    let index: Vec<Value> = serde_json::from_slice(&files["streams/INDEX.json"]).unwrap();
    let mut by_capture: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for entry in &index {
        let path = entry["pcap"].as_str().unwrap().trim_start_matches("public/");
        by_capture.entry(path).or_default().push(entry);
    }
    for (path, entries) in by_capture {
        let held = read(&files[path], &[]);
        assert_eq!(held.problems, Vec::<String>::new(), "{path}");
        assert_eq!(held.sessions.len(), entries.len(), "{path}");
        let mut messages: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in entries {
            let name = entry["file"].as_str().unwrap();
            let found = held.sessions.iter().find(|(router, _)| {
                name.contains(&format!("__{}_{}-", router.address, router.port))
            });
            let (_, bytes) = found.unwrap_or_else(|| panic!("{name} is not among the sessions"));
            assert!(*bytes == files[&format!("streams/{name}")], "{name}");
            for (kind, count) in entry["messages"].as_object().unwrap() {
                *messages.entry(kind).or_default() += count.as_u64().unwrap();
            }
        }
        let (summary, _) = summary(&files[path]);
        for (kind, count) in messages {
            if let Some(ours) = summary.messages.get(kind) {
                assert_eq!(*ours, count, "{path}: {kind}");
            }
        }
    }
}

#[test]
fn a_capture_of_bgp_is_told_from_one_of_bmp() {
    let Some(files) = files() else { return };
    let (_, result) = summary(&files["netgauze/assets/pcaps/bgp/multiple-sessions/traffic.pcap"]);
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with("no BMP in this capture, but BGP (RFC 4271), in "), "{error}");
}

#[test]
fn no_capture_of_another_kind_gives_a_session() {
    let Some(files) = files() else { return };
    let mut count = 0;
    for (path, file) in files.iter().filter(|(path, _)| path.starts_with("tcpdump/")) {
        let extension = std::path::Path::new(&path).extension();
        if extension.is_some_and(|extension| extension == "pcap" || extension == "pcapng") {
            let (summary, result) = summary(file);
            assert_eq!(summary.bytes, 0, "{path}");
            assert!(result.is_err(), "{path}");
            count += 1;
        }
    }
    assert!(count > 30);
}
