//! The ends of dumps, and how each is told.

use ribstream_proto::v1::{Family, RibView, RouteUpdate, RouterDownReason, event::Body};

use crate::{PREFIX, support::*};

const SECOND: u64 = 1_000_000;
const V4: Family = Family { afi: 1, safi: 1 };
const V6: Family = Family { afi: 2, safi: 1 };

fn route(flags: u8) -> Vec<u8> {
    route_monitoring(0, flags, &[update(&[], &base_attributes(), &PREFIX)])
}

fn withdrawal() -> Vec<u8> {
    route_monitoring(0, 0, &[update(&PREFIX, &[], &[])])
}

/// MP_REACH_NLRI of 2001:db8::/32.
fn reach_v6() -> Vec<u8> {
    let next_hop = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let reach = [&[0, 2, 1, 16][..], &next_hop, &[0, 32, 0x20, 1, 0x0d, 0xb8]].concat();
    attribute(0x80, 14, &reach)
}

/// In IPv6 beside, where asked, IPv4.
fn route_v6(with_v4: bool) -> Vec<u8> {
    let attributes = [base_attributes(), reach_v6()].concat();
    let legacy = if with_v4 { &PREFIX[..] } else { &[] };
    route_monitoring(0, 0, &[update(&[], &attributes, legacy)])
}

fn end_of_rib() -> Vec<u8> {
    route_monitoring(0, 0, &[update(&[], &[], &[])])
}

fn end_of_rib_v6() -> Vec<u8> {
    let unreach = attribute(0x80, 15, &[0, 2, 1]);
    route_monitoring(0, 0, &[update(&[], &unreach, &[])])
}

/// Of each route update, what it says of dumps.
fn told(heard: &Heard) -> Vec<(bool, Vec<Family>)> {
    heard.updates().into_iter().map(|update| (update.initial_dump, update.dump_over)).collect()
}

/// A session that has received these messages, each at its second.
fn heard_at(messages: &[(u64, Vec<u8>)]) -> Heard {
    let mut heard = Heard::new();
    for (second, message) in messages {
        heard.message_at(second * SECOND, message);
    }
    heard
}

#[test]
fn an_end_of_rib_says_that_the_dump_is_over_with_or_without_a_route_before_it() {
    let heard = Heard::of([&plain_peer_up(), &route(0), &end_of_rib(), &end_of_rib_v6()]);
    assert_eq!(told(&heard), [(true, vec![]), (false, vec![V4]), (false, vec![V6])]);
}

#[test]
fn an_end_of_rib_in_mid_stream_does_not_say_again_that_the_dump_is_over() {
    let heard = Heard::of([&plain_peer_up(), &end_of_rib(), &route(0), &end_of_rib()]);
    assert_eq!(told(&heard), [(false, vec![V4]), (false, vec![]), (false, vec![])]);
    assert_eq!(heard.updates()[2].end_of_rib, [V4]);
}

#[test]
fn a_new_peer_up_begins_dumps_that_end_again_and_one_for_another_view_does_not() {
    let open = open(65011, &[]);
    let other_view = peer_up(0, 0x40, &open, &open, &[]);
    let same_session =
        Heard::of([&peer_up(0, 0, &open, &open, &[]), &end_of_rib(), &other_view, &end_of_rib()]);
    assert_eq!(told(&same_session), [(false, vec![V4]), (false, vec![])]);
    let new_session = Heard::of([&plain_peer_up(), &end_of_rib(), &plain_peer_up(), &end_of_rib()]);
    assert_eq!(told(&new_session), [(false, vec![V4]), (false, vec![V4])]);
}

#[test]
fn the_first_announcement_past_the_burst_is_news_and_says_that_the_dump_is_over() {
    let messages = [(0, plain_peer_up()), (0, route(0)), (9, withdrawal()), (12, route(0))];
    let mut heard = heard_at(&messages);
    heard.message_at(13 * SECOND, &route(0));
    heard.message_at(14 * SECOND, &end_of_rib());
    heard.heartbeat(100 * SECOND);
    let told = told(&heard);
    let expected =
        [(true, vec![]), (false, vec![]), (false, vec![V4]), (false, vec![]), (false, vec![])];
    assert_eq!(told, expected);
}

