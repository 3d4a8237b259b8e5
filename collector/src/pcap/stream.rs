//! One direction of a TCP connection, put together from its segments.
//!
//! Segments may come in any order, again, and overlapping; sequence numbers may
//! wrap. What comes first of an octet counts.

use std::collections::BTreeMap;

/// How far from the next octet a segment may lie. No BMP speaker has buffers as
/// large; one that lies further is of another connection.
const WINDOW: u32 = 64 << 20;
/// What it takes to hold a segment, beside its octets.
const OVERHEAD: usize = 96;

/// A segment that does not belong to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfWindow;

/// A TCP stream.
#[derive(Debug)]
pub(super) struct Stream {
    /// The sequence number of the next octet.
    next: u32,
    /// How many octets came before it.
    offset: u64,
    /// What came early, by its offset.
    early: BTreeMap<u64, Vec<u8>>,
    held: usize,
    /// Where the stream ends, if a FIN has said so.
    end: Option<u64>,
    cut: bool,
}

impl Stream {
    /// A stream whose first octet has the sequence number `first`.
    #[must_use]
    pub(super) const fn new(first: u32) -> Self {
        Self { next: first, offset: 0, early: BTreeMap::new(), held: 0, end: None, cut: false }
    }

    /// Takes a segment, and adds to `ready` what is now in order.
    pub(super) fn segment(
        &mut self,
        sequence: u32,
        data: &[u8],
        fin: bool,
        cut: bool,
        ready: &mut Vec<u8>,
    ) -> Result<(), OutOfWindow> {
        let ahead = sequence.wrapping_sub(self.next).cast_signed();
        if ahead.unsigned_abs() > WINDOW {
            return Err(OutOfWindow);
        }
        self.cut |= cut;
        let at = self.offset.saturating_add_signed(ahead.into());
        let length = i64::try_from(data.len()).unwrap_or(i64::MAX);
        let end = self.offset.checked_add_signed(i64::from(ahead).saturating_add(length));
        // Of a segment that was cut, the captured part is not its end; a FIN before
        // what is known is of no use.
        if let Some(end) = end
            && fin
            && !cut
            && end >= self.offset
        {
            self.end.get_or_insert(end);
        }
        let Ok(ahead) = usize::try_from(ahead) else {
            // It begins with what is known already.
            let known = usize::try_from(ahead.unsigned_abs()).unwrap_or(usize::MAX);
            self.in_order(data.get(known..).unwrap_or_default(), ready);
            return Ok(());
        };
        if ahead == 0 {
            self.in_order(data, ready);
        } else if !data.is_empty() {
            self.keep(at, data);
        }
        Ok(())
    }

    /// Goes along with a segment, without what it says.
    pub(super) fn follow(&mut self, sequence: u32, data: &[u8]) -> Result<(), OutOfWindow> {
        let end = sequence.wrapping_add(u32::try_from(data.len()).unwrap_or_default());
        let ahead = end.wrapping_sub(self.next).cast_signed();
        if ahead.unsigned_abs() > WINDOW {
            return Err(OutOfWindow);
        }
        if ahead > 0 {
            self.next = end;
        }
        Ok(())
    }

    /// What follows begins with a sequence number one less than thought.
    pub(super) fn step_back(&mut self) {
        self.next = self.next.wrapping_sub(1);
    }

    /// Octets put together so far.
    #[must_use]
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// What is held of segments that wait for others before them, in octets.
    #[must_use]
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Whether all is there, up to the FIN.
    #[must_use]
    pub(super) fn is_complete(&self) -> bool {
        self.end.is_some_and(|end| self.offset >= end)
    }

    /// How many octets are missing before the next that is there, or before the end.
    #[must_use]
    pub(super) fn missing(&self) -> Option<u64> {
        let next = self.early.keys().next().copied().or(self.end)?;
        next.checked_sub(self.offset).filter(|missing| *missing > 0)
    }

    /// Gives back what is held: the stream is of no interest any more.
    pub(super) fn forget(&mut self) {
        self.early = BTreeMap::new();
        self.held = 0;
    }

    /// Whether packets were not captured as a whole.
    #[must_use]
    pub(super) const fn is_cut(&self) -> bool {
        self.cut
    }

