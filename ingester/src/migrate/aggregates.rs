//! The aggregates: the same names and columns on both editions of TimescaleDB.
//!
//! On the Community edition they are continuous aggregates, the longer built on the
//! shorter; on the Apache edition, which has none, views of the history. Numbers
//! that do not add up (distinct prefixes of an hour are not the sum of those of its
//! stretches of five minutes) come from an aggregate that has a row for each of what
//! is to be counted: `prefix_updates_1d` is built on `prefix_updates_1h`, and the
//! number of its rows is the number of distinct prefixes.
//!
//! ```text
//!  route_events ─┬─► route_updates_5m ──► route_sums_1h ──────► route_sums_1d
//!                ├─► prefix_updates_1h ─► prefix_counts_1h        │
//!                │       └─► prefix_updates_1d ─► prefix_counts_1d ┤ joined:
//!                └─► origin_updates_1h ─► origin_counts_1h        │ route_updates_1h,
//!                        └─► origin_updates_1d ─► origin_counts_1d ┘ route_updates_1d
//! ```

use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

/// An edition of TimescaleDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// Hypertables alone.
    Apache,
    /// Continuous aggregates, policies and the columnstore, too.
    Community,
}

impl Edition {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apache => "apache",
            Self::Community => "community",
        }
    }
}

/// An aggregate to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// Its name.
    pub name: String,
    /// What it selects.
    pub query: String,
    /// What it is, for `comment on`.
    pub comment: String,
    /// The other aggregates that it reads.
    pub reads: Vec<String>,
    /// Kept by TimescaleDB: how it is refreshed.
    pub refresh: Option<Refresh>,
}

/// How a continuous aggregate is kept up: what lies between is made again where rows have
/// come; what is later is worked out when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// How far back. Less than the history is kept: what is dropped there stays here.
    pub start: &'static str,
    /// How close to now: buckets that have ended.
    pub end: &'static str,
    /// How often.
    pub every: &'static str,
}

/// Widths of buckets, by the suffix of a name.
const WIDTHS: [(&str, &str); 3] = [("5m", "5 minutes"), ("1h", "1 hour"), ("1d", "1 day")];

fn refresh(suffix: &str) -> Refresh {
    match suffix {
        "5m" => Refresh { start: "1 day", end: "5 minutes", every: "5 minutes" },
        "1h" => Refresh { start: "3 days", end: "1 hour", every: "30 minutes" },
        _ => Refresh { start: "7 days", end: "1 day", every: "6 hours" },
    }
}

impl Aggregate {
    fn new(name: &str, reads: &[&str], comment: &str, query: &str) -> Self {
        Self {
            name: name.to_owned(),
            query: query.to_owned(),
            comment: comment.to_owned(),
            reads: reads.iter().map(|name| (*name).to_owned()).collect(),
            refresh: None,
        }
    }

    /// Kept by TimescaleDB, where it can.
    fn kept(mut self, edition: Edition) -> Self {
        let suffix = self.name.rsplit('_').next().unwrap_or_default();
        self.refresh = (edition == Edition::Community).then(|| refresh(suffix));
        self
    }

    /// The statement that makes it.
    #[must_use]
    pub fn create(&self) -> String {
        let Self { name, query, .. } = self;
        if self.refresh.is_some() {
            format!(
                "create materialized view {name} with (timescaledb.continuous, \
                 timescaledb.materialized_only = false) as {query} with no data"
            )
        } else {
            format!("create view {name} as {query}")
        }
    }

    /// The statement that says what it is.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("comment on view {} is '{}'", self.name, self.comment.replace('\'', "''"))
    }

    /// The statement that lets TimescaleDB keep it up.
    #[must_use]
    pub fn policy(&self) -> Option<String> {
        let Refresh { start, end, every } = self.refresh?;
        let name = &self.name;
        Some(format!(
            "select add_continuous_aggregate_policy('{name}', interval '{start}', \
             interval '{end}', interval '{every}')"
        ))
    }

    fn digest(&self) -> String {
        let digest = Sha256::digest(self.create());
        let short = digest.first_chunk().map_or(0, |octets| u128::from_be_bytes(*octets));
        format!("{short:032x}")
    }
}

/// What is counted of routes: those of initial dumps on their own, since they are no churn.
const SUMS: [(&str, &str); 8] = [
    ("announcements", "action = 'announce' and not initial_dump"),
    ("withdrawals", "action = 'withdraw' and not initial_dump"),
    ("new_routes", "change = 'new' and not initial_dump"),
    ("returned_routes", "change = 'returned' and not initial_dump"),
    ("attribute_changes", "change = 'changed' and not initial_dump"),
    ("refreshes", "change = 'refresh' and not initial_dump"),
    ("unknown_withdrawals", "change = 'withdrawn-unknown' and not initial_dump"),
    ("dumped_routes", "initial_dump"),
];

