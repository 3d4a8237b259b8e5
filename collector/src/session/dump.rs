//! Tells the initial dump of a table from news.
//!
//! After a Peer Up a router sends the whole of each table (RFC 7854, 5), and then
//! an End-of-RIB, if it is one that does. Many do not, or not for each table. So a
//! dump ends at the End-of-RIB of its view and family or, failing that, when the
//! burst is over: with the first stretch of [`WINDOW`] that brings less than
//! one in [`QUIET_SHARE`] of what the busiest stretch so far has brought. Time is
//! that of reception. A dump is over once, and each end of one is told.

use std::mem;

use ribstream_proto::family::AfiSafi;

use crate::bmp::View;

/// Microseconds. Routers pause within a dump, for a second or two when busy; a
/// table of a few routes is over well before.
const WINDOW: u64 = 5_000_000;

/// A full table comes at thousands of messages a second, its churn at tens.
const QUIET_SHARE: u64 = 20;

/// What the routes that a message announces are to the dump of their table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Routes {
    /// Part of it.
    OfDump,
    /// Past it, and what shows that it is over.
    FirstNews,
    /// Past it.
    News,
}

/// The dumps of one peer.
#[derive(Debug, Default)]
pub(super) struct Dumps {
    tables: Vec<Dump>,
}

#[derive(Debug)]
struct Dump {
    view: View,
    family: AfiSafi,
    over: bool,
    window_began: u64,
    in_window: u64,
    busiest: u64,
}

impl Dumps {
    /// A Peer Up: all tables are to be dumped again.
    pub(super) fn restart(&mut self) {
        self.tables.clear();
    }

    /// A message announces routes of a table.
    pub(super) fn announced(&mut self, view: View, family: AfiSafi, now: u64) -> Routes {
        let dump = self.table(view, family, now);
        if dump.over {
            return Routes::News;
        }
        if dump.is_quiet(now) {
            dump.over = true;
            return Routes::FirstNews;
        }
        if now.saturating_sub(dump.window_began) >= WINDOW {
            dump.busiest = dump.busiest.max(dump.in_window);
            dump.window_began = now;
            dump.in_window = 0;
        }
        dump.in_window += 1;
        Routes::OfDump
    }

    /// An End-of-RIB: whether it ends a dump, which one in mid-stream does not.
    pub(super) fn end_of_rib(&mut self, view: View, family: AfiSafi, now: u64) -> bool {
        !mem::replace(&mut self.table(view, family, now).over, true)
    }

    /// Ends the dumps whose burst is over though no message has come since, and says
    /// whose they were, each view once.
    pub(super) fn end_quiet(&mut self, now: u64) -> Vec<(View, Vec<AfiSafi>)> {
        let mut ended: Vec<(View, Vec<AfiSafi>)> = Vec::new();
        for dump in self.tables.iter_mut().filter(|dump| !dump.over && dump.is_quiet(now)) {
            dump.over = true;
            match ended.iter_mut().find(|(view, _)| *view == dump.view) {
                Some((_, families)) => families.push(dump.family),
                None => ended.push((dump.view, vec![dump.family])),
            }
        }
        ended
    }

    fn table(&mut self, view: View, family: AfiSafi, now: u64) -> &mut Dump {
        let known = self.tables.iter().position(|t| t.view == view && t.family == family);
        let index = known.unwrap_or(self.tables.len());
        if known.is_none() {
            self.tables.push(Dump {
                view,
                family,
                over: false,
                window_began: now,
                in_window: 0,
                busiest: 0,
            });
        }
        &mut self.tables[index]
    }
}

