//! Every message of the public captures against NetGauze's decoding, field by field.

use std::collections::{BTreeMap, VecDeque};

use ribstream_proto::v1::{
    Event, InformationTlv, Open, Peer, PeerType, Routes, Statistic, event::Body,
};
use serde_json::Value;

use crate::{files, index, stream, support::Heard, theirs};

/// What a message of a stream became, without what is not in the message.
fn ours(bytes: &[u8]) -> VecDeque<Event> {
    let heard = Heard::stream(bytes);
    let events: VecDeque<Event> = heard
        .events
        .iter()
        .map(|(_, event)| event)
        .filter(|event| is_of_a_message(event))
        .map(as_sent)
        .collect();
    assert_eq!(events.len() as u64, heard.session.counters().total());
    events
}

/// The RouterUp of a router that sent no Initiation is not.
fn is_of_a_message(event: &Event) -> bool {
    !matches!(&event.body, Some(Body::RouterUp(up)) if up.information.is_empty())
}

/// Without what the collector knows or concludes: names by the registries, times of its
/// own, dumps.
fn as_sent(event: &Event) -> Event {
    let peer = event.peer.clone().map(|peer| Peer { table_name: String::new(), ..peer });
    let mut body = event.body.clone().unwrap();
    match &mut body {
        Body::RouteUpdate(update) => {
            update.initial_dump = false;
            update.dump_over.clear();
            update.announced.iter_mut().chain(&mut update.withdrawn).for_each(without_raw);
            let sid =
                update.attributes.iter_mut().flat_map(|attributes| &mut attributes.prefix_sid);
            let services = sid.flat_map(|sid| [&mut sid.srv6_l2_service, &mut sid.srv6_l3_service]);
            for sid in services.flatten().flat_map(|service| &mut service.sids) {
                sid.endpoint_behavior_name.clear();
            }
        }
        Body::PeerUp(up) => {
            (up.continues, up.repeats) = (false, false);
            up.information.iter_mut().for_each(without_name);
            let opens = [&mut up.sent_open, &mut up.received_open];
            for capability in
                opens.into_iter().flatten().flat_map(|Open { capabilities, .. }| capabilities)
            {
                capability.name.clear();
            }
        }
        Body::PeerDown(down) => {
            down.information.iter_mut().for_each(without_name);
            if let Some(notification) = &mut down.notification {
                notification.code_name.clear();
                notification.subcode_name.clear();
            }
        }
        Body::StatsReport(report) => {
            for Statistic { name, unit, .. } in &mut report.statistics {
                name.clear();
                unit.clear();
            }
        }
        Body::RouterUp(up) => {
            up.remote_port = 0;
            up.information.iter_mut().for_each(without_name);
        }
        other => panic!("{other:?}"),
    }
    Event { router_time: event.router_time, peer, body: Some(body), ..Event::default() }
}

fn without_name(tlv: &mut InformationTlv) {
    tlv.name.clear();
}

fn without_raw(routes: &mut Routes) {
    routes.evpn.iter_mut().for_each(|route| route.raw.clear());
}

