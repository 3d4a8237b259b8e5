//! Public captures of other makers' routers (Cisco, Huawei, 6WIND), among them ones of
//! BMP version 4 drafts, against an independent counter and NetGauze's decoding.

mod netgauze;
#[path = "../support/mod.rs"]
mod support;
mod theirs;

use std::{collections::BTreeMap, io::Read, sync::OnceLock};

use ribstream_collector::{bmp::Kind, frame::next_frame};
use ribstream_proto::{
    family::AfiSafi,
    v1::{RouteUpdate, Routes, event::Body},
};
use ribstream_testkit::captures;
use serde_json::Value;
use support::{Heard, MAX_MESSAGE, prefixes};

const ARCHIVE: &str = "public-fixtures.tar.zst";

/// The archive's files by name; none where it is not there.
fn files() -> Option<&'static BTreeMap<String, Vec<u8>>> {
    static FILES: OnceLock<Option<BTreeMap<String, Vec<u8>>>> = OnceLock::new();
    FILES
        .get_or_init(|| {
            let archive = captures::read(ARCHIVE)?;
            let mut archive = tar::Archive::new(archive.as_slice());
            let mut files = BTreeMap::new();
            for entry in archive.entries().unwrap() {
                let mut entry = entry.unwrap();
                let name = entry.path().unwrap().to_string_lossy().into_owned();
                if name.starts_with("streams/") || name.ends_with("-bmp.json") {
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content).unwrap();
                    files.insert(name, content);
                }
            }
            Some(files)
        })
        .as_ref()
}

fn index(files: &BTreeMap<String, Vec<u8>>) -> Vec<Value> {
    serde_json::from_slice(&files["streams/INDEX.json"]).unwrap()
}

fn stream<'a>(files: &'a BTreeMap<String, Vec<u8>>, entry: &Value) -> &'a [u8] {
    &files[&format!("streams/{}", entry["file"].as_str().unwrap())]
}

/// The counter reads version 3 only.
fn is_version_3(entry: &Value) -> bool {
    entry["bmp_versions"].as_object().unwrap().keys().eq(["3"])
}

/// View, family and what happened, as the counter names them.
type Counts = BTreeMap<(String, String, &'static str), u64>;

fn view(update: &RouteUpdate) -> &'static str {
    match (update.view, update.filtered) {
        (1, _) => "adjin-pre",
        (2, _) => "adjin-post",
        (3, _) => "adjout-pre",
        (4, _) => "adjout-post",
        (_, false) => "locrib",
        (_, true) => "locrib-filtered",
    }
}

fn family(afi: u32, safi: u32) -> String {
    AfiSafi::new(u16::try_from(afi).unwrap(), u8::try_from(safi).unwrap()).to_string()
}

fn routes(routes: &Routes) -> u64 {
    assert!(routes.undecoded.is_empty(), "{}/{} is not known", routes.afi, routes.safi);
    (routes.prefixes.len() + routes.evpn.len() + routes.other.len()) as u64
}

fn counted(heard: &Heard) -> Counts {
    let mut counts = Counts::new();
    for update in heard.updates() {
        let mut add = |afi, safi, what, count| {
            *counts.entry((view(&update).to_owned(), family(afi, safi), what)).or_default() +=
                count;
        };
        for field in &update.announced {
            add(field.afi, field.safi, "announced", routes(field));
        }
        for field in &update.withdrawn {
            add(field.afi, field.safi, "withdrawn", routes(field));
        }
        for marker in &update.end_of_rib {
            add(marker.afi, marker.safi, "eor", 1);
        }
    }
    counts.retain(|_, count| *count > 0);
    counts
}

fn expected(entry: &Value) -> Counts {
    let mut counts = Counts::new();
    for (view, families) in entry["totals"].as_object().unwrap() {
        for (family, totals) in families.as_object().unwrap() {
            for what in ["announced", "withdrawn", "eor"] {
                if let Some(count) = totals[what].as_u64() {
                    counts.insert((view.clone(), family.clone(), what), count);
                }
            }
        }
    }
    counts
}