/// What a peer's table is named by.
const TABLE: &str = "peer_id, view, afi, safi";

fn counted(sums: &[(&str, &str)]) -> String {
    let sums: Vec<String> = sums
        .iter()
        .map(|(name, which)| format!("count(*) filter (where {which}) as {name}"))
        .collect();
    sums.join(", ")
}

fn summed(sums: &[(&str, &str)]) -> String {
    let sums: Vec<String> =
        sums.iter().map(|(name, _)| format!("sum({name})::bigint as {name}")).collect();
    sums.join(", ")
}

/// All aggregates, each after those that it reads.
#[must_use]
pub fn aggregates(edition: Edition) -> Vec<Aggregate> {
    let mut all = Vec::new();
    prefixes_and_origins(edition, &mut all);
    routes(edition, &mut all);
    others(edition, &mut all);
    sessions(edition, &mut all);
    for (suffix, width) in WIDTHS {
        // Without the distinct counts, which would be worked out and not be read.
        let routes = match edition {
            Edition::Community if suffix != "5m" => "route_sums",
            _ => "route_updates",
        };
        let names =
            [routes, "evpn_updates", "other_updates"].map(|name| format!("{name}_{suffix}"));
        let sums = SUMS.map(|(name, _)| format!("u.{name}")).join(", ");
        let each = names.clone().map(|name| {
            format!(
                "select bucket, {TABLE}, messages, {} from {name}",
                SUMS.map(|(name, _)| name).join(", ")
            )
        });
        all.push(Aggregate::new(
            &format!("peer_updates_{suffix}"),
            &names.each_ref().map(String::as_str),
            &format!(
                "Updates of each peer, view and family in {width}, all kinds of routes, with \
                 routers, peers, views and families by name. Initial dumps are counted on their own"
            ),
            &format!(
                "select u.bucket, r.identity as router, r.sys_name, p.address as peer, \
                     p.asn as peer_asn, distinguisher_text(p.distinguisher) as distinguisher, \
                     p.loc_rib_name, rib_view_name(u.view) as rib_view, \
                     family_name(u.afi, u.safi) as family, u.messages, {sums}, u.{} \
                 from ({}) u join peers p on p.id = u.peer_id join routers r on r.id = p.router_id",
                TABLE.replace(", ", ", u."),
                each.join(" union all ")
            ),
        ));
    }
    all
}

/// A row for each prefix, and for each origin, with news of it.
fn prefixes_and_origins(edition: Edition, all: &mut Vec<Aggregate>) {
    let prefix_sums: Vec<_> =
        SUMS.into_iter().filter(|(name, _)| *name != "dumped_routes").collect();
    let origin_sums: Vec<_> =
        prefix_sums.iter().copied().filter(|(name, _)| !name.contains("withdrawals")).collect();
    for (kind, column, sums, comment) in [
        ("prefix", "prefix", &prefix_sums, "Churn of each prefix in each peer's table"),
        (
            "origin",
            "origin_as",
            &origin_sums,
            "Announcements by origin AS in each peer's table; a withdrawal names no origin",
        ),
    ] {
        let only = if kind == "origin" { " and origin_as is not null" } else { "" };
        let (hour, day) = (format!("{kind}_updates_1h"), format!("{kind}_updates_1d"));
        all.push(
            Aggregate::new(
                &hour,
                &[],
                &format!("{comment}, by hour. Initial dumps are left out"),
                &format!(
                    "select time_bucket('1 hour', time) as bucket, {TABLE}, {column}, {} \
                     from route_events where not initial_dump{only} group by 1, {TABLE}, {column}",
                    counted(sums)
                ),
            )
            .kept(edition),
        );
        all.push(
            Aggregate::new(
                &day,
                &[&hour],
                &format!("{comment}, by day. Initial dumps are left out"),
                &format!(
                    "select time_bucket('1 day', bucket) as bucket, {TABLE}, {column}, {} \
                     from {hour} group by time_bucket('1 day', bucket), {TABLE}, {column}",
                    summed(sums)
                ),
            )
            .kept(edition),
        );
        if edition == Edition::Apache {
            continue;
        }
        for (suffix, width) in &WIDTHS[1..] {
            let rows = format!("{kind}_updates_{suffix}");
            all.push(
                Aggregate::new(
                    &format!("{kind}_counts_{suffix}"),
                    &[&rows],
                    &format!("How many rows {rows} has for each peer's table: part of route_updates_{suffix}"),
                    &format!(
                        "select time_bucket('{width}', bucket) as bucket, {TABLE}, \
                             count(*) as entries \
                         from {rows} group by time_bucket('{width}', bucket), {TABLE}"
                    ),
                )
                .kept(edition),
            );
        }
    }
}

