//! Stories of a route, told by one session or several.

use ribstream_proto::v1::PeerDownReason;

use super::*;
use crate::rows::{PeerSlot, Told};

const TABLE: RibTable = RibTable { view: 1, afi: 1, safi: 1 };
const V1: &[u8] = &[0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1];
const V2: &[u8] = &[0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 2, 2];
const V3: &[u8] = &[0, 0, 0, 1, 3, 3, 3, 3, 3, 3, 3, 3];

/// A peer and one of its routes, and events a second apart.
#[derive(Default)]
struct Story {
    peer: PeerState,
    route: Option<RouteState>,
    time: i64,
    router_time: Option<i64>,
    /// The session whose collector's clock is an hour ahead.
    ahead: Option<i64>,
    /// All comes into the topic at once.
    at_once: bool,
}

impl Story {
    fn place(&mut self, session: i64) -> Place {
        self.time += 1_000_000;
        Place {
            peer: PeerSlot(0),
            session,
            sequence: self.time / 1_000_000,
            peer_sequence: 0,
            time: self.time + if self.ahead == Some(session) { 3_600_000_000 } else { 0 },
            logged: if self.at_once { 7 } else { self.time },
            router_time: self.router_time,
        }
    }

    fn up(&mut self, session: i64) {
        let place = self.place(session);
        self.peer.up(&place, Told::Anew);
    }

    fn up_again(&mut self, session: i64) {
        let place = self.place(session);
        self.peer.up(&place, Told::Again);
    }

    fn down(&mut self, session: i64) {
        let place = self.place(session);
        self.peer.down(&place, 3);
    }

    fn dump_over(&mut self, session: i64) {
        let place = self.place(session);
        self.peer.dump_over(&place, TABLE);
    }

    fn say(&mut self, session: i64, signature: Option<&[u8]>) -> &'static str {
        let place = self.place(session);
        let statement = Statement { place: &place, table: TABLE, signature };
        match apply(&statement, &self.peer, &mut self.route) {
            Outcome::Version(tail) | Outcome::Row(tail) => tail.change.name(),
            Outcome::Echo => "echo",
            Outcome::Past => "past",
        }
    }

    fn current(&self) -> Option<&[u8]> {
        let route = self.route.as_ref()?;
        route.is_current(&self.peer, TABLE).then_some(&*route.signature)
    }
}

#[test]
fn one_session_tells_news_from_repetitions() {
    let mut story = Story::default();
    story.up(1);
    assert_eq!(story.say(1, None), "withdrawn-unknown");
    assert_eq!(story.say(1, Some(V1)), "new");
    assert_eq!(story.say(1, Some(V1)), "refresh");
    assert_eq!(story.say(1, Some(V2)), "changed");
    assert_eq!(story.say(1, None), "withdrawn");
    assert_eq!(story.current(), None);
    assert_eq!(story.say(1, None), "withdrawn-unknown");
    assert_eq!(story.say(1, Some(V2)), "new");
    let route = story.route.unwrap();
    assert_eq!((route.changes, route.withdrawals), (2, 1));
}

#[test]
fn a_change_says_what_it_replaced_and_since_when_that_was() {
    let mut story = Story::default();
    story.up(1);
    story.say(1, Some(V1));
    let began = story.time;
    story.say(1, Some(V1));
    let place = story.place(1);
    let statement = Statement { place: &place, table: TABLE, signature: Some(V2) };
    let outcome = apply(&statement, &story.peer, &mut story.route);
    let change = Tail { change: Change::Changed, changed: Some(1), replaced: Some(began) };
    assert_eq!(outcome, Outcome::Version(change));
}

#[test]
fn what_a_peer_held_ends_with_its_last_hold_and_returns_with_the_next() {
    let mut story = Story::default();
    story.up(1);
    story.say(1, Some(V1));
    story.down(1);
    assert_eq!(story.current(), None);
    assert_eq!(story.say(1, Some(V2)), "unheld");
    assert_eq!(story.current(), None);
    story.up(1);
    assert_eq!(story.current(), None);
    assert_eq!(story.say(1, Some(V1)), "returned");
    assert_eq!(story.current(), Some(V1));
    story.up(1);
    assert_eq!(story.current(), None, "up again without a down: the table begins anew");
    let epochs: Vec<i32> = story.peer.epochs.iter().map(|epoch| epoch.number).collect();
    assert_eq!(epochs, [1, 2, 3]);
}

