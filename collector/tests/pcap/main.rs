//! Packet captures: the sessions in them, whatever the network and the capture have
//! done to their packets.

mod build;
mod fixtures;
mod replay;

use build::{ACK, ETHERNET, FIN, Held, RST, SYN, Sender, ethernet, pcap, pcapng, read, time};
use proptest::prelude::*;
use ribstream_collector::decode;
use serde_json::Value;

const MAX_MESSAGE: usize = 1_000_000;

/// A session of some messages: Initiation, Peer Ups and so on are all the same here.
fn stream(name: &str, messages: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    for n in 0..messages {
        let text = format!("{name} {n:0>200}");
        let length = u16::try_from(text.len()).unwrap();
        stream.extend([3]);
        stream.extend(u32::from(length + 10).to_be_bytes());
        stream.extend([4, 0, 0]);
        stream.extend(length.to_be_bytes());
        stream.extend(text.bytes());
    }
    stream
}

fn sender() -> Sender {
    Sender::new("192.0.2.1:40000", "192.0.2.9:11019")
}

/// The data in segments of `size`.
fn segments(sender: &Sender, data: &[u8], size: usize) -> Vec<Vec<u8>> {
    let chunks = data.chunks(size).enumerate();
    chunks.map(|(n, chunk)| sender.data(n * size, chunk)).collect()
}

fn on_ethernet(packets: &[Vec<u8>]) -> Vec<u8> {
    let frames: Vec<Vec<u8>> = packets.iter().map(|packet| ethernet(&[], packet)).collect();
    pcap(ETHERNET, true, false, &frames)
}

#[track_caller]
fn assert_one(held: &Held, expected: &[u8]) {
    assert_eq!(held.problems, Vec::<String>::new());
    assert_eq!(held.sessions.len(), 1);
    assert!(held.sessions[0].1 == expected, "the bytes are not the stream");
}

#[test]
fn every_file_format_gives_the_same_session() {
    let (sender, stream) = (sender(), stream("r1", 9));
    let mut packets = vec![sender.syn()];
    packets.extend(segments(&sender, &stream, 300));
    let frames: Vec<Vec<u8>> = packets.iter().map(|packet| ethernet(&[], packet)).collect();
    for little in [true, false] {
        let files = [
            pcap(ETHERNET, little, false, &frames),
            pcap(ETHERNET, little, true, &frames),
            pcapng(ETHERNET, little, &frames),
        ];
        for file in files {
            let compressed = zstd::encode_all(file.as_slice(), 1).unwrap();
            for file in [file, compressed] {
                let held = read(&file, &[]);
                assert_one(&held, &stream);
                let router = &held.sessions[0].0;
                assert_eq!((router.address, router.port), (sender.from.ip(), 40000));
                assert_eq!(router.session, time(0), "the session began with its SYN");
                assert_eq!(held.times[0], time(packets.len() - 1));
            }
        }
    }
}

#[test]
fn two_sections_of_pcapng_may_differ_in_byte_order() {
    let (sender, stream) = (sender(), stream("r1", 4));
    let mut packets = vec![ethernet(&[], &sender.syn())];
    packets.extend(segments(&sender, &stream, 300).iter().map(|packet| ethernet(&[], packet)));
    let (first, second) = packets.split_at(2);
    let file = [pcapng(ETHERNET, true, first), pcapng(ETHERNET, false, second)].concat();
    assert_one(&read(&file, &[]), &stream);
}

