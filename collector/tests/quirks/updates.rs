//! How the UPDATEs in Route Monitoring are encoded, and what they say.

use ribstream_proto::v1::{AsPathSegment, AsPathSegmentType, Overruled, RibView};

use crate::{PREFIX, support::*};

fn asns(update: &ribstream_proto::v1::RouteUpdate) -> Vec<u32> {
    let path = update.attributes.as_ref().unwrap().as_path.as_ref().unwrap();
    path.segments.iter().flat_map(|segment| segment.asns.clone()).collect()
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
fn an_attribute_list_that_is_cut_before_its_routes_is_not_an_update_without_routes() {
    // COMMUNITIES claims to run past the end and swallows what may be MP_REACH_NLRI.
    let mut attributes = attribute(0x80, 15, &[0, 2, 1]);
    attributes.extend([0xc0, 8, 200, 0x80, 14, 3, 0, 2, 1]);
    let message = route_monitoring(0, 0, &[update(&[], &attributes, &[])]);
    let heard = Heard::of([&message]);
    assert!(heard.updates().is_empty(), "no End-of-RIB is made of it");
    assert_eq!(heard.dead[0].message, message);
}

#[test]
fn post_policy_routes_without_a_peer_up_of_their_own_use_that_of_the_peer() {
    let with_ids = [0, 0, 0, 1, 24, 198, 51, 100, 0, 0, 0, 2, 24, 198, 51, 100];
    let heard = Heard::of([
        &add_path_in(),
        &route_monitoring(0, 0x40, &[update(&[], &base_attributes(), &with_ids)]),
    ]);
    let update = &heard.updates()[0];
    assert_eq!(prefixes(&update.announced), ["198.51.100.0/24 id 1", "198.51.100.0/24 id 2"]);
    assert_eq!(update.view(), RibView::AdjRibInPost);
}

#[test]
fn adj_rib_out_and_loc_rib_are_views_of_their_own() {
    let route = update(&[], &base_attributes(), &PREFIX);
    let views: Vec<(RibView, bool)> = [(0, 0x10), (0, 0x50), (3, 0), (3, 0x80)]
        .into_iter()
        .map(|(peer_type, flags)| {
            let message = route_monitoring(peer_type, flags, std::slice::from_ref(&route));
            let update = Heard::of([&message]).updates().remove(0);
            (update.view(), update.filtered)
        })
        .collect();
    assert_eq!(
        views,
        [
            (RibView::AdjRibOutPre, false),
            (RibView::AdjRibOutPost, false),
            (RibView::LocRib, false),
            (RibView::LocRib, true),
        ]
    );
}

#[test]
fn own_as_prepended_in_a_pre_policy_view_is_published_as_sent() {
    let mut attributes = attribute(0x40, 1, &[0]);
    attributes.extend(attribute(0x40, 2, &[2, 2, 0, 0, 0xfd, 0xe8, 0, 0, 0xfd, 0xf3]));
    attributes.extend(attribute(0x40, 3, &PEER.octets()));
    let heard = Heard::of([
        &plain_peer_up(),
        &route_monitoring(0, 0, &[update(&[], &attributes, &PREFIX)]),
    ]);
    assert_eq!(asns(&heard.updates()[0]), [65000, 65011]);
}

#[test]
fn the_a_flag_and_the_opens_disagree_and_the_path_decides() {
    // The flag says 2 octets, the OPENs say 4, and so does the path.
    let heard = Heard::of([
        &plain_peer_up(),
        &route_monitoring(0, 0x20, &[update(&[], &base_attributes(), &PREFIX)]),
    ]);
    let update = &heard.updates()[0];
    assert_eq!((asns(update), update.asn_width), (vec![65011], 4));
    assert_eq!(update.overruled, [i32::from(Overruled::AsnWidth4)]);
}

#[test]
fn withdrawn_labelled_routes_carry_label_0x800000_or_0() {
    for label in [[0x80, 0, 0], [0, 0, 0]] {
        let mut unreach = vec![0, 1, 4, 48];
        unreach.extend(label);
        unreach.extend(&PREFIX[1..]);
        let attributes = attribute(0x80, 15, &unreach);
        let heard = Heard::of([&route_monitoring(0, 0, &[update(&[], &attributes, &[])])]);
        assert_eq!(prefixes(&heard.updates()[0].withdrawn), ["198.51.100.0/24"]);
    }
}

#[test]
fn end_of_rib_in_mid_stream_or_repeated_or_with_other_flags_is_an_end_of_rib() {
    let end = |flags| route_monitoring(0, flags, &[update(&[], &[], &[])]);
    let route = || route_monitoring(0, 0, &[update(&[], &base_attributes(), &PREFIX)]);
    let heard = Heard::of([&plain_peer_up(), &end(0), &route(), &end(0), &end(0x40), &route()]);
    let seen: Vec<(usize, bool)> =
        heard.updates().iter().map(|u| (u.end_of_rib.len(), u.initial_dump)).collect();
    assert_eq!(seen, [(1, false), (0, false), (1, false), (1, false), (0, false)]);
}

#[test]
fn a_full_re_dump_after_the_initial_one_is_published_and_is_no_initial_dump() {
    let route = || route_monitoring(0, 0, &[update(&[], &base_attributes(), &PREFIX)]);
    let end = route_monitoring(0, 0, &[update(&[], &[], &[])]);
    let heard = Heard::of([&plain_peer_up(), &route(), &end, &route()]);
    let dumps: Vec<bool> = heard.updates().iter().map(|update| update.initial_dump).collect();
    assert_eq!(dumps, [true, false, false]);
}

#[test]
fn martians_in_mp_reach_are_routes_like_any_other() {
    let mut reach = vec![0, 2, 1, 16];
    reach.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 128]);
    reach.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    reach.extend([10, 0xfe, 0x80, 0]);
    let mut attributes = base_attributes();
    attributes.extend(attribute(0x80, 14, &reach));
    let heard = Heard::of([&route_monitoring(0, 0, &[update(&[], &attributes, &[])])]);
    assert_eq!(prefixes(&heard.updates()[0].announced), ["ff02::2/128", "fe80::/10", "::/0"]);
}