#[test]
fn two_sessions_tell_each_change_once_whoever_is_first() {
    let mut story = Story::default();
    story.up(1);
    story.up(2);
    for (session, version, outcome) in [
        (1, Some(V1), "new"),
        (2, Some(V1), "echo"),
        // The second is ahead.
        (2, Some(V2), "changed"),
        (1, Some(V2), "echo"),
        // The first runs two steps ahead, and the second follows.
        (1, Some(V3), "changed"),
        (1, Some(V1), "changed"),
        (2, Some(V3), "past"),
        (2, Some(V1), "echo"),
        (2, None, "withdrawn"),
        (2, Some(V2), "new"),
        (1, None, "past"),
        (1, Some(V2), "echo"),
        // What the one who told repeats is the router's.
        (2, Some(V2), "refresh"),
        (1, Some(V2), "echo"),
    ] {
        assert_eq!(story.say(session, version), outcome, "{session} {version:?}");
    }
    assert_eq!(story.current(), Some(V2));
    story.down(2);
    assert_eq!(story.current(), Some(V2), "the first carries on");
    assert_eq!(story.say(1, Some(V2)), "refresh");
    assert_eq!(story.say(1, Some(V3)), "changed");
    assert_eq!(story.peer.epoch_number(), 1);
}

#[test]
fn the_routers_own_time_tells_the_past_from_news() {
    let mut story = Story::default();
    story.up(1);
    story.up(2);
    for (session, version, at, outcome) in [
        (1, Some(V1), 10, "new"),
        (2, Some(V1), 10, "echo"),
        (1, Some(V2), 20, "changed"),
        (1, Some(V3), 30, "changed"),
        // The router has left out a step towards the second, which is ahead.
        (2, Some(V1), 40, "changed"),
        (1, Some(V2), 35, "past"),
        (1, Some(V1), 40, "echo"),
    ] {
        story.router_time = Some(at * 1_000_000);
        assert_eq!(story.say(session, version), outcome, "{session} {version:?}");
    }
}

#[test]
fn router_times_a_few_microseconds_apart_tell_nothing() {
    // FRR stamps what it sends to two collectors for each anew.
    let mut story = Story::default();
    story.up(1);
    story.up(2);
    for (session, version, at, outcome) in [
        (1, Some(V1), 10_000_000, "new"),
        (2, Some(V1), 10_000_000, "echo"),
        (1, None, 20_000_010, "withdrawn"),
        (2, None, 20_000_002, "echo"),
        // The second goes on before the first, by an earlier stamp.
        (2, Some(V2), 20_000_008, "new"),
        (1, Some(V2), 20_000_013, "echo"),
        (1, None, 30_000_000, "withdrawn"),
        (1, Some(V1), 30_000_002, "new"),
        // The second follows, by later stamps.
        (2, None, 30_001_002, "past"),
        (2, Some(V1), 30_001_002, "echo"),
        // More than a millisecond is an answer.
        (1, Some(V2), 40_000_000, "changed"),
        (2, Some(V3), 39_998_999, "past"),
    ] {
        story.router_time = Some(at);
        assert_eq!(story.say(session, version), outcome, "{session} {version:?} {at}");
    }
}

