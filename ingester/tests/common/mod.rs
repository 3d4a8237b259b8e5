//! Topics full of events, ingester processes, and what they left in the database.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use prost::Message as _;
use rdkafka::{
    ClientConfig,
    message::OwnedHeaders,
    producer::{BaseRecord, Producer as _, ThreadedProducer},
};
use ribstream_proto::{
    record,
    v1::{
        AsPath, AsPathSegment, AsPathSegmentType, Event, EvpnRoute, Family, Notification,
        OtherRoute, PathAttributes, Peer, PeerDown, PeerUp, Prefix, PrefixRoute, RibView,
        RouteUpdate, RouterDown, RouterUp, Routes, Statistic, StatsReport, event::Body,
    },
};
use ribstream_testkit::{Database, Kafka, topic};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

/// A time in 2026, so that all events of a test fall into one chunk.
pub const START: u64 = 1_780_000_000_000_000;

/// How long anything may take before a test gives up: machines are slow, hangs are hangs.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// Whatever is the same in two databases that were written from the same topic, as rows with a
/// `peer_id`.
pub const TABLES: [&str; 16] = [
    "route_events",
    "evpn_events",
    "other_events",
    "peer_events",
    "stats_reports",
    "mirrored_messages",
    "(select id as peer_id, first_heard, up, since, session, sequence, down_reason, epoch \
      from peers)",
    "peer_holds",
    "peer_epochs",
    "rib_dumps",
    "dump_events",
    "event_gaps",
    "routes",
    "evpn_routes",
    "other_routes",
    // Which of its peers was heard first, and has the lowest id, is chance.
    "(select (select p.id from peers p where p.router_id = s.router_id \
              order by p.type, p.distinguisher, p.address, p.loc_rib_bgp_id limit 1) \
          as peer_id, s.* from bmp_sessions s)",
];

/// Router and peer of a row `e` of [`TABLES`], by their identities.
pub const WHOSE: &str = "(r.identity || ' ' || p.type || ' ' || p.distinguisher || ' ' \
    || coalesce(p.address::text, '') || coalesce(p.loc_rib_bgp_id::text, '') \
    || coalesce(p.loc_rib_name, ''))";

/// What it says but for the numbers of router and peer, which are chance.
pub const ROW: &str = "(to_jsonb(e) - 'peer_id' - 'router_id')";

/// What both need behind the table's name.
pub const OF_PEERS: &str =
    "e join peers p on p.id = e.peer_id join routers r on r.id = p.router_id";

pub fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ribstream-ingester"))
}

/// A topic, a dead-letter topic and a migrated database of a test's own.
pub struct Bed {
    pub kafka: Kafka,
    pub database: Database,
    pub topic: String,
    pub dead_letter: String,
    pub partitions: i32,
    pub group: String,
}

impl Bed {
    pub async fn new(partitions: i32) -> Self {
        let kafka = Kafka::shared().await.unwrap();
        let database = Database::fresh().await.unwrap();
        Self::with(kafka, database, partitions).await
    }

    pub async fn with(kafka: Kafka, database: Database, partitions: i32) -> Self {
        Self::with_topic(kafka, database, partitions, &[]).await
    }

    /// With a topic as collectors make it: each event has the time at which the broker took it.
    pub async fn by_the_brokers_clock(kafka: Kafka, database: Database, partitions: i32) -> Self {
        let properties = [("message.timestamp.type", "LogAppendTime")];
        Self::with_topic(kafka, database, partitions, &properties).await
    }

    async fn with_topic(
        kafka: Kafka,
        database: Database,
        partitions: i32,
        properties: &[(&str, &str)],
    ) -> Self {
        let topic = topic("events");
        let dead_letter = format!("{topic}-dead");
        kafka.create_topic_with(&topic, partitions, properties).await.unwrap();
        kafka.create_topic(&dead_letter, 1).await.unwrap();
        let bed = Self { group: topic.clone(), kafka, database, topic, dead_letter, partitions };
        bed.migrate();
        bed
    }

    /// The same topic, into another database.
    pub async fn beside(&self) -> Self {
        self.beside_in(Database::fresh().await.unwrap()).await
    }

