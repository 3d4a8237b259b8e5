//! Names from the registries, for what an event has by number.
//!
//! [`bmp`] has those of BMP Parameters, [`bgp`] those of BGP Error Codes, FSM
//! events and capabilities, [`statistic`] BMP's statistics. Entries are spelt as
//! their registry spells them, but for statistics and Peer Down reasons, whose
//! registry has whole sentences: those are in lower case with hyphens, as in the
//! database.

pub mod bgp;
pub mod bmp;
mod statistic;

pub use statistic::{StatisticForm, StatisticType, statistic};