#[test]
fn a_session_leads_from_its_own_withdrawal_of_a_route_that_a_dump_has_ended() {
    let mut story = Story::default();
    story.up(1);
    story.up(2);
    story.router_time = Some(10_000_000);
    assert_eq!(story.say(2, Some(V1)), "new");
    assert_eq!(story.say(1, Some(V1)), "echo");
    // The first comes back without it, while the second still repeats what was.
    story.down(1);
    story.up(1);
    story.dump_over(1);
    for (session, version, at, outcome) in [
        (1, None, 20_000_000, "withdrawn-unknown"),
        (2, Some(V1), 10_000_000, "past"),
        (1, Some(V2), 20_000_000, "new"),
        (2, Some(V1), 10_000_000, "past"),
        (2, None, 20_000_000, "past"),
        (2, Some(V2), 20_000_000, "echo"),
    ] {
        story.router_time = Some(at);
        assert_eq!(story.say(session, version), outcome, "{session} {version:?} {at}");
    }
    assert_eq!(story.current(), Some(V2));
}

#[test]
fn a_new_session_knows_better_than_what_is_older_than_it() {
    // Its first session was never seen to end: its collector was killed.
    let mut story = Story { router_time: Some(1000), ..Story::default() };
    story.up(1);
    story.say(1, Some(V1));
    story.up(2);
    // The router's clock began anew.
    story.router_time = Some(10);
    assert_eq!(story.say(2, Some(V2)), "changed");
    assert_eq!(story.current(), Some(V2));
}

#[test]
fn what_a_new_sessions_dump_does_not_repeat_is_gone() {
    let mut story = Story::default();
    story.up(1);
    story.say(1, Some(V1));
    story.up(2);
    assert_eq!(story.current(), Some(V1), "nothing flickers");
    story.dump_over(2);
    assert_eq!(story.current(), None);
    assert_eq!(story.say(2, Some(V1)), "returned");
    story.down(2);
    assert_eq!(story.current(), Some(V1));
}

#[test]
fn what_a_new_sessions_dump_repeats_stays_and_is_no_news() {
    let mut story = Story::default();
    story.up(1);
    story.say(1, Some(V1));
    story.up(2);
    assert_eq!(story.say(2, Some(V1)), "echo");
    story.dump_over(2);
    assert_eq!(story.current(), Some(V1));
    story.down(1);
    assert_eq!(story.current(), Some(V1));
    assert_eq!(story.route.as_ref().unwrap().first_seen, 2_000_000);
}

#[test]
fn a_dump_spares_what_another_session_told_since_it_began() {
    let mut story = Story::default();
    story.up(1);
    story.up(2);
    story.say(1, Some(V1));
    story.dump_over(2);
    assert_eq!(story.current(), Some(V1));
}

#[test]
fn a_dump_that_began_earlier_and_ended_later_brings_nothing_back() {
    let mut story = Story::default();
    story.up(1);
    story.say(1, Some(V1));
    story.up(2);
    story.dump_over(2);
    assert_eq!(story.current(), None);
    story.dump_over(1);
    assert_eq!(story.current(), None);
}

#[test]
fn a_late_withdrawal_of_a_route_that_a_dump_has_ended_keeps_it_ended() {
    let mut story = Story::default();
    story.up(1);
    story.say(1, Some(V1));
    story.up(2);
    story.dump_over(2);
    story.say(1, None);
    let route = story.route.as_ref().unwrap();
    assert_eq!(route.withdrawn, Some(story.time));
    assert_eq!(story.say(1, Some(V1)), "new", "it does not return, it was withdrawn");
}

#[test]
fn a_route_is_the_same_in_whichever_order_the_holds_of_its_peer_were_read() {
    let tell = |shuffle: bool| {
        let mut story = Story::default();
        for session in [1, 2, 3, 4] {
            story.up(session);
        }
        for (session, version) in [(2, V1), (4, V1), (3, V2), (1, V2), (2, V3)] {
            if shuffle {
                story.peer.holds.rotate_left(1);
            }
            story.say(session, Some(version));
        }
        story.route
    };
    assert_eq!(tell(false), tell(true));
}

#[test]
fn a_peer_that_never_came_up_is_held_by_its_routes() {
    let mut story = Story::default();
    let place = story.place(1);
    story.peer.monitored(&place);
    assert_eq!(story.say(1, Some(V1)), "new");
    assert_eq!(story.current(), Some(V1));
    story.down(1);
    let place = story.place(1);
    story.peer.monitored(&place);
    assert!(!story.peer.is_up(), "the session has said that it is down");
}