    /// The same topic, into this database.
    pub async fn beside_in(&self, database: Database) -> Self {
        let group = topic("beside");
        let bed = Self {
            kafka: self.kafka.clone(),
            database,
            topic: self.topic.clone(),
            dead_letter: format!("{group}-dead"),
            partitions: self.partitions,
            group,
        };
        bed.kafka.create_topic(&bed.dead_letter, 1).await.unwrap();
        bed.migrate();
        bed
    }

    pub fn migrate(&self) {
        let done =
            binary().args(["migrate", "--database-url", self.database.url()]).output().unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        // Nor does it tell what is no news.
        assert!(done.status.success() && !told.contains("skipping"), "{told}");
    }

    /// What an ingester of this topic into this database is told, but for where it serves its
    /// metrics.
    pub fn arguments(&self) -> Vec<String> {
        self.arguments_of(&self.group, self.database.url())
    }

    fn arguments_of(&self, group: &str, database: &str) -> Vec<String> {
        let topics = ["--topic-events", &self.topic, "--topic-dead-letter", &self.dead_letter];
        ["run", "--group", group, "--kafka", self.kafka.brokers(), "--database-url", database]
            .into_iter()
            .chain(topics)
            // Dead members are replaced as fast as the broker allows.
            .chain(["--kafka-property", "session.timeout.ms=6000,heartbeat.interval.ms=500"])
            .map(str::to_owned)
            .collect()
    }

    /// Starts an ingester.
    pub fn ingester(&self, arguments: &[&str]) -> Ingester {
        Ingester::spawn(self.command().args(["--http", "127.0.0.1:0"]).args(arguments))
    }

    /// What starts an ingester, but for where it serves its metrics.
    pub fn command(&self) -> Command {
        self.command_of(&self.group, self.database.url())
    }

    /// The same of another group, or with another way to the database.
    pub fn command_of(&self, group: &str, database: &str) -> Command {
        let mut command = binary();
        command.args(self.arguments_of(group, database));
        command
    }

    pub fn producer(&self) -> Producer {
        Producer::new(&self.kafka, &self.topic)
    }

    /// Publishes events and lets an undisturbed ingester store them.
    pub async fn store(&self, events: &[Event]) {
        let producer = self.producer();
        for event in events {
            producer.send(event);
        }
        producer.flush();
        let ingester = self.ingester(&[]);
        self.wait_until_stored().await;
        assert_eq!(ingester.stop(), Some(0));
    }

    /// Starts ingesters one after the other and kills each at some moment after its first
    /// commit, 0 to 100 ms, at odds with the rhythm of batches, until so many records are in the
    /// database. A member by name takes its own partitions at once, where Kafka would wait for
    /// the dead one.
    pub async fn store_by_ingesters_that_are_killed(&self, total: i64, arguments: &[&str]) {
        let member = ["--kafka-property", "group.instance.id=the-one"];
        let arguments = [arguments, &member].concat();
        let mut kills = 0;
        while self.stored().await < total {
            let before = self.stored().await;
            let ingester = self.ingester(&arguments);
            wait_for("progress", async || self.stored().await > before).await;
            tokio::time::sleep(Duration::from_millis(kills * 29 % 97)).await;
            ingester.kill();
            kills += 1;
            assert!(kills < 500, "no progress");
        }
        println!("killed {kills} times");
        assert!(kills > 3, "all was read before that could be disturbed");
    }

    /// Waits until all records that the topic has now are in the database.
    pub async fn wait_until_stored(&self) {
        self.wait_until_stored_of(&self.topic).await;
    }