#[test]
fn a_message_past_one_burst_and_in_another_says_so_of_the_one_table() {
    let mut heard = heard_at(&[(0, plain_peer_up()), (0, route(0)), (11, route_v6(true))]);
    heard.message_at(30 * SECOND, &route_v6(true));
    assert_eq!(told(&heard), [(true, vec![]), (true, vec![V4]), (false, vec![V6])]);
}

#[test]
fn each_update_of_a_message_says_for_itself_which_dumps_are_over() {
    let both = [update(&[], &[], &[]), update(&[], &attribute(0x80, 15, &[0, 2, 1]), &[])];
    let heard = Heard::of([&plain_peer_up(), &route_monitoring(0, 0, &both)]);
    let (_, event) = heard.events.last().unwrap();
    let Some(Body::RouteUpdate(first)) = &event.body else { panic!() };
    assert_eq!((&first.dump_over[..], first.more.len()), (&[V4][..], 1));
    assert_eq!(first.more[0].dump_over, [V6]);
}

#[test]
fn silence_ends_a_dump_at_the_heartbeat_by_an_event_of_the_collectors_own() {
    let messages = [(1, plain_peer_up()), (1, route(0)), (1, route_v6(false)), (2, route(0x40))];
    let mut heard = heard_at(&messages);
    let before = heard.events.len();
    heard.heartbeat(6 * SECOND);
    heard.heartbeat(15 * SECOND);
    heard.heartbeat(30 * SECOND);
    let (ends, beats): (Vec<_>, Vec<_>) = heard.events[before..]
        .iter()
        .partition(|(_, event)| matches!(event.body, Some(Body::RouteUpdate(_))));
    assert_eq!(beats.len(), 3);
    let over = |view: RibView, families: &[Family]| {
        Some(Body::RouteUpdate(RouteUpdate {
            view: view.into(),
            dump_over: families.to_vec(),
            ..RouteUpdate::default()
        }))
    };
    let bodies: Vec<_> = ends.iter().map(|(_, event)| event.body.clone()).collect();
    assert_eq!(bodies, [over(RibView::AdjRibInPre, &[V4, V6]), over(RibView::AdjRibInPost, &[V4])]);
    for (key, event) in ends {
        assert_eq!(key, "192.0.2.1|0|192.0.2.11");
        // The last message, and the time of the heartbeat.
        assert_eq!((event.sequence, event.received_at), (4, 15 * SECOND));
        assert_eq!((event.router_time, event.peer.is_some()), (None, true));
    }
    heard.message_at(40 * SECOND, &route(0));
    heard.message_at(41 * SECOND, &end_of_rib());
    assert_eq!(told(&heard).split_off(5), [(false, vec![]), (false, vec![])]);
}

#[test]
fn silence_ends_no_dump_of_a_peer_that_is_down_or_has_sent_nothing_of_a_table() {
    let down = bmp(2, &[peer_header(0, 0), vec![4]].concat());
    for messages in [
        vec![(0, plain_peer_up())],
        vec![(0, plain_peer_up()), (0, withdrawal())],
        vec![(0, plain_peer_up()), (0, route(0)), (1, down)],
    ] {
        let mut heard = heard_at(&messages);
        heard.heartbeat(1000 * SECOND);
        heard.end(RouterDownReason::Disconnect);
        assert!(heard.updates().iter().all(|update| update.dump_over.is_empty()));
    }
}

#[test]
fn silence_ends_the_dump_of_a_loc_rib_that_no_peer_up_has_announced() {
    let route = route_monitoring(3, 0, &[update(&[], &base_attributes(), &PREFIX)]);
    let mut heard = heard_at(&[(0, route)]);
    heard.heartbeat(15 * SECOND);
    assert_eq!(told(&heard), [(true, vec![]), (false, vec![V4])]);
    assert_eq!(heard.updates()[1].view(), RibView::LocRib);
}