fn routes(edition: Edition, all: &mut Vec<Aggregate>) {
    for (suffix, width) in WIDTHS {
        let name = format!("route_updates_{suffix}");
        let comment = format!(
            "Updates of prefixes in {width} in each peer's table: messages, routes announced and \
             withdrawn, what they did, distinct prefixes and origins, all without initial dumps; \
             and routes of initial dumps"
        );
        let sums = SUMS.map(|(name, _)| name).join(", ");
        if suffix == "5m" || edition == Edition::Apache {
            let query = format!(
                "select time_bucket('{width}', time) as bucket, {TABLE}, \
                     count(distinct (session, sequence)) filter (where not initial_dump) \
                         as messages, {}, \
                     count(distinct prefix) filter (where not initial_dump) as prefixes, \
                     count(distinct origin_as) filter (where not initial_dump) as origins \
                 from route_events group by 1, {TABLE}",
                counted(&SUMS)
            );
            all.push(Aggregate::new(&name, &[], &comment, &query).kept(edition));
            continue;
        }
        // A message, and a row, is in one bucket only: these add up.
        let sums_name = format!("route_sums_{suffix}");
        let shorter = if suffix == "1h" { "route_updates_5m" } else { "route_sums_1h" };
        all.push(
            Aggregate::new(
                &sums_name,
                &[shorter],
                &format!("What adds up of {shorter}: part of {name}"),
                &format!(
                    "select time_bucket('{width}', bucket) as bucket, {TABLE}, \
                         sum(messages)::bigint as messages, {} \
                     from {shorter} group by time_bucket('{width}', bucket), {TABLE}",
                    summed(&SUMS)
                ),
            )
            .kept(edition),
        );
        let counts = ["prefix", "origin"].map(|kind| format!("{kind}_counts_{suffix}"));
        let [prefixes, origins] = &counts;
        all.push(Aggregate::new(
            &name,
            &[&sums_name, prefixes, origins],
            &comment,
            &format!(
                "select bucket, {TABLE}, messages, {sums}, \
                     coalesce(p.entries, 0) as prefixes, coalesce(o.entries, 0) as origins \
                 from {sums_name} left join {prefixes} p using (bucket, {TABLE}) \
                 left join {origins} o using (bucket, {TABLE})"
            ),
        ));
    }
}

/// EVPN and the other families: fewer rows, so that each width is counted from the history.
fn others(edition: Edition, all: &mut Vec<Aggregate>) {
    for (kind, words, distinct) in [
        ("evpn", "EVPN routes", "count(distinct mac) filter (where not initial_dump) as macs"),
        (
            "other",
            "routes that are neither prefixes nor EVPN",
            "count(distinct nlri) filter (where not initial_dump) as routes",
        ),
    ] {
        for (suffix, width) in WIDTHS {
            all.push(
                Aggregate::new(
                    &format!("{kind}_updates_{suffix}"),
                    &[],
                    &format!(
                        "Updates of {words} in {width} in each peer's table, without initial \
                         dumps; and routes of initial dumps"
                    ),
                    &format!(
                        "select time_bucket('{width}', time) as bucket, {TABLE}, \
                             count(distinct (session, sequence)) filter (where not initial_dump) \
                                 as messages, {}, {distinct} \
                         from {kind}_events group by 1, {TABLE}",
                        counted(&SUMS)
                    ),
                )
                .kept(edition),
            );
        }
    }
}

/// Flaps of peers, and what they report.
fn sessions(edition: Edition, all: &mut Vec<Aggregate>) {
    let flaps = [
        ("ups", "kind = 'up'"),
        ("downs", "kind = 'down'"),
        ("session_losses", "kind = 'down' and reason = 256"),
    ];
    all.push(
        Aggregate::new(
            "peer_flaps_1h",
            &[],
            "How often each peer came up and went down in 1 hour; session_losses of the latter with the BMP session, not by BGP",
            &format!(
                "select time_bucket('1 hour', time) as bucket, peer_id, {} \
                 from peer_events where kind in ('up', 'down') group by 1, peer_id",
                counted(&flaps)
            ),
        )
        .kept(edition),
    );
    all.push(
        Aggregate::new(
            "peer_flaps_1d",
            &["peer_flaps_1h"],
            "How often each peer came up and went down in 1 day; session_losses of the latter with the BMP session, not by BGP",
            &format!(
                "select time_bucket('1 day', bucket) as bucket, peer_id, {} \
                 from peer_flaps_1h group by time_bucket('1 day', bucket), peer_id",
                summed(&flaps)
            ),
        )
        .kept(edition),
    );
    let comment = |width| {
        format!(
            "What each peer's Statistics Reports said in {width}: least, greatest and last value \
             of each statistic. Counters begin anew with the session; gauges such as routes in a \
             table are its growth"
        )
    };
    all.push(
        Aggregate::new(
            "statistics_1h",
            &[],
            &comment("1 hour"),
            "select time_bucket('1 hour', time) as bucket, peer_id, type, afi, safi, \
                 count(*) as reports, min(value) as least, max(value) as greatest, \
                 last(value, time) as latest \
             from stats_reports where value is not null group by 1, peer_id, type, afi, safi",
        )
        .kept(edition),
    );
    all.push(
        Aggregate::new(
            "statistics_1d",
            &["statistics_1h"],
            &comment("1 day"),
            "select time_bucket('1 day', bucket) as bucket, peer_id, type, afi, safi, \
                 sum(reports)::bigint as reports, min(least) as least, \
                 max(greatest) as greatest, last(latest, bucket) as latest \
             from statistics_1h \
             group by time_bucket('1 day', bucket), peer_id, type, afi, safi",
        )
        .kept(edition),
    );
}

