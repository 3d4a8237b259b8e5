//! Names from the registries: BMP statistics, Peer Down reasons, NOTIFICATION
//! codes, FSM events, Information TLVs.

/// A BMP statistic (IANA, BMP Statistics Types).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatisticType {
    /// Its name in lower case with hyphens.
    pub name: &'static str,
    /// What it counts.
    pub unit: &'static str,
}

/// The statistic with this number, where it is registered.
#[must_use]
pub const fn statistic(number: u16) -> Option<StatisticType> {
    let (name, unit) = match number {
        0 => ("prefixes-rejected", "prefixes"),
        _ => return None,
    };
    Some(StatisticType { name, unit })
}