    fn in_order(&mut self, data: &[u8], ready: &mut Vec<u8>) {
        self.advance(data, ready);
        while let Some(entry) = self.early.first_entry()
            && *entry.key() <= self.offset
        {
            let (at, data) = entry.remove_entry();
            self.held -= data.len() + OVERHEAD;
            let known = usize::try_from(self.offset - at).unwrap_or(usize::MAX);
            self.advance(data.get(known..).unwrap_or_default(), ready);
        }
    }

    fn advance(&mut self, data: &[u8], ready: &mut Vec<u8>) {
        ready.extend_from_slice(data);
        self.offset += data.len() as u64;
        // A segment is no longer than a packet.
        self.next = self.next.wrapping_add(u32::try_from(data.len()).unwrap_or_default());
    }

    fn keep(&mut self, at: u64, data: &[u8]) {
        if self.early.get(&at).is_some_and(|known| known.len() >= data.len()) {
            return;
        }
        self.held += data.len() + OVERHEAD;
        if let Some(shorter) = self.early.insert(at, data.to_vec()) {
            self.held -= shorter.len() + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn any_order_of_the_segments_any_overlap_and_any_repetition_give_the_same_bytes(
            first: u32,
            mut cuts in prop::collection::vec((0..4000_usize, 1..900_usize), 0..60),
            order in any::<u64>(),
        ) {
            let whole = bytes(4000);
            // These cover everything, the others lie across them.
            cuts.extend((0..8).map(|n| (n * 500, 500)));
            let mut keyed: Vec<_> = cuts
                .into_iter()
                .enumerate()
                .map(|(n, cut)| ((n as u64 + 1).wrapping_mul(order | 1).rotate_left(17), cut))
                .collect();
            keyed.sort_unstable();
            let mut stream = Stream::new(first);
            let mut ready = Vec::new();
            for (_, (at, length)) in keyed {
                let end = (at + length).min(whole.len());
                let sequence = first.wrapping_add(u32::try_from(at).unwrap());
                let fin = end == whole.len();
                stream.segment(sequence, &whole[at..end], fin, false, &mut ready).unwrap();
            }
            prop_assert!(ready == whole);
            prop_assert!(stream.is_complete());
            prop_assert_eq!(stream.held(), 0);
            prop_assert_eq!(stream.missing(), None);
        }

        #[test]
        fn whatever_the_segments_say_what_is_held_is_what_was_given(
            first: u32,
            segments in prop::collection::vec((any::<u32>(), 0..100_usize, any::<bool>()), 0..50),
        ) {
            let mut stream = Stream::new(first);
            let mut ready = Vec::new();
            let mut given = 0;
            for (sequence, length, fin) in segments {
                given += length;
                let near = first.wrapping_add(sequence % 5000);
                let _ = stream.segment(near, &bytes(length), fin, false, &mut ready);
                let _ = stream.segment(sequence, &bytes(length), fin, false, &mut ready);
                given += length;
                prop_assert!(ready.len() + stream.held() <= given + 100 * OVERHEAD);
                prop_assert_eq!(stream.offset(), ready.len() as u64);
            }
        }
    }

    #[test]
    fn a_keepalive_probe_gives_nothing() {
        let mut stream = Stream::new(100);
        let mut ready = Vec::new();
        stream.segment(100, &[1, 2], false, false, &mut ready).unwrap();
        stream.segment(101, &[0], false, false, &mut ready).unwrap();
        assert_eq!(ready, [1, 2]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut stream = Stream::new(u32::MAX - 1);
        let mut ready = Vec::new();
        stream.segment(u32::MAX - 1, &[1, 2, 3], false, false, &mut ready).unwrap();
        stream.segment(6, &[9], true, false, &mut ready).unwrap();
        assert_eq!((stream.offset(), stream.missing(), stream.is_complete()), (3, Some(5), false));
    }

    #[test]
    fn a_segment_of_another_connection_is_told_apart() {
        let mut stream = Stream::new(0);
        for sequence in [0x8000_0000, 0x1000_0000, 0xf000_0000] {
            let taken = stream.segment(sequence, &[1], false, false, &mut Vec::new());
            assert_eq!(taken, Err(OutOfWindow));
        }
    }
}
