//! What real routers do that no RFC says.

mod support;

use ribstream_proto::v1::{
    AsPathSegment, AsPathSegmentType, Overruled, PeerDownReason, RouterDownReason, event::Body,
};
use ribstream_testkit::captures::capture;
use support::*;

const PREFIX: [u8; 4] = [24, 198, 51, 100];

fn asns(update: &ribstream_proto::v1::RouteUpdate) -> Vec<u32> {
    let path = update.attributes.as_ref().unwrap().as_path.as_ref().unwrap();
    path.segments.iter().flat_map(|segment| segment.asns.clone()).collect()
}

#[test]
fn a_per_peer_timestamp_of_zero_is_no_timestamp() {
    let heard = Heard::of([&route_monitoring(0, 0, &[update(&PREFIX, &[], &[])])]);
    assert_eq!(heard.events[1].1.router_time, None);
}

#[test]
fn a_router_that_sends_no_initiation_is_up_with_its_first_message() {
    let heard = Heard::of([&plain_peer_up()]);
    assert!(matches!(heard.bodies()[..], [Body::RouterUp(_), Body::PeerUp(_)]));
}

#[test]
fn loc_rib_peer_up_with_zeroed_opens_is_a_peer_up() {
    let open = bgp(1, &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let heard = Heard::of([&peer_up(
        3,
        0,
        &open,
        &open,
        &[0, 3, 0, 6, b'g', b'l', b'o', b'b', b'a', b'l'],
    )]);
    let (key, event) = &heard.events[1];
    let peer = event.peer.as_ref().unwrap();
    assert_eq!((key.as_str(), peer.table_name.as_str()), ("192.0.2.1|0|loc-rib", "global"));
    assert!(peer.address.is_empty());
}

#[test]
fn loc_rib_with_no_peer_up_at_all_is_held_from_its_first_route() {
    let route = update(&[], &base_attributes(), &PREFIX);
    let mut heard = Heard::of([&route_monitoring(3, 0, &[route])]);
    heard.end(RouterDownReason::Disconnect);
    let lost: Vec<_> = heard
        .bodies()
        .into_iter()
        .filter(|b| matches!(b, Body::PeerDown(d) if d.reason() == PeerDownReason::SessionLost))
        .collect();
    assert_eq!(lost.len(), 1);
}

#[test]
fn peer_up_open_of_19_bytes_is_a_peer_up() {
    let header_only = bgp(1, &[]);
    let heard = Heard::of([&peer_up(0, 0, &header_only, &header_only, &[])]);
    assert!(matches!(heard.bodies()[..], [Body::RouterUp(_), Body::PeerUp(_)]));
    assert!(heard.dead.is_empty());
}

#[test]
fn peer_down_before_any_peer_up_is_told_and_holds_nothing() {
    let mut body = peer_header(0, 0);
    body.extend([2, 0, 0]);
    let mut heard = Heard::of([&bmp(2, &body)]);
    heard.end(RouterDownReason::Disconnect);
    assert!(matches!(
        heard.bodies()[..],
        [Body::RouterUp(_), Body::PeerDown(_), Body::RouterDown(_)]
    ));
}

#[test]
fn the_loss_of_a_session_is_told_of_every_peer_that_it_held() {
    // FRR and GoBGP send neither Peer Down nor Termination when they stop.
    for name in ["frr10-unicast", "gobgp336-multi"] {
        let Some(bytes) = capture(name) else { continue };
        let mut heard = Heard::stream(&bytes);
        let up = heard.session.peers_up();
        let before = heard.events.len();
        heard.end(RouterDownReason::Disconnect);
        let told = &heard.events[before..];
        assert!(up > 0, "{name}");
        assert_eq!(told.len(), up + 1, "{name}");
        assert!(matches!(told.last().unwrap().1.body, Some(Body::RouterDown(_))));
        assert!(told[..up].iter().all(|(_, event)| matches!(
            &event.body,
            Some(Body::PeerDown(down)) if down.reason() == PeerDownReason::SessionLost
        )));
    }
}

#[test]
fn a_termination_ends_the_session_once() {
    let mut heard = Heard::of([&plain_peer_up(), &bmp(5, &[0, 1, 0, 2, 0, 0])]);
    assert!(heard.session.terminated());
    heard.end(RouterDownReason::Disconnect);
    let downs: Vec<_> = heard
        .bodies()
        .into_iter()
        .filter_map(|b| if let Body::RouterDown(d) = b { Some(d.reason()) } else { None })
        .collect();
    assert_eq!(downs, [RouterDownReason::Termination]);
}

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
fn route_monitoring_for_a_peer_never_announced_is_published() {
    let mut message = route_monitoring(0, 0, &[update(&[], &base_attributes(), &PREFIX)]);
    message[6 + 10..6 + 10 + 16].fill(0);
    message[6 + 26..6 + 30].fill(0);
    let heard = Heard::of([&message]);
    assert_eq!(heard.events[1].0, "192.0.2.1|0|0.0.0.0");
    assert_eq!(heard.updates().len(), 1);
}

#[test]
fn the_a_flag_clear_although_the_as_path_is_2_bytes_wide_is_overruled() {
    let mut attributes = attribute(0x40, 1, &[0]);
    attributes.extend(attribute(0x40, 2, &[2, 2, 0xfd, 0xe9, 0x5b, 0xa0]));
    attributes.extend(attribute(0x40, 3, &PEER.octets()));
    let heard = Heard::of([
        &plain_peer_up(),
        &route_monitoring(0, 0, &[update(&[], &attributes, &PREFIX)]),
    ]);
    let update = &heard.updates()[0];
    assert_eq!(asns(update), [65001, 23456]);
    assert_eq!(update.asn_width, 2);
    assert_eq!(update.overruled, [i32::from(Overruled::AsnWidth2)]);
}

#[test]
fn a_2_byte_path_with_as4_path_shows_the_true_path() {
    let mut attributes = attribute(0x40, 1, &[0]);
    attributes.extend(attribute(0x40, 2, &[2, 2, 0xfd, 0xe9, 0x5b, 0xa0]));
    attributes.extend(attribute(0x40, 3, &PEER.octets()));
    attributes.extend(attribute(0xc0, 17, &[2, 1, 0, 1, 0, 0]));
    let heard = Heard::of([&route_monitoring(3, 0, &[update(&[], &attributes, &PREFIX)])]);
    assert_eq!(asns(&heard.updates()[0]), [65001, 65536]);
}

#[test]
fn an_as_set_behind_a_sequence_is_not_flattened() {
    let mut attributes = attribute(0x40, 1, &[0]);
    attributes.extend(attribute(0x40, 2, &[2, 1, 0, 0, 0, 1, 1, 2, 0, 0, 0, 2, 0, 0, 0, 3]));
    attributes.extend(attribute(0x40, 3, &PEER.octets()));
    let heard = Heard::of([&route_monitoring(0, 0, &[update(&[], &attributes, &PREFIX)])]);
    let update = &heard.updates()[0];
    let path = update.attributes.as_ref().unwrap().as_path.as_ref().unwrap();
    let kinds: Vec<_> = path.segments.iter().map(AsPathSegment::r#type).collect();
    assert_eq!(kinds, [AsPathSegmentType::AsSequence, AsPathSegmentType::AsSet]);
}

/// A peer that can send path identifiers for IPv4 unicast, and a router that can
/// receive them.
fn add_path_in() -> Vec<u8> {
    let four = 65011_u32.to_be_bytes();
    let sent = open(65011, &[(65, &four), (69, &[0, 1, 1, 1])]);
    let received = open(65011, &[(65, &four), (69, &[0, 1, 1, 2])]);
    peer_up(0, 0, &sent, &received, &[])
}

#[test]
fn add_path_negotiated_in_one_direction_counts_for_that_direction() {
    let with_ids = [0, 0, 0, 1, 24, 198, 51, 100, 0, 0, 0, 2, 24, 198, 51, 100];
    let plain = [24, 198, 51, 100, 24, 198, 51, 101];
    let heard = Heard::of([
        &add_path_in(),
        &route_monitoring(0, 0, &[update(&[], &base_attributes(), &with_ids)]),
        &route_monitoring(0, 0x10, &[update(&[], &base_attributes(), &plain)]),
    ]);
    let updates = heard.updates();
    assert_eq!(prefixes(&updates[0].announced), ["198.51.100.0/24 id 1", "198.51.100.0/24 id 2"]);
    assert_eq!(prefixes(&updates[1].announced), ["198.51.100.0/24", "198.51.101.0/24"]);
    assert!(updates.iter().all(|update| update.overruled.is_empty()));
}

#[test]
fn path_ids_absent_though_negotiated_are_learnt_from_the_first_clear_case() {
    // GoBGP strips path identifiers after policy. Two /24s alone would read as one
    // prefix with an identifier; a single prefix before them tells.
    let one = [24, 198, 51, 100];
    let two = [24, 198, 51, 101, 24, 198, 51, 102];
    let heard = Heard::of([
        &add_path_in(),
        &route_monitoring(0, 0x40, &[update(&[], &base_attributes(), &one)]),
        &route_monitoring(0, 0x40, &[update(&[], &base_attributes(), &two)]),
    ]);
    let updates = heard.updates();
    assert_eq!(prefixes(&updates[1].announced), ["198.51.101.0/24", "198.51.102.0/24"]);
    assert_eq!(updates[1].overruled, [i32::from(Overruled::PathIdsAbsent)]);
}

#[test]
fn path_ids_present_though_not_negotiated_are_read() {
    let with_ids = [0, 0, 0, 0, 24, 198, 51, 100];
    let heard = Heard::of([
        &plain_peer_up(),
        &route_monitoring(0, 0, &[update(&[], &base_attributes(), &with_ids)]),
    ]);
    let update = &heard.updates()[0];
    assert_eq!(prefixes(&update.announced), ["198.51.100.0/24 id 0"]);
    assert_eq!(update.overruled, [i32::from(Overruled::PathIdsPresent)]);
}

#[test]
fn ipv4_nlri_with_ipv6_next_hop_keep_both() {
    let mut reach = vec![0, 1, 1, 32, 0x20, 1, 0x0d, 0xb8];
    reach.extend([0; 11]);
    reach.push(1);
    reach.extend([0xfe, 0x80]);
    reach.extend([0; 13]);
    reach.push(2);
    reach.push(0);
    reach.extend(PREFIX);
    let mut attributes = attribute(0x40, 1, &[0]);
    attributes.extend(attribute(0x40, 2, &[2, 1, 0, 0, 0xfd, 0xf3]));
    attributes.extend(attribute(0x80, 14, &reach));
    let heard = Heard::of([&route_monitoring(0, 0, &[update(&[], &attributes, &[])])]);
    let routes = serde_json::to_value(&heard.updates()[0].announced[0]).unwrap();
    assert_eq!(routes["next_hop"], "2001:db8::1");
    assert_eq!(routes["link_local_next_hop"], "fe80::2");
    assert_eq!(routes["prefixes"][0]["prefix"], "198.51.100.0/24");
}

#[test]
fn two_mp_attributes_and_the_legacy_fields_of_one_update_are_all_read() {
    let reach = |prefix: &[u8]| {
        let mut reach = vec![0, 2, 1, 16];
        reach.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        reach.extend(prefix);
        attribute(0x80, 14, &reach)
    };
    let mut attributes = base_attributes();
    attributes.extend(reach(&[32, 0x20, 1, 0x0d, 0xb8]));
    attributes.extend(reach(&[32, 0x20, 1, 0x0d, 0xb9]));
    attributes.extend(attribute(0x80, 15, &[0, 2, 1, 16, 0x3f, 0xfe]));
    let heard = Heard::of([&route_monitoring(0, 0, &[update(&[8, 10], &attributes, &PREFIX)])]);
    let update = &heard.updates()[0];
    assert_eq!(prefixes(&update.announced), ["2001:db8::/32", "2001:db9::/32", "198.51.100.0/24"]);
    assert_eq!(prefixes(&update.withdrawn), ["10.0.0.0/8", "3ffe::/16"]);
}

#[test]
fn end_of_rib_is_told_per_family() {
    let v6 = attribute(0x80, 15, &[0, 2, 1]);
    let heard = Heard::of([
        &route_monitoring(0, 0, &[update(&[], &[], &[])]),
        &route_monitoring(0, 0x40, &[update(&[], &v6, &[])]),
    ]);
    let families: Vec<_> =
        heard.updates().iter().map(|u| (u.end_of_rib[0].afi, u.end_of_rib[0].safi)).collect();
    assert_eq!(families, [(1, 1), (2, 1)]);
}

#[test]
fn sys_name_empty_missing_or_repeated_is_taken_as_it_is() {
    let sys_name = |bytes: &[u8]| {
        let heard = Heard::of([&bmp(4, bytes)]);
        let Body::RouterUp(up) = heard.bodies()[0].clone() else { panic!() };
        up.sys_name
    };
    assert_eq!(sys_name(&[]), None);
    assert_eq!(sys_name(&[0, 2, 0, 0]), Some(String::new()));
    assert_eq!(sys_name(&[0, 2, 0, 1, b'a', 0, 2, 0, 1, b'b']), Some("a".into()));
    assert_eq!(sys_name(&[0, 2, 0, 2, 0xff, b'a']), Some("\u{fffd}a".into()));
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
fn a_broken_attribute_withdraws_its_routes_and_says_why() {
    let mut attributes = base_attributes();
    attributes.extend(attribute(0xc0, 8, &[1, 2, 3]));
    let heard = Heard::of([&route_monitoring(0, 0, &[update(&[], &attributes, &PREFIX)])]);
    let update = &heard.updates()[0];
    assert!(update.announced.is_empty());
    assert_eq!(prefixes(&update.withdrawn), ["198.51.100.0/24"]);
    assert_eq!(update.attribute_errors[0].r#type, 8);
    assert_eq!(update.attribute_errors[0].value.as_ref(), [1, 2, 3]);
    assert_eq!(heard.session.counters().treated_as_withdraw, 1);
}

#[test]
fn loc_ribs_of_two_bgp_instances_are_two_peers() {
    let one = peer_up(3, 0, &bgp(1, &[]), &bgp(1, &[]), &[]);
    let mut two = one.clone();
    two[6 + 30..6 + 34].copy_from_slice(&[192, 0, 2, 99]);
    let heard = Heard::of([&one, &two]);
    assert_eq!(heard.session.peers_up(), 2);
}

#[test]
fn an_attribute_list_that_is_cut_before_its_routes_is_not_an_update_without_routes() {
    // COMMUNITIES claims to run past the end and swallows what may be MP_REACH_NLRI.
    let mut attributes = attribute(0x80, 15, &[0, 2, 1]);
    attributes.extend([0xc0, 8, 200, 0x80, 14, 3, 0, 2, 1]);
    let message = route_monitoring(0, 0, &[update(&[], &attributes, &[])]);
    let heard = Heard::of([&message]);
    assert!(heard.updates().is_empty(), "no End-of-RIB is made of it");
    assert_eq!(heard.dead[0].message, message);
}
