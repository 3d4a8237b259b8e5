//! BMP statistics (RFC 7854, 4.8; RFC 8671, 6; RFC 9972, 3).

/// A BMP statistic (IANA, BMP Statistics Types).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatisticType {
    /// Its name in lower case with hyphens.
    pub name: &'static str,
    /// What it counts.
    pub unit: &'static str,
    /// Its form.
    pub form: StatisticForm,
}

/// What a statistic's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatisticForm {
    /// 4 octets, growing since the peer came up.
    Counter,
    /// 8 octets, the state of now.
    Gauge,
    /// AFI, SAFI and a gauge: 11 octets.
    FamilyGauge,
}

/// The statistic with this number, where it is registered.
#[must_use]
pub const fn statistic(number: u16) -> Option<StatisticType> {
    use StatisticForm::{Counter, FamilyGauge, Gauge};
    const PREFIXES: &str = "prefixes";
    const ROUTES: &str = "routes";
    const UPDATES: &str = "updates";
    let (form, unit, name) = match number {
        0 => (Counter, PREFIXES, "prefixes-rejected"),
        1 => (Counter, PREFIXES, "duplicate-prefix-advertisements"),
        2 => (Counter, "withdrawals", "duplicate-withdraws"),
        3 => (Counter, UPDATES, "cluster-list-loop"),
        4 => (Counter, UPDATES, "as-path-loop"),
        5 => (Counter, UPDATES, "originator-id"),
        6 => (Counter, UPDATES, "as-confed-loop"),
        7 => (Gauge, ROUTES, "adj-rib-in-routes"),
        8 => (Gauge, ROUTES, "loc-rib-routes"),
        9 => (FamilyGauge, ROUTES, "adj-rib-in-routes-per-family"),
        10 => (FamilyGauge, ROUTES, "loc-rib-routes-per-family"),
        11 => (Counter, UPDATES, "updates-treat-as-withdraw"),
        12 => (Counter, PREFIXES, "prefixes-treat-as-withdraw"),
        13 => (Counter, UPDATES, "duplicate-updates"),
        14 => (Gauge, ROUTES, "adj-rib-out-pre-routes"),
        15 => (Gauge, ROUTES, "adj-rib-out-post-routes"),
        16 => (FamilyGauge, ROUTES, "adj-rib-out-pre-routes-per-family"),
        17 => (FamilyGauge, ROUTES, "adj-rib-out-post-routes-per-family"),
        18 => (Gauge, ROUTES, "adj-rib-in-pre-routes"),
        19 => (FamilyGauge, ROUTES, "adj-rib-in-pre-routes-per-family"),
        20 => (Gauge, ROUTES, "adj-rib-in-post-routes"),
        21 => (FamilyGauge, ROUTES, "adj-rib-in-post-routes-per-family"),
        22 => (FamilyGauge, ROUTES, "adj-rib-in-pre-routes-rejected-per-family"),
        23 => (FamilyGauge, ROUTES, "adj-rib-in-post-routes-accepted-per-family"),
        24 => (FamilyGauge, ROUTES, "primary-routes-per-family"),
        25 => (FamilyGauge, ROUTES, "backup-routes-per-family"),
        26 => (FamilyGauge, ROUTES, "routes-damped-per-family"),
        27 => (FamilyGauge, ROUTES, "routes-stale-by-graceful-restart-per-family"),
        28 => (FamilyGauge, ROUTES, "routes-stale-by-long-lived-graceful-restart-per-family"),
        29 => (Gauge, ROUTES, "adj-rib-in-post-routes-left-before-threshold"),
        30 => (FamilyGauge, ROUTES, "adj-rib-in-post-routes-left-before-threshold-per-family"),
        31 => (Gauge, ROUTES, "routes-left-before-license-threshold"),
        32 => (FamilyGauge, ROUTES, "routes-left-before-license-threshold-per-family"),
        33 => (Gauge, ROUTES, "adj-rib-in-pre-routes-rejected-by-as-path-length"),
        34 => (FamilyGauge, ROUTES, "adj-rib-in-pre-routes-rejected-by-as-path-length-per-family"),
        35 => (FamilyGauge, ROUTES, "adj-rib-in-post-routes-rpki-invalid-per-family"),
        36 => (FamilyGauge, ROUTES, "adj-rib-in-post-routes-rpki-valid-per-family"),
        37 => (FamilyGauge, ROUTES, "adj-rib-in-post-routes-rpki-not-found-per-family"),
        38 => (FamilyGauge, ROUTES, "adj-rib-out-pre-routes-rejected-per-family"),
        39 => (Gauge, ROUTES, "adj-rib-out-pre-routes-filtered-by-as-path-length"),
        40 => (FamilyGauge, ROUTES, "adj-rib-out-pre-routes-filtered-by-as-path-length-per-family"),
        41 => (FamilyGauge, ROUTES, "adj-rib-out-post-routes-rpki-invalid-per-family"),
        42 => (FamilyGauge, ROUTES, "adj-rib-out-post-routes-rpki-valid-per-family"),
        43 => (FamilyGauge, ROUTES, "adj-rib-out-post-routes-rpki-not-found-per-family"),
        _ => return None,
    };
    Some(StatisticType { name, unit, form })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_registered_statistic_has_a_name_of_its_own() {
        let all: Vec<_> = (0..=u16::MAX).filter_map(statistic).collect();
        assert_eq!(all.len(), 44);
        assert_eq!(all.iter().map(|s| s.name).collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn the_name_says_whether_it_is_per_family() {
        for statistic in (0..=u16::MAX).filter_map(statistic) {
            let per_family = statistic.form == StatisticForm::FamilyGauge;
            assert_eq!(statistic.name.ends_with("-per-family"), per_family, "{}", statistic.name);
        }
    }

    #[test]
    fn the_database_uses_the_same_names() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/0001_events.sql");
        let sql = fs::read_to_string(path).unwrap();
        let (_, function) = sql.split_once("function statistic_name(").unwrap();
        let (cases, _) = function.split_once("end;").unwrap();
        let mut compared = 0;
        for line in cases.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ["when", number, "then", name] = words[..] else { continue };
            let known = statistic(number.parse().unwrap()).unwrap();
            assert_eq!(known.name, name.trim_matches('\''));
            compared += 1;
        }
        assert_eq!(compared, 18);
    }
}