impl Dump {
    /// The burst is over by the stretch that ends `now`.
    fn is_quiet(&self, now: u64) -> bool {
        let since = now.saturating_sub(self.window_began);
        // A stretch in which nothing came at all may lie in between.
        since >= 2 * WINDOW || since >= WINDOW && self.in_window * QUIET_SHARE < self.busiest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: AfiSafi = AfiSafi::IPV4_UNICAST;
    const SECOND: u64 = 1_000_000;

    #[test]
    fn end_of_rib_ends_the_dump_of_its_own_table_only() {
        let mut dumps = Dumps::default();
        assert_eq!(dumps.announced(View::AdjInPre, V4, 0), Routes::OfDump);
        assert!(dumps.end_of_rib(View::AdjInPre, V4, 0));
        assert_eq!(dumps.announced(View::AdjInPre, V4, 0), Routes::News);
        assert!(!dumps.end_of_rib(View::AdjInPre, V4, 0), "it was over");
        assert_eq!(dumps.announced(View::AdjInPost, V4, 0), Routes::OfDump);
        assert_eq!(dumps.announced(View::AdjInPre, AfiSafi::IPV6_UNICAST, 0), Routes::OfDump);
        dumps.restart();
        assert_eq!(dumps.announced(View::AdjInPre, V4, 0), Routes::OfDump);
    }

    #[test]
    fn without_end_of_rib_the_dump_ends_with_its_burst() {
        let mut dumps = Dumps::default();
        for n in 0..10_000 {
            assert_eq!(dumps.announced(View::AdjInPre, V4, n * 600), Routes::OfDump);
        }
        // Churn at ten messages a second, never quiet for long.
        let routes: Vec<Routes> = (70..400)
            .map(|tenth| dumps.announced(View::AdjInPre, V4, tenth * SECOND / 10))
            .collect();
        // The stretch that the burst ends in says nothing yet, the one after it does.
        let first = routes.iter().position(|routes| *routes == Routes::FirstNews).unwrap();
        assert!((70..90).contains(&first), "{first}");
        assert!(routes[..first].iter().all(|routes| *routes == Routes::OfDump));
        assert!(routes[first + 1..].iter().all(|routes| *routes == Routes::News));
    }

    #[test]
    fn without_end_of_rib_a_pause_ends_the_dump_of_a_small_table() {
        let mut dumps = Dumps::default();
        assert_eq!(dumps.announced(View::LocRib, V4, 0), Routes::OfDump);
        assert_eq!(dumps.announced(View::LocRib, V4, SECOND), Routes::OfDump);
        assert_eq!(dumps.announced(View::LocRib, V4, 11 * SECOND), Routes::FirstNews);
    }

    #[test]
    fn silence_ends_each_dump_once() {
        let v6 = AfiSafi::IPV6_UNICAST;
        let mut dumps = Dumps::default();
        dumps.announced(View::AdjInPre, V4, 0);
        dumps.announced(View::LocRib, V4, SECOND);
        dumps.announced(View::AdjInPre, v6, 2 * SECOND);
        dumps.end_of_rib(View::AdjInPost, V4, 2 * SECOND);
        assert_eq!(dumps.end_quiet(10 * SECOND - 1), []);
        assert_eq!(dumps.end_quiet(10 * SECOND), [(View::AdjInPre, vec![V4])]);
        let rest = dumps.end_quiet(12 * SECOND);
        assert_eq!(rest, [(View::LocRib, vec![V4]), (View::AdjInPre, vec![v6])]);
        assert_eq!(dumps.end_quiet(1000 * SECOND), []);
        assert_eq!(dumps.announced(View::LocRib, V4, 1000 * SECOND), Routes::News);
    }

    #[test]
    fn a_stretch_of_little_ends_a_dump_though_no_message_comes_behind_it() {
        let mut dumps = Dumps::default();
        for n in 0..100 {
            dumps.announced(View::AdjInPre, V4, n * SECOND / 25);
        }
        // Begins the second stretch, which brings this one message.
        assert_eq!(dumps.announced(View::AdjInPre, V4, 5 * SECOND), Routes::OfDump);
        assert_eq!(dumps.end_quiet(10 * SECOND - 1), []);
        assert_eq!(dumps.end_quiet(10 * SECOND), [(View::AdjInPre, vec![V4])]);
    }
}
