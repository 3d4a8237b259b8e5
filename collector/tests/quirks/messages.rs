//! BMP messages: their frames, types, statistics and versions.

use ribstream_proto::v1::event::Body;

use crate::{PREFIX, support::*};

#[test]
fn two_bgp_messages_in_one_route_monitoring_are_both_read() {
    let first = update(&[], &base_attributes(), &PREFIX);
    let second = update(&[16, 10, 1], &[], &[]);
    let heard = Heard::of([&route_monitoring(0, 0, &[first, second])]);
    let updates = heard.updates();
    assert_eq!(prefixes(&updates[0].announced), ["198.51.100.0/24"]);
    assert_eq!(prefixes(&updates[1].withdrawn), ["10.1.0.0/16"]);
}

#[test]
fn what_follows_a_good_update_and_cannot_be_read_goes_to_the_dead_letters() {
    let first = update(&[], &base_attributes(), &PREFIX);
    let heard = Heard::of([&route_monitoring(0, 0, &[first, vec![1, 2, 3]])]);
    assert_eq!(heard.updates().len(), 1);
    assert_eq!(heard.dead[0].reason, "malformed-update");
}

#[test]
fn zero_length_messages_between_good_ones_do_not_end_the_session() {
    let mut stream = plain_peer_up();
    stream.extend([3, 0, 0, 0, 0, 0]);
    stream.extend(route_monitoring(0, 0, &[update(&[], &base_attributes(), &PREFIX)]));
    let heard = Heard::stream(&stream);
    assert_eq!(heard.updates().len(), 1);
    assert_eq!(heard.dead.len(), 1);
}

#[test]
fn a_vendor_message_type_is_skipped_counted_and_kept() {
    let heard = Heard::of([&bmp(100, &[1, 2, 3]), &plain_peer_up()]);
    assert_eq!(heard.session.counters().errors["unknown-type"], 1);
    assert_eq!(heard.dead[0].message, bmp(100, &[1, 2, 3]));
    assert_eq!(heard.session.peers_up(), 1);
}

#[test]
fn unknown_and_experimental_statistics_are_kept() {
    let mut body = peer_header(0, 0);
    body.extend([0, 0, 0, 1, 0xff, 0xfb, 0, 3, 1, 2, 3]);
    let heard = Heard::of([&bmp(1, &body)]);
    let Body::StatsReport(stats) = heard.bodies()[1] else { panic!() };
    assert_eq!((stats.statistics[0].r#type, stats.statistics[0].value), (65531, None));
    assert_eq!(stats.statistics[0].raw.as_ref(), [1, 2, 3]);
}

#[test]
fn messages_of_60_kilobytes_are_read_whole() {
    let nlri: Vec<u8> =
        (0..15_000_u16).flat_map(|n| [24, 10, n.to_be_bytes()[0], n.to_be_bytes()[1]]).collect();
    let heard = Heard::of([&route_monitoring(0, 0, &[update(&[], &base_attributes(), &nlri)])]);
    assert_eq!(heard.updates()[0].announced[0].prefixes.len(), 15_000);
}

#[test]
fn a_route_monitoring_that_cannot_be_read_goes_raw_to_the_dead_letters() {
    let bad = route_monitoring(0, 0, &[update(&[], &base_attributes(), &[33, 1, 2, 3, 4, 5])]);
    let good = route_monitoring(0, 0, &[update(&[], &base_attributes(), &PREFIX)]);
    let heard = Heard::of([&bad, &good]);
    assert_eq!(heard.dead[0].message, bad);
    assert_eq!((heard.dead[0].sequence, heard.dead[0].stage.as_str()), (1, "collector"));
    assert_eq!(heard.updates().len(), 1);
}

#[test]
fn statistics_are_named_and_counted_per_family_where_they_are() {
    let mut body = peer_header(0, 0);
    let tlvs: [(u16, &[u8]); 7] = [
        (4, &[0, 0, 0, 9]),
        (8, &[0, 0, 0, 0, 0, 0, 1, 0]),
        (9, &[0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 5]),
        (17, &[0, 1, 128, 0, 0, 0, 0, 0, 0, 0, 6]),
        (37, &[0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 7]),
        (65531, &[0, 0, 0, 3]),
        (7, &[1, 2, 3, 4, 5]),
    ];
    body.extend(u32::try_from(tlvs.len()).unwrap().to_be_bytes());
    for (kind, value) in tlvs {
        body.extend(kind.to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value);
    }
    let heard = Heard::of([&bmp(1, &body)]);
    let Body::StatsReport(stats) = heard.bodies()[1] else { panic!() };
    let read: Vec<_> = stats
        .statistics
        .iter()
        .map(|s| (s.name.as_str(), s.unit.as_str(), s.family.map(|f| (f.afi, f.safi)), s.value))
        .collect();
    assert_eq!(
        read,
        [
            ("as-path-loop", "updates", None, Some(9)),
            ("loc-rib-routes", "routes", None, Some(256)),
            ("adj-rib-in-routes-per-family", "routes", Some((2, 1)), Some(5)),
            ("adj-rib-out-post-routes-per-family", "routes", Some((1, 128)), Some(6)),
            ("adj-rib-in-post-routes-rpki-not-found-per-family", "routes", Some((1, 1)), Some(7)),
            ("", "", None, Some(3)),
            ("adj-rib-in-routes", "routes", None, None),
        ]
    );
    assert_eq!(&stats.statistics[6].raw[..], [1, 2, 3, 4, 5]);
}

#[test]
fn bmp_version_4_drafts_of_each_code_point_are_read() {
    let route = update(&[], &base_attributes(), &PREFIX);
    for update_type in [1_u16, 2, 4, 7, 99] {
        let mut body = peer_header(0, 0);
        body.extend(update_type.to_be_bytes());
        body.extend(u16::try_from(route.len()).unwrap().to_be_bytes());
        body.extend([0, 0]);
        body.extend(&route);
        let mut message = bmp(0, &body);
        message[0] = 4;
        let heard = Heard::of([&message]);
        assert_eq!(prefixes(&heard.updates()[0].announced), ["198.51.100.0/24"], "{update_type}");
    }
    let mut message = route_monitoring(0, 0, &[route]);
    message[0] = 4;
    assert_eq!(Heard::of([&message]).updates().len(), 1);
}
