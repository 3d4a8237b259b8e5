//! Sessions, and peers that come and go.

use ribstream_proto::v1::{PeerDownReason, RouterDownReason, event::Body};
use ribstream_testkit::captures::capture;

use crate::{PREFIX, support::*};

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
fn route_monitoring_for_a_peer_never_announced_is_published() {
    let mut message = route_monitoring(0, 0, &[update(&[], &base_attributes(), &PREFIX)]);
    message[6 + 10..6 + 10 + 16].fill(0);
    message[6 + 26..6 + 30].fill(0);
    let heard = Heard::of([&message]);
    assert_eq!(heard.events[1].0, "192.0.2.1|0|0.0.0.0");
    assert_eq!(heard.updates().len(), 1);
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
fn loc_ribs_of_two_bgp_instances_are_two_peers() {
    let one = peer_up(3, 0, &bgp(1, &[]), &bgp(1, &[]), &[]);
    let mut two = one.clone();
    two[6 + 30..6 + 34].copy_from_slice(&[192, 0, 2, 99]);
    let heard = Heard::of([&one, &two]);
    assert_eq!(heard.session.peers_up(), 2);
}

#[test]
fn a_timestamp_of_uptime_or_of_long_ago_is_told_as_the_routers_and_orders_nothing() {
    // FRR counts from its boot, BIRD 3 gives the age of the route.
    for (seconds, microseconds) in [(61, 7), (1_000, 0), (0, 5)] {
        let mut message = route_monitoring(0, 0, &[update(&PREFIX, &[], &[])]);
        let time = 6 + 34;
        message[time..time + 4].copy_from_slice(&u32::to_be_bytes(seconds));
        message[time + 4..time + 8].copy_from_slice(&u32::to_be_bytes(microseconds));
        let heard = Heard::of([&plain_peer_up(), &message]);
        let (_, event) = heard.events.last().unwrap();
        let router_time = u64::from(seconds) * 1_000_000 + u64::from(microseconds);
        assert_eq!(event.router_time, Some(router_time));
        assert_eq!((event.received_at, event.sequence), (1_000_000, 2));
    }
}

#[test]
fn a_loc_rib_sent_as_global_peer_0_0_0_0_is_a_peer_of_that_address() {
    let mut up = plain_peer_up();
    up[6 + 10..6 + 26].fill(0);
    let heard = Heard::of([&up]);
    assert_eq!(heard.events[1].0, "192.0.2.1|0|0.0.0.0");
    assert_eq!(heard.session.peers_up(), 1);
}

#[test]
fn a_loc_rib_peer_up_names_its_table_and_its_admin_label() {
    let open = open(65011, &[]);
    let tlvs = [&[0, 3, 0, 3][..], b"red", &[0, 4, 0, 4], b"edge", &[0, 0, 0, 1], b"x"].concat();
    let heard = Heard::of([&peer_up(3, 0x80, &open, &open, &tlvs)]);
    let Body::PeerUp(up) = heard.bodies()[1] else { panic!() };
    let names: Vec<&str> = up.information.iter().map(|tlv| tlv.name.as_str()).collect();
    assert_eq!(names, ["VRF/Table Name", "Admin Label", "String"]);
    let peer = heard.events[1].1.peer.as_ref().unwrap();
    assert_eq!((peer.table_name.as_str(), peer.flags), ("red", 0x80));
}

#[test]
fn peer_up_whose_opens_cannot_be_parsed_keeps_them_raw() {
    let mut wrong_length = open(65011, &[(2, &[])]);
    wrong_length[17] = 200;
    let good = open(65012, &[(2, &[])]);
    for (sent, received) in [
        (wrong_length.clone(), good.clone()),
        (good.clone(), wrong_length.clone()),
        (bgp(2, &[0; 4]), good.clone()),
        (b"no BGP at all".to_vec(), Vec::new()),
        (Vec::new(), Vec::new()),
    ] {
        let heard = Heard::of([&peer_up(0, 0, &sent, &received, &[])]);
        let Body::PeerUp(up) = heard.bodies()[1] else { panic!() };
        let raw = |open: &Option<ribstream_proto::v1::Open>| {
            open.as_ref().map(|open| open.raw.to_vec()).unwrap_or_default()
        };
        assert_eq!(
            [raw(&up.sent_open), raw(&up.received_open)].concat(),
            [sent, received].concat()
        );
        assert_eq!((heard.session.peers_up(), heard.dead.len()), (1, 0));
    }
}

#[test]
fn peer_up_with_a_broken_tlv_at_its_end_keeps_the_others_and_the_rest() {
    let open = open(65011, &[]);
    let heard = Heard::of([&peer_up(3, 0, &open, &open, &[0, 3, 0, 1, b'a', 0, 4, 0, 9, b'b'])]);
    let Body::PeerUp(up) = heard.bodies()[1] else { panic!() };
    assert_eq!((up.information.len(), &up.undecoded[..]), (1, &[0, 4, 0, 9, b'b'][..]));
    assert_eq!(heard.dead.len(), 0);
}

#[test]
fn a_peer_up_for_each_view_is_one_peer_and_begins_no_dump_again() {
    // Routers with Adj-RIB-Out or post-policy send one for each, alike but for the flags.
    let up = |flags| {
        let four = 65011_u32.to_be_bytes();
        let open = open(65011, &[(65, &four)]);
        peer_up(0, flags, &open, &open, &[])
    };
    let route = || route_monitoring(0, 0, &[update(&[], &base_attributes(), &PREFIX)]);
    let end_of_rib = || route_monitoring(0, 0, &[update(&[], &[], &[])]);
    let heard = Heard::of([&up(0), &route(), &end_of_rib(), &up(0x40), &up(0x10), &route()]);
    let dump: Vec<bool> = heard.updates().iter().map(|update| update.initial_dump).collect();
    assert_eq!(dump, [true, false, false]);
    assert_eq!(heard.session.peers_up(), 1);
    assert_eq!(continues(&heard), [false, true, true]);
    let heard = Heard::of([&up(0), &route(), &end_of_rib(), &up(0), &route(), &up(0x40)]);
    assert!(heard.updates()[2].initial_dump, "the same Peer Up again may begin a dump");
    assert_eq!(continues(&heard), [false, false, true]);
}

#[test]
fn a_peer_up_that_is_repeated_tells_of_the_same_bgp_session() {
    let open = open(65011, &[]);
    let other = self::open(65011, &[(2, &[])]);
    let up = peer_up(0, 0, &open, &open, &[]);
    let mut stamped_anew = up.clone();
    stamped_anew[40..44].copy_from_slice(&1_700_000_000_u32.to_be_bytes());
    let mut other_port = up.clone();
    other_port[66..68].copy_from_slice(&50_000_u16.to_be_bytes());
    let other_open = peer_up(0, 0, &open, &other, &[]);
    let mut without_ports = up.clone();
    without_ports[64..68].fill(0);
    let mut down = peer_header(0, 0);
    down.push(4);
    let down = bmp(2, &down);
    let repeats = |messages: &[&Vec<u8>]| {
        let heard = Heard::of(messages.iter().copied());
        let ups = heard.bodies().into_iter().filter_map(|body| match body {
            Body::PeerUp(up) => Some(up.repeats),
            _ => None,
        });
        ups.collect::<Vec<_>>()
    };
    assert_eq!(repeats(&[&up, &up, &stamped_anew]), [false, true, true]);
    let mut other_view = stamped_anew.clone();
    other_view[7] = 0x40;
    assert_eq!(repeats(&[&up, &other_view, &other_view]), [false, false, true]);
    assert_eq!(continues(&Heard::of([&up, &other_view, &other_view])), [false, true, false]);
    assert_eq!(repeats(&[&up, &other_port, &up]), [false; 3]);
    assert_eq!(repeats(&[&up, &other_open]), [false; 2]);
    assert_eq!(repeats(&[&up, &down, &up]), [false; 2]);
    assert_eq!(repeats(&[&without_ports, &without_ports]), [false; 2], "it cannot be told");
    let loc_rib = peer_up(3, 0, &open, &open, &[]);
    assert_eq!(repeats(&[&loc_rib, &loc_rib]), [false, true]);
}

#[test]
fn a_peer_up_for_another_view_after_a_peer_down_is_a_session_of_its_own() {
    let mut down = peer_header(0, 0);
    down.push(4);
    let open = open(65011, &[]);
    let post_policy = peer_up(0, 0x40, &open, &open, &[]);
    let heard = Heard::of([&peer_up(0, 0, &open, &open, &[]), &bmp(2, &down), &post_policy]);
    assert_eq!(continues(&heard), [false, false]);
}

/// Of each Peer Up, whether it says to be for another view.
fn continues(heard: &Heard) -> Vec<bool> {
    let ups = heard.bodies().into_iter().filter_map(|body| match body {
        Body::PeerUp(up) => Some(up.continues),
        _ => None,
    });
    ups.collect()
}

#[test]
fn each_peer_and_the_router_itself_number_their_own_events() {
    let mut other = plain_peer_up();
    other[6 + 10..6 + 26].fill(1);
    let loc_rib = peer_up(3, 0, &bgp(1, &[]), &bgp(1, &[]), &[]);
    let mut loc_rib_of_another_instance = loc_rib.clone();
    loc_rib_of_another_instance[6 + 30..6 + 34].copy_from_slice(&[192, 0, 2, 99]);
    let route = route_monitoring(0, 0x40, &[update(&[], &base_attributes(), &PREFIX)]);
    let broken = route_monitoring(0, 0, &[update(&[], &base_attributes(), &[33, 1, 2, 3, 4, 5])]);
    let stats = bmp(1, &[peer_header(0, 0), vec![0; 4]].concat());
    let mirror = bmp(6, &peer_header(0, 0));
    let down = bmp(2, &[peer_header(0, 0), vec![4]].concat());
    let mut heard = Heard::of([
        &bmp(4, &[]),
        &plain_peer_up(),
        &other,
        &route,
        &broken,
        &loc_rib,
        &loc_rib_of_another_instance,
        &stats,
        &mirror,
    ]);
    heard.heartbeat(30_000_000);
    heard.message(&down);
    heard.message(&route);
    heard.end(RouterDownReason::Disconnect);
    let numbers_of = |key: &str| -> Vec<u64> {
        let of_key = heard.events.iter().filter(|(k, _)| k == key);
        of_key.map(|(_, event)| event.peer_sequence).collect()
    };
    assert_eq!(heard.dead.len(), 1);
    // Initiation, heartbeat, and the end.
    assert_eq!(numbers_of("192.0.2.1"), [1, 2, 3]);
    // Up, route, statistics, mirrored, dumped, down, route: the broken message has no event.
    assert_eq!(numbers_of("192.0.2.1|0|192.0.2.11"), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(numbers_of("192.0.2.1|0|101:101:101:101:101:101:101:101"), [1, 2]);
    // One key, two peers: up and lost.
    assert_eq!(numbers_of("192.0.2.1|0|loc-rib"), [1, 1, 2, 2]);
}

fn peer_down(bytes: &[u8]) -> ribstream_proto::v1::PeerDown {
    let mut body = peer_header(0, 0);
    body.extend(bytes);
    let heard = Heard::of([&plain_peer_up(), &bmp(2, &body)]);
    assert_eq!((heard.session.peers_up(), heard.dead.len()), (0, 0));
    let Body::PeerDown(down) = heard.bodies()[2] else { panic!() };
    down.clone()
}

#[test]
fn peer_down_of_reason_0_or_unknown_or_without_its_notification_ends_the_peer() {
    for bytes in [&[0][..], &[0, 1, 2], &[1], &[3], &[1, 9, 9], &[2], &[2, 0], &[4], &[99, 1]] {
        let down = peer_down(bytes);
        assert_eq!(down.reason, i32::from(bytes[0]));
        assert_eq!(down.notification, None);
        assert_eq!(&down.data[..], &bytes[1..]);
    }
}

#[test]
fn peer_down_names_its_notification_and_its_fsm_event() {
    let down = peer_down(&[2, 0, 10]);
    assert_eq!((down.fsm_event, down.fsm_event_name.as_str()), (Some(10), "HoldTimer_Expires"));
    let notification = |body: &[u8]| {
        let down = peer_down(&[&[1][..], &bgp(3, body)].concat());
        down.notification.unwrap()
    };
    let hold = notification(&[4, 0]);
    assert_eq!((hold.code_name.as_str(), hold.subcode_name.as_str()), ("Hold Timer Expired", ""));
    let shutdown = notification(b"\x06\x02\x05later");
    assert_eq!(shutdown.subcode_name, "Administrative Shutdown");
    assert_eq!(shutdown.shutdown_communication.as_deref(), Some("later"));
    let reset = notification(b"\x06\x09\x06\x04\x05later");
    assert_eq!(reset.subcode_name, "Hard Reset");
    assert_eq!(reset.shutdown_communication.as_deref(), Some("later"));
    let enclosed = reset.enclosed.unwrap();
    assert_eq!(enclosed.subcode_name, "Administrative Reset");
}

#[test]
fn an_initiation_with_a_broken_tlv_keeps_the_others_and_says_so() {
    let heard = Heard::of([&bmp(4, &[0, 2, 0, 1, b'a', 0, 1, 0, 9, b'b'])]);
    let Body::RouterUp(up) = heard.bodies()[0] else { panic!() };
    assert_eq!(up.sys_name.as_deref(), Some("a"));
    assert_eq!(heard.dead[0].reason, "malformed-tlv");
    let heard = Heard::of([&bmp(4, &[]), &bmp(5, &[0, 1, 0, 2, 0, 0, 0, 0])]);
    assert!(heard.session.terminated());
    assert_eq!(heard.dead.len(), 1);
}

#[test]
fn two_routers_behind_one_address_have_sessions_of_their_own() {
    let mut one = Heard::of([&plain_peer_up()]);
    let two = Heard::of([&plain_peer_up()]);
    one.end(RouterDownReason::Disconnect);
    assert_eq!((one.session.peers_up(), two.session.peers_up()), (0, 1));
}
