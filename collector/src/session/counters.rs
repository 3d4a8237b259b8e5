//! What a session has received, for metrics, heartbeats and summaries.

use std::collections::BTreeMap;

use crate::bmp::Kind;

/// Counts since the session began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    messages: [u64; Kind::ALL.len()],
    /// Octets of whole messages.
    pub octets: u64,
    /// Messages that could not be decoded, by reason.
    pub errors: BTreeMap<&'static str, u64>,
    /// Attributes that RFC 7606 has discarded.
    pub attributes_discarded: u64,
    /// UPDATEs whose routes RFC 7606 has withdrawn.
    pub treated_as_withdraw: u64,
}

impl Counters {
    /// How many messages of a kind.
    #[must_use]
    pub fn messages(&self, kind: Kind) -> u64 {
        self.messages.get(kind as usize).copied().unwrap_or_default()
    }

    /// How many messages in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.messages.iter().sum()
    }

    #[inline]
    pub(super) fn message(&mut self, kind: Kind, octets: usize) {
        if let Some(count) = self.messages.get_mut(kind as usize) {
            *count += 1;
        }
        self.octets += octets as u64;
    }

    pub(super) fn error(&mut self, reason: &'static str) {
        *self.errors.entry(reason).or_default() += 1;
    }
}
