//! Records on their way into one transaction.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use ribstream_proto::v1::DeadLetter;

use crate::{
    inventory::Inventory,
    rows::{Mark, Rows},
};

/// When a batch is closed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At so many rows, or records without rows.
    pub rows: usize,
    /// At so many octets of rows.
    pub bytes: usize,
    /// At this age of its first record, when its writer has nothing else to do.
    pub age: Duration,
}

/// When an event came, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// To the collector, by its clock.
    pub received: i64,
    /// Into the topic: by the broker's clock or, where the topic keeps their own times, by the
    /// collector's.
    pub logged: i64,
}

/// A record of a batch: its place in Kafka, and where its rows end.
#[derive(Clone, Copy, Debug)]
struct Record {
    partition: i32,
    offset: i64,
    /// [`Times::logged`], where it is an event.
    logged: Option<i64>,
    end: Mark,
}

/// The progress of one partition that a transaction records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The partition.
    pub partition: i32,
    /// What the database must hold as its next offset.
    pub from: i64,
    /// What it then holds.
    pub to: i64,
    /// [`Times::logged`] of the latest of its events.
    pub logged: Option<i64>,
}

/// Records in the order read, as rows.
#[derive(Debug, Default)]
pub struct Batch {
    /// The rows of all records.
    pub rows: Rows,
    /// Letters for records that cannot be decoded, with the record's index.
    pub letters: Vec<(usize, DeadLetter)>,
    records: Vec<Record>,
    /// Each partition's next offset before the batch.
    starts: Vec<(i32, i64)>,
    /// The assignment that the batch belongs to.
    pub generation: u64,
    opened: Option<Instant>,
    /// The rows hold the database's ids in place of slots.
    has_ids: bool,
    /// Receive time of the first event.
    heard: Option<i64>,
}

impl Batch {
    /// Takes note of a record whose rows have just been appended.
    ///
    /// `from` is the partition's next offset before it: there may be a gap
    /// before `offset`, where Kafka holds no record for the reader.
    pub fn push(&mut self, partition: i32, from: i64, offset: i64, times: Option<Times>) {
        if !self.starts.iter().any(|(known, _)| *known == partition) {
            self.starts.push((partition, from));
        }
        if let Some(Times { received, .. }) = times {
            self.heard = Some(self.heard.map_or(received, |first| first.min(received)));
        }
        self.opened.get_or_insert_with(Instant::now);
        let end = self.rows.mark();
        let logged = times.map(|times| times.logged);
        self.records.push(Record { partition, offset, logged, end });
    }

    /// How many records it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether it must take no more.
    #[must_use]
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.len() >= limits.rows
            || self.rows.len() >= limits.rows
            || self.rows.bytes() >= limits.bytes
    }

    /// When it is to be closed if its writer is idle; `None` while it is empty.
    #[must_use]
    pub fn due(&self, limits: &Limits) -> Option<Instant> {
        self.opened.map(|opened| opened + limits.age)
    }

    /// Receive time of the first event, in microseconds since 1970.
    #[must_use]
    pub fn heard(&self) -> Option<i64> {
        self.heard
    }

    /// Where the rows of some records begin and end.
    #[must_use]
    pub fn marks(&self, records: &Range<usize>) -> (Mark, Mark) {
        let end = |index: usize| {
            index.checked_sub(1).and_then(|last| self.records.get(last)).map(|record| record.end)
        };
        (end(records.start).unwrap_or_default(), end(records.end).unwrap_or_default())
    }

    /// Where the rows of each of some records end.
    pub fn ends(&self, records: &Range<usize>) -> impl Iterator<Item = Mark> {
        self.records[records.clone()].iter().map(|record| record.end)
    }

    /// Partition and offset of a record.
    #[must_use]
    pub fn place(&self, index: usize) -> Option<(i32, i64)> {
        self.records.get(index).map(|record| (record.partition, record.offset))
    }

    /// How far some of the records take each of their partitions.
    #[must_use]
    pub fn advances(&self, records: &Range<usize>) -> Vec<Advance> {
        let mut advances: Vec<Advance> = self
            .starts
            .iter()
            .map(|&(partition, from)| Advance { partition, from, to: from, logged: None })
            .collect();
        for (index, record) in self.records[..records.end].iter().enumerate() {
            // Few partitions share a batch: a search is cheaper than a map.
            if let Some(advance) =
                advances.iter_mut().find(|advance| advance.partition == record.partition)
            {
                if index < records.start {
                    advance.from = record.offset + 1;
                } else {
                    advance.logged = advance.logged.max(record.logged);
                }
                advance.to = record.offset + 1;
            }
        }
        advances.retain(|advance| advance.to != advance.from);
        advances.sort_unstable_by_key(|advance| advance.partition);
        advances
    }

    /// Whether [`Self::set_ids`] was done.
    #[must_use]
    pub fn has_ids(&self) -> bool {
        self.has_ids
    }

    /// Puts the ids of peers and routers in the place of their slots.
    pub fn set_ids(&mut self, inventory: &Inventory) {
        let (peers, routers) = (inventory.peer_ids(), inventory.router_ids());
        // Every slot of a batch is older than the batch, and resolved before.
        let id = |ids: &[Option<i32>], slot: u32| {
            ids.get(slot as usize).copied().flatten().unwrap_or(-1)
        };
        self.rows.set_ids(|slot| id(&peers, slot.0), |slot| id(&routers, slot.0));
        self.has_ids = true;
    }

    /// Forgets everything and keeps the memory for the next.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.letters.clear();
        self.records.clear();
        self.starts.clear();
        self.opened = None;
        self.has_ids = false;
        self.heard = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_batch_advances_from_where_the_part_before_it_ended() {
        let mut batch = Batch::default();
        for (partition, from, offset, time) in
            [(3, 10, 10, Some(500)), (7, 0, 4, Some(300)), (3, 11, 11, Some(200)), (7, 5, 5, None)]
        {
            let times = time.map(|logged| Times { received: logged + 1, logged });
            batch.push(partition, from, offset, times);
        }
        // The times, too, are each partition's own, and those of the part.
        let advance = |partition, from, to, logged| Advance { partition, from, to, logged };
        assert_eq!(
            batch.advances(&(0..4)),
            [advance(3, 10, 12, Some(500)), advance(7, 0, 6, Some(300))]
        );
        assert_eq!(batch.advances(&(0..1)), [advance(3, 10, 11, Some(500))]);
        assert_eq!(
            batch.advances(&(1..3)),
            [advance(3, 11, 12, Some(200)), advance(7, 0, 5, Some(300))]
        );
        assert_eq!(batch.advances(&(3..4)), [advance(7, 5, 6, None)]);
        assert_eq!(batch.heard(), Some(201));
    }

    #[test]
    fn a_batch_is_due_at_the_age_of_its_first_record() {
        let limits = Limits { rows: 2, bytes: 1000, age: Duration::from_mins(1) };
        let mut batch = Batch::default();
        assert_eq!(batch.due(&limits), None);
        batch.push(0, 0, 0, None);
        let due = batch.due(&limits);
        assert!(due.is_some() && !batch.is_full(&limits));
        batch.push(0, 1, 1, None);
        assert_eq!(batch.due(&limits), due);
        assert!(batch.is_full(&limits));
    }
}
