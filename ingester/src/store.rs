//! One transaction: the rows of a batch, and how far they take the partitions.
//!
//! The offsets are advanced first, on condition that they are still where the
//! batch began. That takes their row locks, so that of two ingesters that both
//! think they own a partition one waits and then finds that it was overtaken.

use std::{ops::Range, str::FromStr, sync::Arc};

use sqlx::{
    ConnectOptions as _, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgDatabaseError},
};

use crate::{
    batch::{Advance, Batch},
    current::{self, History, Written},
    decode::Content,
    inventory::Inventory,
    no_delay,
    rows::Table,
    state,
};

/// So that the server notices a client that is gone and frees its locks, and
/// that nothing waits without end: libpq-style settings of the session.
const SESSION_SETTINGS: [(&str, &str); 9] = [
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("lock_timeout", "30s"),
    // A batch is joined with a whole table: by its index, row by row, never by reading it all.
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    // What is dropped if it exists, and does not, is no news.
    ("client_min_messages", "warning"),
];

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The offsets are not where the batch began: another ingester has written it.
    #[error("partition {partition} is at offset {}, not {expected}", .stored.map_or_else(|| "none".to_owned(), |stored| stored.to_string()))]
    Fenced {
        /// The partition.
        partition: i32,
        /// Where the batch began.
        expected: i64,
        /// Where the database is.
        stored: Option<i64>,
    },
    /// The database refuses the data: asking again gives the same answer.
    #[error("{0}")]
    Data(sqlx::Error),
    /// The database is away or overloaded: asking again may help.
    #[error("{0}")]
    Unavailable(sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_data_error(&error) { Self::Data(error) } else { Self::Unavailable(error) }
    }
}

impl StoreError {
    /// The SQLSTATE, where the database gave one.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        match self {
            Self::Data(error) | Self::Unavailable(error) => {
                error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
            }
            Self::Fenced { .. } => None,
        }
    }
}

/// Whether the database complains of the rows themselves: data exceptions (class
/// 22), constraints (23), a trigger's `raise` (P0001), a value too large for an
/// index or a row (54). All else may pass: connections, locks, disk space,
/// shutdown, and a schema or right that an operator can put in order.
fn is_data_error(error: &sqlx::Error) -> bool {
    let Some(code) = error.as_database_error().and_then(sqlx::error::DatabaseError::code) else {
        return false;
    };
    matches!(code.get(..2), Some("22" | "23" | "54")) || code == "P0001"
}

/// One connection to the database and what it writes.
#[derive(Debug)]
pub struct Store {
    options: PgConnectOptions,
    topic: Arc<str>,
    inventory: Arc<Inventory>,
    content: Content,
    connection: Option<PgConnection>,
    /// A commit was sent and not answered.
    uncertain: bool,
}

impl Store {
    /// A store that connects when it is first needed.
    #[must_use]
    pub fn new(
        options: PgConnectOptions,
        topic: Arc<str>,
        content: Content,
        inventory: Arc<Inventory>,
    ) -> Self {
        Self { options, topic, inventory, content, connection: None, uncertain: false }
    }

    /// Writes some of a batch's records, all or nothing.
    ///
    /// If it is cancelled the connection is lost, and with it what was not committed.
    ///
    /// # Errors
    /// Nothing was written, except that after [`StoreError::Unavailable`] the
    /// commit may have reached the database: the next call for the same records
    /// finds out.
    pub async fn write(
        &mut self,
        batch: &mut Batch,
        records: Range<usize>,
        parked: bool,
    ) -> Result<Written, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await.map_err(StoreError::Unavailable)?,
        };
        let result = self.write_with(&mut connection, batch, records, parked).await;
        match &result {
            Ok(_) | Err(StoreError::Fenced { .. }) => self.connection = Some(connection),
            // After an error the protocol's state is not worth untangling.
            Err(_) => drop(connection),
        }
        result
    }

    async fn connect(&self) -> sqlx::Result<PgConnection> {
        let mut connection = connect(&self.options).await?;
        current::prepare(&mut connection).await?;
        Ok(connection)
    }

    async fn write_with(
        &mut self,
        connection: &mut PgConnection,
        batch: &mut Batch,
        records: Range<usize>,
        parked: bool,
    ) -> Result<Written, StoreError> {
        if !batch.has_ids() {
            self.inventory.resolve(connection).await?;
            batch.set_ids(&self.inventory);
        }
        let advances = batch.advances(&records);
        let mut transaction = connection.begin().await?;
        let moved = advance(&mut transaction, &self.topic, &advances).await?;
        if moved != advances.len() as u64 {
            transaction.rollback().await?;
            let stored = offsets(connection, &self.topic).await?;
            return self.overtaken(&advances, &stored).map(|()| Written::default());
        }
        let mut written = Written::default();
        let (from, to) = batch.marks(&records);
        let inventory = &self.inventory;
        if parked {
            // Nothing of it is stored but that it was read.
        } else if self.content == Content::Raw {
            let table = Table::RawMessages;
            let rows = batch.rows.between(table, from, to);
            written.rows[table as usize] = rows.len();
            let rows = batch.rows.table(table).slice(rows);
            current::copy(&mut transaction, table.copy_statement(), rows).await?;
        } else {
            written =
                current::write(&mut transaction, batch, &records, inventory, History::Kept).await?;
            state::apply(&mut transaction, batch.rows.sessions(from, to), inventory).await?;
        }
        self.uncertain = true;
        transaction.commit().await?;
        self.uncertain = false;
        Ok(written)
    }

    /// The offsets are not where they should be. If a commit of ours went
    /// unanswered and they are all where it put them, it was done.
    fn overtaken(&mut self, advances: &[Advance], stored: &[(i32, i64)]) -> Result<(), StoreError> {
        let stored = |partition| {
            stored.iter().find(|(known, _)| *known == partition).map(|(_, offset)| *offset)
        };
        let uncertain = std::mem::take(&mut self.uncertain);
        if uncertain && advances.iter().all(|advance| stored(advance.partition) == Some(advance.to))
        {
            return Ok(());
        }
        let overtaken = advances
            .iter()
            .find(|advance| stored(advance.partition) != Some(advance.from))
            .or(advances.first());
        match overtaken {
            Some(advance) => Err(StoreError::Fenced {
                partition: advance.partition,
                expected: advance.from,
                stored: stored(advance.partition),
            }),
            None => Ok(()),
        }
    }
}

