//! Tells the initial dump of a table from news.
//!
//! After a Peer Up a router sends the whole of each table (RFC 7854, 5), and then
//! an End-of-RIB, if it is one that does. Many do not, or not for each table. So a
//! dump ends at the End-of-RIB of its view and family or, failing that, when the
//! burst is over: with the first stretch of [`WINDOW`] that brings less than
//! one in [`QUIET_SHARE`] of what the busiest stretch so far has brought. Time is
//! that of reception.

use ribstream_proto::family::AfiSafi;

use crate::bmp::View;

/// Microseconds. Routers pause within a dump, for a second or two when busy; a
/// table of a few routes is over well before.
const WINDOW: u64 = 5_000_000;

/// A full table comes at thousands of messages a second, its churn at tens.
const QUIET_SHARE: u64 = 20;

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

    /// A message announces routes of a table: whether it belongs to the dump.
    pub(super) fn announced(&mut self, view: View, family: AfiSafi, now: u64) -> bool {
        let dump = self.table(view, family, now);
        if dump.over {
            return false;
        }
        let since = now.saturating_sub(dump.window_began);
        if since >= WINDOW {
            // A stretch in which nothing came at all may lie in between.
            let quiet = since >= 2 * WINDOW || dump.in_window * QUIET_SHARE < dump.busiest;
            dump.busiest = dump.busiest.max(dump.in_window);
            dump.window_began = now;
            dump.in_window = 0;
            dump.over = quiet;
        }
        dump.in_window += 1;
        !dump.over
    }

    /// An End-of-RIB.
    pub(super) fn end_of_rib(&mut self, view: View, family: AfiSafi, now: u64) {
        self.table(view, family, now).over = true;
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

#[cfg(test)]
mod tests {
    use super::*;

    const V4: AfiSafi = AfiSafi::IPV4_UNICAST;
    const SECOND: u64 = 1_000_000;

    #[test]
    fn end_of_rib_ends_the_dump_of_its_own_table_only() {
        let mut dumps = Dumps::default();
        assert!(dumps.announced(View::AdjInPre, V4, 0));
        dumps.end_of_rib(View::AdjInPre, V4, 0);
        assert!(!dumps.announced(View::AdjInPre, V4, 0));
        assert!(dumps.announced(View::AdjInPost, V4, 0));
        assert!(dumps.announced(View::AdjInPre, AfiSafi::IPV6_UNICAST, 0));
        dumps.restart();
        assert!(dumps.announced(View::AdjInPre, V4, 0));
    }

    #[test]
    fn without_end_of_rib_the_dump_ends_with_its_burst() {
        let mut dumps = Dumps::default();
        for n in 0..10_000 {
            assert!(dumps.announced(View::AdjInPre, V4, n * 600));
        }
        // Churn at ten messages a second, never quiet for long.
        let news: Vec<bool> = (70..400)
            .map(|tenth| !dumps.announced(View::AdjInPre, V4, tenth * SECOND / 10))
            .collect();
        // The stretch that the burst ends in says nothing yet, the one after it does.
        let first = news.iter().position(|news| *news).unwrap();
        assert!((70..90).contains(&first), "{first}");
        assert!(news[first..].iter().all(|news| *news));
    }

    #[test]
    fn without_end_of_rib_a_pause_ends_the_dump_of_a_small_table() {
        let mut dumps = Dumps::default();
        assert!(dumps.announced(View::LocRib, V4, 0));
        assert!(dumps.announced(View::LocRib, V4, SECOND));
        assert!(!dumps.announced(View::LocRib, V4, 11 * SECOND));
    }
}
