//! The same histories through Kafka and the ingester into the database: many routers at
//! once, and a comparison each time that all of a history has arrived.

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;
use ribstream_proto::v1::{Event, Heartbeat, RouterDown, RouterUp, event::Body};
use sqlx::Row as _;

use crate::{
    claims::Shown,
    common::{self, Bed, Ingester, Producer},
    events::{name, table},
    history::History,
    memory::check_row,
    network::{PEERS, ROUTES, Said, table_of},
    play::{Life, Moment, play},
};

/// Longer than the routers' own events are apart, so that what is meant to be silent is
/// silent at once, and what lives is never.
const SILENCE: &str = "1h";
const HOUR: u64 = 3_600_000_000;

/// A route by router, peer, view, AFI, prefix and path identifier.
type Name = (String, String, i16, i32, String, Option<i64>);

/// Rows of the history by route, session and sequence: `change` and `replaced`.
type Rows = BTreeMap<(Name, i64, i64), (String, Option<i64>)>;

/// A topic, an ingester and a database for any number of histories.
pub(crate) struct Bench {
    bed: Bed,
    ingester: Ingester,
    producer: Producer,
    began: u64,
    routers: u32,
    /// Sessions that are silent.
    silent: i64,
    pub(crate) checkpoints: u32,
}

/// A history that is being played.
struct Played {
    router: String,
    moments: Vec<Moment>,
    /// Moments that were published.
    published: usize,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let bed = Bed::new(3).await;
        let ingester = bed.ingester(&[
            "--session-silence",
            SILENCE,
            "--keep-gone",
            "0s",
            "--batch-age",
            "5ms",
        ]);
        let producer = bed.producer();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Self {
            bed,
            ingester,
            producer,
            began: u64::try_from(now.as_micros()).unwrap(),
            routers: 0,
            silent: 0,
            checkpoints: 0,
        }
    }

    pub(crate) fn stop(self) {
        assert_eq!(self.ingester.stop(), Some(0));
    }

    /// Plays histories side by side; which of them ended otherwise than they must, and how.
    pub(crate) async fn check(&mut self, histories: &[&History]) -> Vec<Result<(), String>> {
        let mut played: Vec<Played> = histories
            .iter()
            .map(|history| {
                self.routers += 1;
                let router = format!("router-{}", self.routers);
                let moments = play(history, &router);
                Played { router, moments, published: 0 }
            })
            .collect();
        let mut found = vec![Ok(()); played.len()];
        while played.iter().any(|it| it.published < it.moments.len()) {
            let mut at = Vec::new();
            for (index, it) in played.iter_mut().enumerate() {
                if self.publish(it) {
                    at.push(index);
                }
            }
            self.producer.flush();
            self.bed.wait_until_stored().await;
            self.wait_for_silence().await;
            let shown = self.shown().await;
            for index in at {
                self.checkpoints += 1;
                let right = played[index].check_shown(&shown);
                if found[index].is_ok() {
                    found[index] = right;
                }
            }
        }
        let rows = self.rows().await;
        for (found, it) in found.iter_mut().zip(&played) {
            if found.is_ok() {
                *found = it.check_rows(&rows);
            }
        }
        found
    }

    /// Publishes a history up to its next moment at which all has arrived, if there is one.
    fn publish(&mut self, played: &mut Played) -> bool {
        while let Some(moment) = played.moments.get(played.published) {
            for (session, life) in &moment.lives {
                let falls_silent = played
                    .moments
                    .iter()
                    .any(|moment| moment.lives.contains(&(*session, Life::Silent)));
                self.publish_life(&played.router, *session, *life, falls_silent);
            }
            for (arrival, _) in &moment.arrivals {
                self.producer.send(&arrival.event);
            }
            played.published += 1;
            if moment.settled {
                return true;
            }
        }
        false
    }

    /// What a session says of itself. One that will fall silent says nothing until then, and
    /// then something that is long past: so it is nobody's clock that decides.
    fn publish_life(&mut self, router: &str, session: u64, life: Life, falls_silent: bool) {
        let later = self.began + 24 * HOUR;
        let (received_at, body) = match life {
            Life::Began if falls_silent => return,
            Life::Began => (later, Body::RouterUp(RouterUp::default())),
            Life::Silent => {
                self.silent += 1;
                (self.began - 24 * HOUR, Body::RouterUp(RouterUp::default()))
            }
            Life::HeardAgain => {
                self.silent -= 1;
                (later, Body::Heartbeat(Heartbeat::default()))
            }
            Life::Ended => (later, Body::RouterDown(RouterDown::default())),
        };
        self.producer.send(&Event {
            collector: "collector".to_owned(),
            router: router.to_owned(),
            router_address: Bytes::from_static(&[192, 0, 2, 1]),
            session,
            received_at,
            body: Some(body),
            ..Event::default()
        });
    }

    async fn wait_for_silence(&self) {
        let begun = Instant::now();
        let silent = "select count(*) from bmp_sessions where silent_since is not null";
        while self.bed.number(silent).await != self.silent {
            assert!(begun.elapsed() < common::PATIENCE, "{} sessions are silent", self.silent);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    async fn shown(&self) -> BTreeMap<Name, i64> {
        let sql = "select router, host(peer), view, afi, prefix::text, path_id, med \
                   from current_routes";
        let mut connection = self.bed.database.connect().await.unwrap();
        let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
        rows.iter()
            .map(|row| {
                let name: Name =
                    (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(5));
                (name, row.get(6))
            })
            .collect()
    }

    async fn rows(&self) -> Rows {
        let sql = "select r.identity, host(p.address), e.view, e.afi, e.prefix::text, e.path_id, \
                       e.session, e.sequence, e.change, \
                       (extract(epoch from e.replaced) * 1000000)::bigint \
                   from route_events e join peers p on p.id = e.peer_id \
                   join routers r on r.id = p.router_id";
        let mut connection = self.bed.database.connect().await.unwrap();
        let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
        rows.iter()
            .map(|row| {
                let name: Name =
                    (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(5));
                ((name, row.get(6), row.get(7)), (row.get(8), row.get(9)))
            })
            .collect()
    }
}

impl Played {
    fn name(&self, peer: usize, route: usize) -> Name {
        let (view, afi) = table(peer, table_of(route));
        let (prefix, path_id) = name(peer, route);
        (
            self.router.clone(),
            format!("198.51.100.{peer}"),
            i16::try_from(view as i32).unwrap(),
            i32::try_from(afi).unwrap(),
            prefix,
            path_id.map(i64::from),
        )
    }

    /// What must be shown at the latest moment that was published.
    fn check_shown(&self, shown: &BTreeMap<Name, i64>) -> Result<(), String> {
        let number = self.published - 1;
        for peer in 0..PEERS {
            for route in 0..ROUTES {
                let is = shown.get(&self.name(peer, route)).copied();
                if let Shown::Is(version) = self.moments[number].shown[peer][route]
                    && version.map(i64::from) != is
                {
                    return Err(format!(
                        "step {number}: peer {peer} route {route}: {version:?} is to be shown \
                         and is {is:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_rows(&self, rows: &Rows) -> Result<(), String> {
        for (number, moment) in self.moments.iter().enumerate() {
            for (arrival, row) in &moment.arrivals {
                let (Said::Route { word, .. }, Some(row)) = (&arrival.said, row) else { continue };
                let name = (
                    self.name(arrival.peer, word.route),
                    i64::try_from(arrival.event.session).unwrap(),
                    i64::try_from(arrival.event.sequence).unwrap(),
                );
                let found = rows.get(&name).map(|(change, replaced)| (change.as_str(), *replaced));
                check_row(row, found).map_err(|what| {
                    format!("step {number}: peer {} route {}: {what}", arrival.peer, word.route)
                })?;
            }
        }
        Ok(())
    }
}