    /// The same of another topic.
    pub async fn wait_until_stored_of(&self, topic: &str) {
        let ends = self.kafka.lengths(topic).await.unwrap();
        let begun = Instant::now();
        loop {
            let stored = self.positions_of(topic, i32::try_from(ends.len()).unwrap()).await;
            if stored.iter().zip(&ends).all(|(stored, end)| stored >= end) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{stored:?} of {ends:?} records stored");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many records of each partition of the topic are in the database.
    pub async fn positions(&self) -> Vec<i64> {
        self.positions_of(&self.topic, self.partitions).await
    }

    async fn positions_of(&self, topic: &str, partitions: i32) -> Vec<i64> {
        let mut connection = self.database.connect().await.unwrap();
        sqlx::query_scalar(
            "select coalesce(o.next_offset, 0) from generate_series(0, $2 - 1) as number \
             left join ingest_offsets o on o.topic = $1 and o.partition = number order by number",
        )
        .bind(topic)
        .bind(partitions)
        .fetch_all(&mut connection)
        .await
        .unwrap()
    }

    /// How many records of the topic are in the database.
    pub async fn stored(&self) -> i64 {
        let mut connection = self.database.connect().await.unwrap();
        sqlx::query("select coalesce(sum(next_offset), 0)::bigint from ingest_offsets")
            .fetch_one(&mut connection)
            .await
            .unwrap()
            .get(0)
    }

    /// One number.
    pub async fn number(&self, sql: &str) -> i64 {
        let mut connection = self.database.connect().await.unwrap();
        number(&mut connection, sql).await
    }

    /// One text.
    pub async fn text(&self, sql: &str) -> String {
        let mut connection = self.database.connect().await.unwrap();
        let sql = AssertSqlSafe(format!("select coalesce(({sql})::text, 'null')"));
        sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0)
    }

    /// For each table its number of rows and a digest of their contents, with routers and
    /// peers by their identities: what is the same in two databases that hold the same.
    pub async fn digest(&self) -> Vec<(String, i64, String)> {
        let mut connection = self.database.connect().await.unwrap();
        let mut digests = Vec::new();
        for table in TABLES {
            let sql = format!(
                "select count(*), coalesce(md5(string_agg(row, '|' order by row)), '') \
                 from (select {WHOSE} || {ROW}::text as row from {table} {OF_PEERS}) as rows"
            );
            let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
            digests.push((table.to_owned(), row.get(0), row.get(1)));
        }
        digests
    }
}

pub async fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    let sql = AssertSqlSafe(format!("select ({sql})::bigint"));
    sqlx::query(sql).fetch_one(connection).await.unwrap().get(0)
}

/// An ingester process, killed when dropped.
pub struct Ingester(Child);