#[test]
fn every_stream_has_the_messages_that_the_independent_counter_found() {
    let Some(files) = files() else { return };
    for entry in index(files) {
        let heard = Heard::stream(stream(files, &entry));
        let messages: BTreeMap<&str, u64> = Kind::ALL
            .into_iter()
            .map(|kind| (kind.name(), heard.session.counters().messages(kind)))
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(serde_json::to_value(messages).unwrap(), entry["messages"], "{}", entry["file"]);
    }
}

#[test]
fn every_stream_has_the_routes_that_the_independent_counter_found() {
    let Some(files) = files() else { return };
    for entry in index(files).iter().filter(|entry| is_version_3(entry)) {
        let heard = Heard::stream(stream(files, entry));
        assert_eq!(counted(&heard), expected(entry), "{}", entry["file"]);
    }
}

#[test]
fn no_message_of_a_public_stream_is_a_dead_letter() {
    let Some(files) = files() else { return };
    for entry in index(files) {
        let heard = Heard::stream(stream(files, &entry));
        let dead: Vec<String> = heard
            .dead
            .iter()
            .map(|d| format!("{} {}: {}", d.sequence, d.reason, d.detail))
            .collect();
        assert_eq!(dead, [""; 0], "{}", entry["file"]);
    }
}

#[test]
fn a_public_stream_has_nothing_malformed_in_it() {
    let Some(files) = files() else { return };
    for entry in index(files) {
        let bytes = stream(files, &entry);
        let heard = Heard::stream(bytes);
        let errors: Vec<_> =
            heard.updates().into_iter().flat_map(|update| update.attribute_errors).collect();
        assert_eq!(errors, [], "{}", entry["file"]);
        // A capture may end in the middle of a message, and not otherwise.
        let mut rest = bytes;
        while let Some(length) = next_frame(rest, MAX_MESSAGE).unwrap() {
            rest = &rest[length..];
        }
        assert_eq!(rest.is_empty(), entry["error_count"] == 0 || !is_version_3(&entry));
    }
}

fn heard(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Heard {
    let (_, bytes) =
        files.iter().find(|(file, _)| file.starts_with("streams/") && file.contains(name)).unwrap();
    Heard::stream(bytes)
}

#[test]
fn bmp_version_4_says_without_a_peer_up_whether_there_are_path_ids() {
    let Some(files) = files() else { return };
    let heard = heard(files, "vpnv4-stateless-with-withdraw");
    assert_eq!(heard.session.counters().messages(Kind::PeerUp), 0);
    let updates = heard.updates();
    let fields = updates.iter().flat_map(|update| update.announced.iter().chain(&update.withdrawn));
    let (with, without): (Vec<_>, Vec<_>) =
        fields.flat_map(|routes| &routes.prefixes).partition(|route| route.path_id.is_some());
    // The Loc-RIB is the table without.
    assert_eq!((with.len(), without.len()), (14, 1));
}

#[test]
fn bmp_version_4_path_marking_is_decoded_and_groups_are_kept() {
    let Some(files) = files() else { return };
    let heard = heard(files, "path-status");
    let updates = heard.updates();
    let marking = |update: &RouteUpdate| {
        let tlv = update.tlvs.iter().find(|tlv| tlv.path_marking.is_some()).unwrap();
        (tlv.index, tlv.path_marking.unwrap().status, tlv.path_marking.unwrap().reason)
    };
    // Best, primary, and sent by ADD-PATH.
    assert_eq!(marking(&updates[0]), (Some(1), 0x8a, None));
    assert_eq!(marking(&updates[1]), (Some(1), 0x8a, None));
    let group = updates[0].tlvs[0].clone();
    assert_eq!((group.r#type, group.index, &group.value[..]), (2, Some(0x8001), &[0, 1, 0, 2][..]));
    assert_eq!(prefixes(&updates[0].announced), ["111.1.1.1/32", "111.1.1.2/32"]);
    let down = heard.bodies().into_iter().find_map(|body| match body {
        Body::PeerDown(down) => Some(down.clone()),
        _ => None,
    });
    let information = down.unwrap().information[0].clone();
    assert_eq!(
        (information.name.as_str(), &information.value[..]),
        ("VRF/Table Name", &b"global"[..])
    );
}
