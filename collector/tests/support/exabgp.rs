//! ExaBGP's test cases (`tests/data/exabgp`), through a session.

use std::{fs, path::Path};

use ribstream_proto::v1::RouteUpdate;
use serde_json::Value;

use super::{Heard, bgp, route_monitoring};

/// One UPDATE of a file.
pub(crate) struct Case {
    /// The command that ExaBGP made it from, if that is there.
    pub(crate) command: String,
    /// What we make of it.
    pub(crate) update: RouteUpdate,
    /// What ExaBGP makes of it: what its JSON has under `update`; null where it
    /// gives none.
    pub(crate) expected: Value,
}

impl Case {
    /// Our event as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::to_value(&self.update).unwrap()
    }

    /// ExaBGP's routes of a family, announced or withdrawn, whatever their next hop.
    pub(crate) fn routes(&self, family: &str) -> Vec<&Value> {
        let announced = self.expected["announce"][family].as_object();
        let announced = announced.into_iter().flat_map(|next_hops| next_hops.values());
        let withdrawn = [&self.expected["withdraw"][family]];
        announced.chain(withdrawn).filter_map(Value::as_array).flatten().collect()
    }
}

/// The UPDATEs of a file, in order.
pub(crate) fn cases(name: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/exabgp").join(name);
    let text = fs::read_to_string(path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let mut command = "";
    for line in text.lines() {
        // Of a line `1:raw:…`, what follows the group's number.
        let (kind, rest) =
            line.split_once(':').and_then(|(_, rest)| rest.split_once(':')).unwrap_or(("", ""));
        if kind == "cmd" {
            command = rest;
        } else if line.starts_with('{') || matches!(kind, "json" | "jsv6") {
            let json = if line.starts_with('{') { line } else { rest };
            let mut json: Value = serde_json::from_str(json).unwrap();
            if let Some(case) = cases.last_mut() {
                case.expected = json["neighbor"]["message"]["update"].take();
            }
        } else {
            let digits = if kind == "raw" { rest } else { line };
            cases.extend(octets(digits).map(|message| Case {
                command: std::mem::take(&mut command).to_owned(),
                update: heard(&message),
                expected: Value::Null,
            }));
        }
    }
    cases
}

/// Hexadecimal digits, in groups with colons or spaces between them or not.
pub(crate) fn octets(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|character| !matches!(character, ':' | ' '))
        .map(|character| character.to_digit(16))
        .collect::<Option<_>>()?;
    let octets = digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap());
    (digits.len() > 1).then(|| octets.collect())
}

/// What a session makes of a message, with its BGP header or without.
fn heard(message: &[u8]) -> RouteUpdate {
    let message = if message.starts_with(&[0xff; 16]) { message.to_vec() } else { bgp(2, message) };
    let heard = Heard::of(&[route_monitoring(0, 0, &[message])]);
    assert!(heard.dead.is_empty(), "{:?}", heard.dead);
    heard.updates().remove(0)
}