#[test]
fn every_link_type_and_tag_gives_the_same_session() {
    let four = sender();
    let six = Sender::new("[2001:db8::1]:40000", "[2001:db8::9]:11019");
    for sender in [four, six] {
        let stream = stream("r1", 5);
        let mut packets = vec![sender.syn()];
        packets.extend(segments(&sender, &stream, 300));
        let ether_type = if sender.from.is_ipv4() { [8, 0] } else { [0x86, 0xdd] };
        let family = if sender.from.is_ipv4() { [2, 0, 0, 0] } else { [30, 0, 0, 0] };
        let wrap = |before: &[u8]| -> Vec<Vec<u8>> {
            packets.iter().map(|packet| [before, packet].concat()).collect()
        };
        let tagged = |tags: &[u16]| -> Vec<Vec<u8>> {
            packets.iter().map(|packet| ethernet(tags, packet)).collect()
        };
        let sll = [&[0; 14][..], &ether_type].concat();
        let sll2 = [&ether_type[..], &[0; 18]].concat();
        let captures = [
            (ETHERNET, tagged(&[0x8100])),
            (ETHERNET, tagged(&[0x88a8, 0x8100])),
            (113, wrap(&sll)),
            (276, wrap(&sll2)),
            (101, wrap(&[])),
            (12, wrap(&[])),
            (if sender.from.is_ipv4() { 228 } else { 229 }, wrap(&[])),
            (0, wrap(&family)),
            (108, wrap(&[family[3], family[2], family[1], family[0]])),
        ];
        for (link, packets) in captures {
            let held = read(&pcap(link, true, false, &packets), &[]);
            assert_one(&held, &stream);
            assert_eq!(held.sessions[0].0.address, sender.from.ip());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn segments_in_any_order_and_repeated_give_the_same_bytes(
        isn: u32,
        order in Just((0..30).collect::<Vec<usize>>()).prop_shuffle(),
        again in prop::collection::vec(0..30_usize, 0..10),
    ) {
        let sender = Sender { isn, ..sender() };
        let stream = stream("r1", 30);
        let segments = segments(&sender, &stream, stream.len().div_ceil(30));
        let mut packets = vec![sender.syn()];
        packets.extend(order.iter().chain(&again).map(|n| segments[*n].clone()));
        packets.push(sender.at(stream.len(), FIN | ACK, &[]));
        let held = read(&on_ethernet(&packets), &[]);
        prop_assert_eq!(&held.problems, &Vec::<String>::new());
        prop_assert!(held.sessions[0].1 == stream);
    }

    #[test]
    fn a_damaged_file_neither_panics_nor_goes_on_for_ever(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
        cut in any::<Option<prop::sample::Index>>(),
        ng: bool,
    ) {
        let (sender, stream) = (sender(), stream("r1", 9));
        let mut packets = vec![ethernet(&[], &sender.syn())];
        packets.extend(segments(&sender, &stream, 300).iter().map(|p| ethernet(&[0x8100], p)));
        let mut file = if ng {
            pcapng(ETHERNET, true, &packets)
        } else {
            pcap(ETHERNET, false, false, &packets)
        };
        // The magic number stays, that of which format it is.
        for (at, value) in changes {
            let at = 4 + at.index(file.len() - 4);
            file[at] = value;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()).max(4));
        }
        if let Ok(capture) = ribstream_collector::source::Capture::detect(file.as_slice(), &[]) {
            let _ = decode::summary(capture, MAX_MESSAGE);
        }
    }

    #[test]
    fn any_bytes_as_a_packet_are_no_harm(
        link in prop::sample::select(vec![0_u16, 1, 12, 101, 108, 113, 228, 229, 276, 999]),
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 0..20),
    ) {
        let held = read(&pcap(link, true, false, &packets), &[]);
        prop_assert!(!held.problems.is_empty());
    }
}

#[test]
fn overlapping_segments_and_sequence_numbers_that_wrap_are_put_together() {
    let sender = Sender { isn: u32::MAX - 500, ..sender() };
    let stream = stream("r1", 9);
    let mut packets = vec![sender.syn()];
    for at in (0..stream.len()).step_by(100) {
        packets.push(sender.data(at, &stream[at..(at + 350).min(stream.len())]));
    }
    assert_one(&read(&on_ethernet(&packets), &[]), &stream);
}

#[test]
fn data_in_a_syn_counts_whether_the_syn_does_or_not() {
    let (sender, stream) = (sender(), stream("r1", 9));
    let (first, rest) = stream.split_at(300);
    for counted in [1, 0] {
        let rest: Vec<Vec<u8>> = rest
            .chunks(300)
            .enumerate()
            .map(|(n, chunk)| {
                let at = u32::try_from(300 * (n + 1)).unwrap();
                sender.segment(1000 + counted + at, ACK, chunk)
            })
            .collect();
        let packets = [vec![sender.segment(1000, SYN, first)], rest].concat();
        assert_one(&read(&on_ethernet(&packets), &[]), &stream);
    }
}

#[test]
fn a_gap_ends_its_session_with_an_error_and_the_others_go_on() {
    let other = Sender::new("192.0.2.2:40000", "192.0.2.9:11019");
    let (sender, one, two) = (sender(), stream("r1", 9), stream("r2", 9));
    let mut packets = vec![sender.syn(), other.syn()];
    for (n, (a, b)) in
        segments(&sender, &one, 300).iter().zip(segments(&other, &two, 300)).enumerate()
    {
        if n != 2 {
            packets.push(a.clone());
        }
        packets.push(b);
    }
    let file = on_ethernet(&packets);
    let held = read(&file, &[]);
    assert!(held.sessions[0].1 == one[..600] && held.sessions[1].1 == two);
    let problem = "192.0.2.1:40000 > 192.0.2.9:11019: offset 600: the next 300 bytes are not in \
                   the capture";
    assert_eq!(held.problems, [problem]);

    let mut lines = Vec::new();
    let capture = ribstream_collector::source::Capture::detect(file.as_slice(), &[]).unwrap();
    let error = decode::lines(capture, MAX_MESSAGE, &mut lines).unwrap_err();
    assert_eq!(error.to_string(), problem);
    let lines: Vec<Value> = String::from_utf8(lines)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let of = |router: &str| lines.iter().filter(|line| line["router"] == router).count();
    assert_eq!((of("192.0.2.1"), of("192.0.2.2")), (600 / one.len().div_ceil(9), 9));
}