/// Where NetGauze and we differ for a known reason: if that is it, theirs becomes ours.
type Exception = (&'static str, fn(&Event, &mut Event) -> bool);

const EXCEPTIONS: &[Exception] = &[
    ("they keep what stands in the place of a withdrawal's label (RFC 8277, 2.4)", |_, theirs| {
        let Some(Body::RouteUpdate(update)) = &mut theirs.body else { return false };
        let withdrawn = update.withdrawn.iter_mut().flat_map(|routes| &mut routes.prefixes);
        let no_labels = withdrawn.filter(|route| route.labels == [0x80000]);
        no_labels.map(|route| route.labels.clear()).count() > 0
    }),
    (
        "of a Loc-RIB's flags they keep the one that RFC 9069 knows; FRR sets L (RFC 7854)",
        |ours, theirs| {
            let (Some(ours), Some(theirs)) = (&ours.peer, &mut theirs.peer) else { return false };
            let is_it = theirs.r#type() == PeerType::LocRib && ours.flags ^ theirs.flags == 0x40;
            if is_it {
                theirs.flags = ours.flags;
            }
            is_it
        },
    ),
];

/// Takes every one of their messages from the one stream that has it next: a file of
/// theirs has all the sessions of a capture, each in its order.
fn compare(
    json: &str,
    theirs: Vec<Event>,
    mut streams: Vec<VecDeque<Event>>,
    used: &mut BTreeMap<&'static str, usize>,
) {
    for (number, message) in theirs.into_iter().enumerate() {
        let is_next = |stream: &&mut VecDeque<Event>| match stream.front() {
            Some(next) => excused(next, &message).0 == *next,
            None => false,
        };
        let mut nexts = streams.iter_mut().filter(is_next);
        let Some(stream) = nexts.next() else {
            let next = streams.iter().filter_map(VecDeque::front);
            let differences: Vec<String> = next.map(|next| differences(next, &message)).collect();
            panic!(
                "{json}: message {number} is not the next of a stream\n{}",
                differences.join("\nor\n")
            );
        };
        assert!(nexts.next().is_none(), "{json}: message {number} is of two streams");
        let (_, reasons) = excused(&stream.pop_front().unwrap(), &message);
        for reason in reasons {
            *used.entry(reason).or_default() += 1;
        }
    }
    assert!(streams.iter().all(VecDeque::is_empty), "{json}: we have more messages");
}

/// Their message after all exceptions that it takes, and the reasons of these.
fn excused(ours: &Event, theirs: &Event) -> (Event, Vec<&'static str>) {
    let mut theirs = theirs.clone();
    let taken = EXCEPTIONS.iter().filter(|(_, amend)| amend(ours, &mut theirs));
    let reasons = taken.map(|(reason, _)| *reason).collect();
    (theirs, reasons)
}

/// The lines that one of them has alone.
fn differences(ours: &Event, theirs: &Event) -> String {
    let (theirs, _) = excused(ours, theirs);
    let [ours, theirs] = [ours, &theirs].map(|event| format!("{event:#?}"));
    let alone = |here: &str, there: &str, whose| -> Vec<String> {
        let lines = here.lines().filter(|line| !there.lines().any(|other| other == *line));
        lines.map(|line| format!("{whose} {line}")).collect()
    };
    [alone(&ours, &theirs, "ours  "), alone(&theirs, &ours, "theirs")].concat().join("\n")
}

/// One JSON object a line.
fn messages(json: &[u8]) -> Vec<Event> {
    let messages = serde_json::Deserializer::from_slice(json).into_iter::<Value>();
    messages.map(|message| theirs::event(&message.unwrap())).collect()
}

/// The streams of each capture by the name of the file that NetGauze made of it.
fn captures(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<VecDeque<Event>>> {
    let mut captures: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in index(files) {
        let pcap = entry["pcap"].as_str().unwrap().trim_start_matches("public/");
        let json = pcap.replace(".pcap", "-bmp.json");
        captures.entry(json).or_default().push(ours(stream(files, &entry)));
    }
    captures
}

#[test]
fn every_message_of_a_public_capture_is_what_netgauze_says_it_is() {
    let Some(files) = files() else { return };
    let captures = captures(files);
    let expectations = files.keys().filter(|name| name.ends_with("-bmp.json"));
    assert!(expectations.eq(captures.keys()), "each file of theirs is compared");
    let mut used = BTreeMap::new();
    let mut compared = 0;
    for (json, streams) in captures {
        let theirs = messages(&files[&json]);
        compared += theirs.len();
        compare(&json, theirs, streams, &mut used);
    }
    let used: Vec<usize> = EXCEPTIONS
        .iter()
        .map(|(reason, _)| used.get(reason).copied().unwrap_or_default())
        .collect();
    assert_eq!((compared, used), (1852, vec![1, 3]));
}