#[test]
fn numbers_show_what_is_missing_and_what_came_twice() {
    use super::super::peer::Order;
    let mut story = Story::default();
    let mut order = |number| {
        let place = Place { peer_sequence: number, ..story.place(1) };
        story.peer.number(&place)
    };
    assert_eq!(order(1), Order::Next);
    assert_eq!(order(2), Order::Next);
    assert_eq!(order(2), Order::Duplicate);
    assert_eq!(order(5), Order::Next);
    assert_eq!(order(1), Order::Duplicate);
    let gaps: Vec<_> = story.peer.gaps.iter().map(|gap| (gap.after, gap.before)).collect();
    assert_eq!(gaps, [(2, 5)]);
}

/// The same, where the router gives its own time.
fn timed() -> Story {
    Story { router_time: Some(0), ..Story::default() }
}

#[test]
fn a_peer_down_ends_what_a_session_holds_whose_collector_has_died() {
    let mut story = timed();
    story.up(1);
    story.say(1, Some(V1));
    story.router_time = Some(10_000_000);
    story.up(2);
    assert_eq!(story.say(2, Some(V1)), "echo");
    story.router_time = Some(20_000_000);
    story.down(2);
    assert!(!story.peer.is_up());
    story.up(2);
    assert_eq!(story.peer.epoch_number(), 2);
    assert_eq!(story.current(), None, "nothing is left, though no dump says so");
    assert_eq!(story.say(2, Some(V1)), "returned");

    // It was only slow, and lives.
    story.router_time = Some(15_000_000);
    assert_eq!(story.say(1, Some(V2)), "past");
    story.dump_over(1);
    let again = story.place(1);
    story.peer.up(&again, Told::ForAnotherTable);
    assert_eq!(story.say(1, None), "past", "a Peer Up for another view is of the past too");
    story.up_again(1);
    assert_eq!(story.say(1, None), "past", "and so is one that is repeated");
    story.down(1);
    assert_eq!(story.say(1, None), "unheld");
    assert_eq!(story.current(), Some(V1));
    story.router_time = Some(20_000_000);
    story.up(1);
    assert_eq!(story.say(1, Some(V1)), "echo");
    assert_eq!(story.peer.epoch_number(), 2);
}

#[test]
fn a_peer_that_comes_up_again_ends_what_a_session_holds_whose_collector_has_died() {
    let mut story = timed();
    story.up(1);
    story.say(1, Some(V1));
    story.up(2);
    story.router_time = Some(20_000_000);
    story.up(2);
    assert_eq!(story.current(), None);
    assert_eq!(story.peer.epoch_number(), 2);
}

#[test]
fn a_peer_up_that_is_repeated_ends_nothing() {
    let mut story = timed();
    story.up(1);
    story.say(1, Some(V1));
    story.up(2);
    assert_eq!(story.say(2, Some(V1)), "echo");
    story.router_time = Some(20_000_000);
    story.up_again(2);
    assert_eq!(story.current(), Some(V1));
    assert_eq!(story.say(1, Some(V2)), "changed");
    let place = story.place(2);
    story.peer.down(&place, PeerDownReason::SessionLost as i32);
    assert_eq!(story.current(), Some(V2));
    story.up_again(1);
    assert_eq!(story.current(), Some(V2));
    assert_eq!(story.peer.epoch_number(), 1);
}

#[test]
fn the_dump_behind_a_peer_up_that_is_repeated_leaves_out_what_is_gone() {
    let mut story = Story::default();
    story.up(1);
    story.say(1, Some(V1));
    story.dump_over(1);
    story.up_again(1);
    assert_eq!(story.current(), Some(V1), "until the dump is over");
    story.dump_over(1);
    assert_eq!(story.current(), None);
    assert_eq!(story.say(1, Some(V1)), "returned");
    assert_eq!(story.peer.epoch_number(), 1);
}