#[test]
fn packets_that_were_not_captured_whole_are_named_as_the_cause() {
    let (sender, stream) = (sender(), stream("r1", 9));
    let mut packets = vec![sender.syn()];
    for size in [150, 300] {
        packets.truncate(1);
        for mut packet in segments(&sender, &stream, 320) {
            packet.truncate(size);
            packets.push(packet);
        }
        let held = read(&on_ethernet(&packets), &[]);
        let last = held.problems.last().unwrap();
        assert!(
            last.ends_with("captured whole: capture without a limit of their length"),
            "{last}"
        );
    }
}

#[test]
fn a_connection_that_closes_tells_of_its_end_and_its_address_may_come_again() {
    let stream = stream("r1", 3);
    let first = sender();
    let second = Sender { isn: 77_000_000, ..first };
    let third = Sender { isn: 99_000_000, ..first };
    let mut packets = Vec::new();
    for (sender, flags) in [(first, FIN | ACK), (second, RST), (third, ACK)] {
        packets.push(sender.syn());
        packets.extend(segments(&sender, &stream, 300));
        packets.push(sender.at(stream.len(), flags, &[]));
        // Again, after the end.
        packets.push(sender.data(0, &stream[..300]));
    }
    let file = on_ethernet(&packets);
    let held = read(&file, &[]);
    assert_eq!(held.problems, Vec::<String>::new());
    assert_eq!(held.sessions.len(), 3);
    assert!(held.sessions.iter().all(|(_, bytes)| *bytes == stream));

    let mut lines = Vec::new();
    let capture = ribstream_collector::source::Capture::detect(file.as_slice(), &[]).unwrap();
    decode::lines(capture, MAX_MESSAGE, &mut lines).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let ends: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|line| line.get("router_down").map(|down| down["detail"].clone()))
        .collect();
    assert_eq!(ends, ["the router closed", "the connection was reset"]);
}

#[test]
fn a_session_that_was_captured_from_its_middle_on_begins_with_its_first_whole_message() {
    let (sender, stream) = (sender(), stream("r1", 9));
    let message = stream.len() / 9;
    let cut = message + 50;
    let packets: Vec<Vec<u8>> =
        stream[cut..].chunks(300).enumerate().map(|(n, c)| sender.data(cut + n * 300, c)).collect();
    let held = read(&on_ethernet(&packets), &[]);
    assert!(held.sessions[0].1 == stream[2 * message..]);
    let skipped = message - 50;
    assert_eq!(
        held.problems,
        [format!(
            "192.0.2.1:40000 > 192.0.2.9:11019: the capture begins in the middle of this session: \
             {skipped} bytes are left out before its first whole message"
        )]
    );
}

#[test]
fn what_is_no_bmp_is_left_alone_and_a_port_selects() {
    let other = Sender::new("192.0.2.3:22", "192.0.2.9:40000");
    let (sender, stream) = (sender(), stream("r1", 3));
    let mut packets = vec![other.syn(), other.data(0, b"SSH-2.0-OpenSSH_9.9 and so on")];
    packets.push(sender.syn());
    packets.extend(segments(&sender, &stream, 300));
    let file = on_ethernet(&packets);
    assert_one(&read(&file, &[]), &stream);
    assert_one(&read(&file, &[11019]), &stream);
    let none = read(&file, &[5000]);
    assert_eq!(none.problems.len(), 1);
    assert!(none.problems[0].contains("nothing at the ports named"), "{:?}", none.problems);

    // A first message that decoding would refuse is BMP where its port says so.
    let odd = [&[3, 0, 0, 0, 7, 200, 0][..], &stream].concat();
    let packets = [vec![sender.syn()], segments(&sender, &odd, 300)].concat();
    let held = read(&on_ethernet(&packets), &[]);
    assert!(held.problems[0].contains("name its port by --port"), "{:?}", held.problems);
    assert_one(&read(&on_ethernet(&packets), &[11019]), &odd);
}

#[test]
fn a_cut_file_gives_what_it_has() {
    let (sender, stream) = (sender(), stream("r1", 3));
    let packets = [vec![sender.syn()], segments(&sender, &stream, 300)].concat();
    let mut file = on_ethernet(&packets);
    file.truncate(file.len() - 10);
    let held = read(&file, &[]);
    assert!(stream.starts_with(&held.sessions[0].1) && !held.sessions[0].1.is_empty());
    assert!(held.problems[0].starts_with("the capture file ends in the middle of a packet"));
}
