//! Path attributes: UPDATEs with what others have read in them, the table of what
//! becomes of malformed ones, and any value of any type.

mod support;

use std::{fs, path::Path};

use proptest::prelude::*;
use ribstream_proto::{
    text,
    v1::{AttributeError, AttributeVerdict, LabelStackEntry, PathAttributes, RouteUpdate, Tunnel},
};
use serde_json::Value;
use support::*;

const PREFIX: [u8; 4] = [24, 198, 51, 100];

const ORIGIN: u8 = 1;
const AS_PATH: u8 = 2;
const NEXT_HOP: u8 = 3;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The octets of hexadecimal digits.
fn octets(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The one update that a Route Monitoring with this BGP message is decoded to.
fn only_update(message: Vec<u8>) -> RouteUpdate {
    let heard = Heard::of([&route_monitoring(0, 0, &[message])]);
    assert!(heard.dead.is_empty(), "{:?}", heard.dead);
    heard.updates().remove(0)
}

fn words<T: ToString>(list: impl IntoIterator<Item = T>) -> String {
    list.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
}

/// The attributes as lines, in the words of the files in `data`.
fn facts(attributes: &PathAttributes) -> Vec<String> {
    let json = serde_json::to_value(attributes).unwrap();
    let mut facts = Vec::new();
    for name in ["origin", "next_hop", "med", "local_pref", "originator_id", "only_to_customer"] {
        match &json[name] {
            Value::Null => {}
            Value::String(text) => facts.push(format!("{name} {text}")),
            other => facts.push(format!("{name} {other}")),
        }
    }
    if let Some(path) = &attributes.as_path {
        let asns = words(path.segments.iter().flat_map(|segment| &segment.asns));
        facts.push(format!("as_path {asns}").trim_end().to_owned());
    }
    if attributes.atomic_aggregate {
        facts.push("atomic_aggregate".to_owned());
    }
    if let Some(aggregator) = &attributes.aggregator {
        facts.push(format!("aggregator {} {}", aggregator.asn, text::address(&aggregator.address)));
    }
    facts.extend(
        attributes.communities.iter().map(|c| format!("community {}:{}", c >> 16, c & 0xffff)),
    );
    facts.extend(
        attributes.cluster_list.iter().map(|id| format!("cluster_list {}", text::address(id))),
    );
    facts.extend(attributes.extended_communities.iter().map(|community| {
        let text = text::extended_community(*community);
        // tcpdump leaves out its AS.
        match text.strip_prefix("link-bandwidth:") {
            Some(value) => {
                format!("extended link-bandwidth:{}", value.split_once(':').unwrap().1)
            }
            None => format!("extended {text}"),
        }
    }));
    facts.extend(attributes.large_communities.iter().map(|c| {
        format!("large {}:{}:{}", c.global_administrator, c.local_data_1, c.local_data_2)
    }));
    if let Some(metric) = attributes.aigp.as_ref().and_then(|aigp| aigp.metric) {
        facts.push(format!("aigp {metric}"));
    }
    if let Some(sid) = &attributes.prefix_sid {
        facts.extend(sid.label_index.map(|index| format!("label_index {index}")));
        facts.extend(sid.srgb.iter().map(|range| format!("srgb {} {}", range.base, range.size)));
    }
    for tunnel in attributes.tunnel_encapsulation.iter().flat_map(|attribute| &attribute.tunnels) {
        tunnel_facts(tunnel, &mut facts);
    }
    if let Some(set) = &attributes.attr_set {
        facts.push(format!("attr_set {}", set.origin_asn));
        let inside = self::facts(set.attributes.as_ref().unwrap());
        facts.extend(inside.iter().map(|fact| format!("set {fact}")));
    }
    facts.extend(attributes.other.iter().map(|raw| format!("other {}", raw.r#type)));
    facts
}

fn tunnel_facts(tunnel: &Tunnel, facts: &mut Vec<String>) {
    let label = |entry: &LabelStackEntry| entry.label.to_string();
    assert!(tunnel.other.is_empty());
    facts.push(format!("tunnel {}", tunnel.type_name));
    let Some(path) = &tunnel.sr_candidate_path else { return };
    facts.extend(path.preference.map(|preference| format!("preference {preference}")));
    if let Some(binding) = &path.binding_sid {
        facts.push(format!("binding_sid {}", label(binding.label.as_ref().unwrap())));
    }
    for binding in &path.srv6_binding_sids {
        facts.push(format!("srv6_binding_sid {}", text::address(&binding.sid)));
    }
    facts.extend(path.policy_name.iter().map(|name| format!("policy_name {name}")));
    facts.extend(path.candidate_path_name.iter().map(|n| format!("candidate_path_name {n}")));
    for list in &path.segment_lists {
        facts.push(format!("segment_list {}", list.weight.unwrap()));
        for segment in &list.segments {
            let sid = segment.label.as_ref().map_or_else(|| text::address(&segment.sid), label);
            facts.push(format!("segment {} {sid}", segment.r#type));
            if let Some(behavior) = &segment.endpoint_behavior {
                let structure = behavior.structure.as_ref().unwrap();
                let lengths = [
                    behavior.behavior,
                    structure.locator_block,
                    structure.locator_node,
                    structure.function,
                    structure.argument,
                ];
                facts.push(format!("behavior {}", words(lengths)));
            }
        }
    }
}

/// Compares every UPDATE of a file with the lines that follow it: each is there,
/// and there are as many of its kind as in the file.
fn compare(name: &str) {
    let mut compared = 0;
    for case in file(name).split("\n\n").filter(|case| !case.trim().is_empty()) {
        let mut lines = case.trim().lines();
        let title = lines.next().unwrap();
        let update = only_update(octets(lines.next().unwrap()));
        assert!(update.attribute_errors.is_empty(), "{title}: {:?}", update.attribute_errors);
        let facts = facts(update.attributes.as_ref().unwrap());
        let expected: Vec<&str> = lines.collect();
        let kind = |fact: &str| fact.split(' ').next().unwrap().to_owned();
        for fact in &expected {
            assert!(facts.iter().any(|f| f == fact), "{title}: {fact} is not in {facts:?}");
            let ours = facts.iter().filter(|f| kind(f) == kind(fact)).count();
            let theirs = expected.iter().filter(|f| kind(f) == kind(fact)).count();
            assert_eq!(ours, theirs, "{title}: {fact} among {facts:?}");
        }
        compared += 1;
    }
    assert!(compared > 10);
}

#[test]
fn the_attributes_are_those_that_tcpdump_reads() {
    compare("tests/data/tcpdump/updates.txt");
}

#[test]
fn the_attributes_are_those_that_exabgp_was_told_to_send() {
    compare("tests/data/exabgp/attributes.txt");
}

/// An UPDATE that announces a prefix, or what an example has in the place of it, with
/// the attributes of the example and those that it lacks.
fn example(cell: &str) -> Vec<u8> {
    let mut attributes = Vec::new();
    let (mut withdrawn, mut announced) = (Vec::new(), PREFIX.to_vec());
    let mut lacking = vec![ORIGIN, AS_PATH, NEXT_HOP];
    for part in cell.split('`').filter(|part| !part.trim().is_empty()) {
        if let Some(kind) = part.strip_prefix("without ") {
            lacking.retain(|lacking| *lacking != octets(kind)[0]);
        } else if let Some(routes) = part.strip_prefix("withdrawn") {
            withdrawn = octets(routes);
        } else if let Some(routes) = part.strip_prefix("NLRI") {
            announced = octets(routes);
        } else {
            attributes.extend(octets(part));
        }
    }
    // An example begins with the attribute that it is of, and some have more of them.
    let well_known = |kind| -> &'static [u8] {
        match kind {
            ORIGIN => &[0x40, ORIGIN, 1, 0],
            AS_PATH => &[0x40, AS_PATH, 6, 2, 1, 0, 0, 0xfd, 0xf3],
            _ => &[0x40, NEXT_HOP, 4, 192, 0, 2, 1],
        }
    };
    let sent = attributes.get(1).copied();
    let mut all: Vec<u8> = lacking
        .into_iter()
        .filter(|kind| Some(*kind) != sent)
        .flat_map(|kind| well_known(kind).to_vec())
        .collect();
    all.extend(attributes);
    update(&withdrawn, &all, &announced)
}

fn verdict_of(message: Vec<u8>) -> &'static str {
    let heard = Heard::of([&route_monitoring(0, 0, &[message])]);
    let updates = heard.updates();
    let Some(update) = updates.first() else {
        assert_eq!(heard.dead.len(), 1);
        return "dead letter";
    };
    let verdicts: Vec<_> = update.attribute_errors.iter().map(AttributeError::verdict).collect();
    match verdicts[..] {
        [] => {
            assert!(update.withdrawn.is_empty());
            "kept"
        }
        [AttributeVerdict::Discard] => {
            assert!(update.withdrawn.is_empty());
            "attribute discard"
        }
        [AttributeVerdict::TreatAsWithdraw] => {
            assert!(update.announced.is_empty());
            assert_eq!(prefixes(&update.withdrawn), ["198.51.100.0/24"]);
            "treat-as-withdraw"
        }
        _ => panic!("{verdicts:?}"),
    }
}

#[test]
fn malformed_attributes_are_treated_as_the_documentation_says() {
    let text = file("../docs/rfc7606.md");
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(2);
    let (mut walked, mut wrong) = (0, Vec::new());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [attribute, condition, verdict, _, cell] = cells[..] else { panic!("{row}") };
        let found = verdict_of(example(cell));
        if found != verdict {
            wrong.push(format!("{attribute}, {condition}: {found}"));
        }
        walked += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(walked > 110, "{walked} rows");
}

#[test]
fn a_discarded_attribute_is_told_with_its_bytes() {
    let update = only_update(example("`40 06 01 07`"));
    let error = &update.attribute_errors[0];
    assert_eq!((error.r#type, &error.value[..]), (6, &[7][..]));
    assert!(!error.reason.is_empty());
    assert!(!update.attributes.unwrap().atomic_aggregate);
}

#[test]
fn routes_treated_as_withdrawn_leave_the_other_attributes_on_the_event() {
    let update = only_update(example("`80 04 03 01 02 03 c0 08 04 fd e9 00 07`"));
    let attributes = update.attributes.unwrap();
    assert_eq!(attributes.communities, [(65001 << 16) | 7]);
    assert!(attributes.as_path.is_some());
}

/// The types that have a decoder, and one that has none.
fn types() -> impl Strategy<Value = u8> {
    prop_oneof![
        prop::sample::select(vec![
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 17, 18, 22, 23, 24, 25, 26, 29, 32, 33, 35, 36, 38,
            40, 128,
        ]),
        any::<u8>().prop_filter("MP attributes are read with their routes", |kind| {
            !matches!(kind, 14 | 15)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_value_of_any_attribute_is_read_or_recorded_as_malformed(
        kind in types(),
        flags in prop::sample::select(vec![0x40_u8, 0x80, 0xc0, 0x00]),
        value in prop::collection::vec(prop_oneof![0..8_u8, any::<u8>()], 0..120),
    ) {
        let length = u8::try_from(value.len()).unwrap();
        let mut attributes = vec![flags, kind, length];
        attributes.extend(&value);
        attributes.extend(base_attributes());
        // `Heard` decodes the event again, and fails if it is not protobuf.
        let update = only_update(update(&[], &attributes, &PREFIX));
        for error in &update.attribute_errors {
            prop_assert_ne!(error.verdict(), AttributeVerdict::Unspecified);
        }
        // Whatever it is, it has a JSON form.
        prop_assert!(serde_json::to_string(&update).is_ok());
    }
}