/// Which edition the server is.
pub(crate) async fn edition(connection: &mut PgConnection) -> sqlx::Result<Edition> {
    let license: Option<String> =
        sqlx::query_scalar("select current_setting('timescaledb.license', true)")
            .fetch_one(connection)
            .await?;
    Ok(if license.as_deref() == Some("timescale") { Edition::Community } else { Edition::Apache })
}

/// Makes the aggregates that are not there as they should be; how many it made.
///
/// One that is made again begins with what the history holds: only those whose own
/// definition has changed are, and those that read them.
pub(super) async fn make(connection: &mut PgConnection, edition: Edition) -> sqlx::Result<usize> {
    let wanted = aggregates(edition);
    let known = sqlx::query("select name, edition, definition from aggregates order by made, name")
        .fetch_all(&mut *connection)
        .await?;
    let known: Vec<(String, String, String)> =
        known.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let mut stale: Vec<&Aggregate> = Vec::new();
    for aggregate in &wanted {
        let as_made = known.iter().any(|(name, made, definition)| {
            *name == aggregate.name && *made == edition.name() && *definition == aggregate.digest()
        });
        let reads_stale = stale.iter().any(|stale| aggregate.reads.contains(&stale.name));
        if !as_made || reads_stale {
            stale.push(aggregate);
        }
    }
    let unwanted = known.iter().filter(|(name, ..)| !wanted.iter().any(|w| w.name == *name));
    let gone: Vec<&str> = unwanted
        .map(|(name, ..)| name.as_str())
        .chain(stale.iter().map(|aggregate| aggregate.name.as_str()))
        .collect();
    for name in gone.iter().rev() {
        remove(connection, name).await?;
    }
    for aggregate in &stale {
        execute(connection, &aggregate.create()).await?;
        execute(connection, &aggregate.describe()).await?;
        if let Some(policy) = aggregate.policy() {
            let name = &aggregate.name;
            execute(
                connection,
                &format!("call refresh_continuous_aggregate('{name}', null, null)"),
            )
            .await?;
            execute(connection, &policy).await?;
        }
        sqlx::query(
            "insert into aggregates (name, edition, definition, made) \
             values ($1, $2, $3, clock_timestamp())",
        )
        .bind(&aggregate.name)
        .bind(edition.name())
        .bind(aggregate.digest())
        .execute(&mut *connection)
        .await?;
    }
    Ok(stale.len())
}

/// Drops an aggregate, of whichever edition it is. Views of others that read it are not ours
/// to drop: the database refuses, and names them.
async fn remove(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    let continuous: bool = sqlx::query_scalar(
        "select exists (select from timescaledb_information.continuous_aggregates \
             where view_schema = 'public' and view_name = $1)",
    )
    .bind(name)
    .fetch_one(&mut *connection)
    .await?;
    let kind = if continuous { "materialized view" } else { "view" };
    execute(connection, &format!("drop {kind} if exists {name}")).await?;
    sqlx::query("delete from aggregates where name = $1").bind(name).execute(connection).await?;
    Ok(())
}

async fn execute(connection: &mut PgConnection, sql: &str) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregates_come_after_those_that_they_read() {
        for edition in [Edition::Apache, Edition::Community] {
            let all = aggregates(edition);
            for (index, aggregate) in all.iter().enumerate() {
                for read in &aggregate.reads {
                    let there = all[..index].iter().any(|earlier| earlier.name == *read);
                    assert!(there, "{} reads {read}", aggregate.name);
                }
            }
        }
    }

    #[test]
    fn the_apache_edition_has_no_name_that_the_other_lacks() {
        let community = aggregates(Edition::Community);
        for aggregate in aggregates(Edition::Apache) {
            assert!(community.iter().any(|other| other.name == aggregate.name));
            assert!(aggregate.refresh.is_none());
        }
    }
}