#[test]
fn a_dump_that_is_repeated_leaves_out_nothing_of_a_session_that_is_ahead() {
    let mut story = timed();
    story.up(1);
    story.up(2);
    let say = |story: &mut Story, session, at, signature| {
        story.router_time = Some(at);
        story.say(session, Some(signature))
    };
    assert_eq!(say(&mut story, 1, 1_000_000, V1), "new");
    assert_eq!(say(&mut story, 1, 2_000_000, V2), "changed");
    assert_eq!(say(&mut story, 1, 4_000_000, V1), "changed");
    assert_eq!(say(&mut story, 2, 1_000_000, V1), "echo");
    assert_eq!(say(&mut story, 2, 2_000_000, V2), "past");
    story.router_time = Some(3_000_000);
    story.up_again(2);
    assert_eq!(say(&mut story, 2, 2_000_000, V2), "past");
    story.dump_over(2);
    assert_eq!(story.current(), Some(V1));
    assert_eq!(say(&mut story, 2, 4_000_000, V1), "echo");
}

#[test]
fn a_peer_down_ends_nothing_that_may_have_begun_since() {
    for began in [Some(20_000_001), Some(19_000_001), None] {
        let mut story = timed();
        story.up(1);
        story.router_time = began;
        story.up(2);
        story.say(2, Some(V1));
        // The first is slow: this is of the time before.
        story.router_time = Some(20_000_000);
        story.down(1);
        assert_eq!(story.current(), Some(V1), "{began:?}");
    }
}

#[test]
fn what_says_nothing_of_the_peer_ends_nothing_that_another_session_holds() {
    for reason in [PeerDownReason::SessionLost, PeerDownReason::PeerDeConfigured] {
        let mut story = timed();
        story.up(1);
        story.up(2);
        story.say(1, Some(V1));
        story.router_time = Some(20_000_000);
        let place = story.place(2);
        story.peer.down(&place, reason as i32);
        assert_eq!(story.current(), Some(V1), "{reason:?}");
    }
}

#[test]
fn the_clocks_of_collectors_may_disagree() {
    let mut story = Story { ahead: Some(1), ..Story::default() };
    story.up(1);
    assert_eq!(story.say(1, Some(V1)), "new");
    story.dump_over(1);
    // Its collector is dead, and the router has come back to another.
    story.up(2);
    assert_eq!(story.say(2, Some(V2)), "changed");
    assert_eq!(story.current(), Some(V2));
    story.dump_over(2);
    assert_eq!(story.current(), Some(V2));
    // What came after the dump is there, whatever time that was by the first one's clock.
    story.route = None;
    story.up(3);
    assert_eq!(story.say(3, Some(V1)), "new");
    assert_eq!(story.current(), Some(V1));
}

#[test]
fn a_dump_by_a_clock_that_is_ahead_spares_what_comes_after_it() {
    let mut story = Story { ahead: Some(1), ..Story::default() };
    story.up(1);
    story.dump_over(1);
    story.up(2);
    assert_eq!(story.say(2, Some(V1)), "new");
    assert_eq!(story.current(), Some(V1));
    // And that of the other replaces it, which began later.
    story.up_again(2);
    story.dump_over(2);
    assert_eq!(story.peer.dumps.values().map(|dump| dump.session).collect::<Vec<_>>(), [2]);
}

#[test]
fn of_what_comes_into_the_topic_at_once_receive_times_tell_what_was_first() {
    let mut story = Story { at_once: true, ..Story::default() };
    story.up(1);
    story.up(2);
    for (session, said) in [(1, "new"), (2, "echo")] {
        assert_eq!(story.say(session, Some(V1)), said);
    }
    assert_eq!(story.say(1, Some(V2)), "changed");
    assert_eq!(story.say(1, Some(V1)), "changed");
    // It would have two steps to go, but that it came up after them.
    story.down(2);
    story.up(2);
    assert_eq!(story.say(2, Some(V2)), "changed");
    // A dump that began after that, and has not the route.
    story.up(3);
    story.dump_over(3);
    assert_eq!(story.current(), None);
}