impl Ingester {
    pub fn spawn(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// SIGTERM; its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the ingester does not stop");
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Whether it has not exited.
    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Ingester {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Publishes events as a collector does.
pub struct Producer {
    producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext>,
    topic: String,
}

impl Producer {
    fn new(kafka: &Kafka, topic: &str) -> Self {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", kafka.brokers())
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .create()
            .unwrap();
        Self { producer, topic: topic.to_owned() }
    }

    pub fn send(&self, event: &Event) {
        self.send_raw(&record::key(event), &event.encode_to_vec());
    }

    pub fn send_raw(&self, key: &str, payload: &[u8]) {
        self.send_to(&self.topic, key, payload, &OwnedHeaders::new());
    }

    /// A record of another topic.
    pub fn send_to(&self, topic: &str, key: &str, payload: &[u8], headers: &OwnedHeaders) {
        loop {
            let record = BaseRecord::to(topic).key(key).payload(payload).headers(headers.clone());
            match self.producer.send(record) {
                Ok(()) => return,
                // The queue is full.
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Waits until Kafka has everything.
    pub fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }
}

/// A peer of a router, and the events of one session of it.
pub struct Speaker {
    pub router: String,
    pub peer: Peer,
    pub session: u64,
    pub sequence: u64,
}

impl Speaker {
    pub fn new(router: u8, peer: u8) -> Self {
        Self {
            router: format!("192.0.2.{router}"),
            peer: Peer {
                address: bytes::Bytes::from(vec![198, 51, 100, peer]),
                asn: 64_500 + u32::from(peer),
                bgp_id: bytes::Bytes::from(vec![10, 0, 0, peer]),
                distinguisher: bytes::Bytes::from(vec![0; 8]),
                ..Peer::default()
            },
            session: START + u64::from(router),
            sequence: 0,
        }
    }

    pub fn event(&mut self, body: Body) -> Event {
        self.sequence += 1;
        let of_router =
            matches!(body, Body::RouterUp(_) | Body::RouterDown(_) | Body::Heartbeat(_));
        Event {
            collector: "collector-1".to_owned(),
            router: self.router.clone(),
            router_address: bytes::Bytes::from(vec![192, 0, 2, 1]),
            session: self.session,
            sequence: self.sequence,
            received_at: START + self.sequence * 1000,
            router_time: Some(START),
            peer: (!of_router).then(|| self.peer.clone()),
            peer_sequence: 0,
            body: Some(body),
        }
    }

    /// An UPDATE that announces these /24s.
    pub fn announce(&mut self, prefixes: impl IntoIterator<Item = u32>) -> Event {
        let update = RouteUpdate {
            view: RibView::AdjRibInPre as i32,
            attributes: Some(attributes(self.peer.asn)),
            announced: vec![routes(prefixes)],
            asn_width: 4,
            ..RouteUpdate::default()
        };
        self.event(Body::RouteUpdate(update))
    }

    /// An UPDATE that announces an EVPN route and a flow specification.
    pub fn announce_others(&mut self, number: u32) -> Event {
        let raw = bytes::Bytes::from(number.to_be_bytes().to_vec());
        let evpn = EvpnRoute {
            route_type: 3,
            ethernet_tag: Some(number),
            raw: raw.clone(),
            ..EvpnRoute::default()
        };
        let flow = OtherRoute { raw, ..OtherRoute::default() };
        let update = RouteUpdate {
            view: RibView::AdjRibInPre as i32,
            attributes: Some(attributes(self.peer.asn)),
            announced: vec![
                Routes { afi: 25, safi: 70, evpn: vec![evpn], ..Routes::default() },
                Routes { afi: 1, safi: 133, other: vec![flow], ..Routes::default() },
            ],
            ..RouteUpdate::default()
        };
        self.event(Body::RouteUpdate(update))
    }

    pub fn withdraw(&mut self, prefixes: impl IntoIterator<Item = u32>) -> Event {
        let update = RouteUpdate {
            view: RibView::AdjRibInPre as i32,
            withdrawn: vec![Routes { next_hop: bytes::Bytes::new(), ..routes(prefixes) }],
            ..RouteUpdate::default()
        };
        self.event(Body::RouteUpdate(update))
    }

    /// A session's worth of events of all kinds: `updates` messages of a few routes each.
    pub fn story(&mut self, updates: u32) -> Vec<Event> {
        let mut events = vec![
            self.event(Body::RouterUp(RouterUp {
                sys_name: Some(format!("router-{}", self.router)),
                ..RouterUp::default()
            })),
            self.event(Body::PeerUp(PeerUp { local_port: 179, ..PeerUp::default() })),
        ];
        for update in 0..updates {
            let first = update * 3 % 5000;
            events.push(match update % 7 {
                3 => self.withdraw(first..first + 2),
                5 => self.event(Body::StatsReport(StatsReport {
                    statistics: vec![Statistic {
                        r#type: 7,
                        value: Some(u64::from(update)),
                        ..Statistic::default()
                    }],
                })),
                6 => self.announce_others(first),
                _ => self.announce(first..first + 1 + update % 5),
            });
        }
        events.push(self.event(Body::RouteUpdate(RouteUpdate {
            view: RibView::AdjRibInPre as i32,
            end_of_rib: vec![Family { afi: 1, safi: 1 }],
            ..RouteUpdate::default()
        })));
        events.push(self.event(Body::PeerDown(PeerDown {
            reason: 3,
            notification: Some(Notification { code: 6, subcode: 2, ..Notification::default() }),
            ..PeerDown::default()
        })));
        events.push(self.event(Body::RouterDown(RouterDown {
            reason: 2,
            detail: "the router closed the connection".to_owned(),
            ..RouterDown::default()
        })));
        events
    }
}

pub fn attributes(asn: u32) -> PathAttributes {
    PathAttributes {
        origin: Some(0),
        as_path: Some(AsPath {
            segments: vec![AsPathSegment {
                r#type: AsPathSegmentType::AsSequence as i32,
                asns: vec![asn, 65_010, 65_020],
            }],
        }),
        med: Some(10),
        communities: vec![(asn << 16) + 100, (65_000 << 16) + 666],
        ..PathAttributes::default()
    }
}

pub fn routes(prefixes: impl IntoIterator<Item = u32>) -> Routes {
    Routes {
        afi: 1,
        safi: 1,
        next_hop: bytes::Bytes::from_static(&[198, 51, 100, 1]),
        prefixes: prefixes
            .into_iter()
            .map(|number| PrefixRoute {
                prefix: Some(Prefix {
                    address: bytes::Bytes::from(
                        (0x0a00_0000 + (number << 8)).to_be_bytes().to_vec(),
                    ),
                    length: 24,
                }),
                ..PrefixRoute::default()
            })
            .collect(),
        ..Routes::default()
    }
}

/// Waits until `condition` holds.
pub async fn wait_for(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