/// A connection set up for writing.
///
/// # Errors
/// The database's.
pub async fn connect(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    let connection = PgConnection::connect_with(options).await?;
    no_delay::set(options);
    Ok(connection)
}

/// How to reach the database at `url`.
///
/// # Errors
/// The URL is not one.
pub fn options(url: &str) -> sqlx::Result<PgConnectOptions> {
    Ok(PgConnectOptions::from_str(url)?
        .application_name("ribstream-ingester")
        .options(SESSION_SETTINGS)
        // A slow one would be a warning of the size of its text; commit_seconds tells it.
        .disable_statement_logging())
}

/// Says how far each partition is. The topic's time, which retention, sweep and the silence of
/// sessions are judged by, is never ahead of the database's: one collector whose clock is would
/// make all history old and all others' sessions silent.
async fn advance(
    connection: &mut PgConnection,
    topic: &str,
    advances: &[Advance],
) -> sqlx::Result<u64> {
    let column = |get: fn(&Advance) -> i64| advances.iter().map(get).collect::<Vec<_>>();
    let done = sqlx::query(
        "update ingest_offsets as o set \
             next_offset = n.next, \
             last_received = case when coalesce(o.last_received, n.logged) is not null \
                 then least(clock_timestamp(), greatest(o.last_received, n.logged)) end, \
             updated = now() \
         from ( \
             select partition, expected, next, \
                 timestamptz 'epoch' + logged * interval '1 microsecond' as logged \
             from unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[]) \
                 as n (partition, expected, next, logged) \
         ) n \
         where o.topic = $1 and o.partition = n.partition and o.next_offset = n.expected",
    )
    .bind(topic)
    .bind(advances.iter().map(|advance| advance.partition).collect::<Vec<_>>())
    .bind(column(|advance| advance.from))
    .bind(column(|advance| advance.to))
    .bind(advances.iter().map(|advance| advance.logged).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// The next offset of each partition that has one.
///
/// # Errors
/// The database's.
pub async fn offsets(connection: &mut PgConnection, topic: &str) -> sqlx::Result<Vec<(i32, i64)>> {
    sqlx::query("select partition, next_offset from ingest_offsets where topic = $1")
        .bind(topic)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Begins a partition that has no offset yet.
///
/// # Errors
/// The database's.
pub async fn begin_partition(
    connection: &mut PgConnection,
    topic: &str,
    partition: i32,
    offset: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into ingest_offsets (topic, partition, next_offset) values ($1, $2, $3) \
         on conflict do nothing",
    )
    .bind(topic)
    .bind(partition)
    .bind(offset)
    .execute(connection)
    .await?;
    Ok(())
}

/// The one line of a database's error that an operator needs.
#[must_use]
pub fn describe(error: &sqlx::Error) -> String {
    let Some(database) = error.as_database_error() else {
        return error.to_string();
    };
    let mut text = database.message().to_owned();
    if let Some(code) = database.code() {
        text = format!("{text} (SQLSTATE {code})");
    }
    let context = database.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::r#where);
    match context.and_then(|context| context.lines().next()) {
        Some(context) => format!("{text}: {context}"),
        None => text,
    }
}
