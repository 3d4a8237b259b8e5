//! The current tables: what each router holds, and what each event did to it.
//!
//! ```text
//!  steps of a batch ──► keys, peers ──► load ──► run ──► history with tails
//!                       (plan.rs)      (load.rs)  │      routes: copied, updated, touched
//!                                                 │      epochs, holds, dumps, gaps
//!                                 peer.rs: who holds the peer, since when
//!                                 route.rs: what a statement does to a route
//! ```
//!
//! All of it happens in the batch's transaction, behind the fence of the offsets:
//! nobody else writes about these peers at the same time. `peer.rs` and
//! `route.rs` know neither database nor clock, so that whoever reads the topic
//! comes to the same rows, however the records are cut into batches.

mod load;
mod packed;
pub mod peer;
pub mod plan;
pub mod route;
mod write_peers;
mod write_routes;

use sqlx::PgConnection;

use plan::Plan;
pub use plan::{Counts, Span, Spans};
pub(crate) use write_routes::{copy, prepare};

use crate::{
    batch::Batch,
    inventory::Inventory,
    rows::{Current, Table},
};

/// Writes the rows of some of a batch's records, and what they make of the current tables:
/// these alone, where the history is not to be kept.
pub(crate) async fn write(
    connection: &mut PgConnection,
    batch: &Batch,
    records: &std::ops::Range<usize>,
    inventory: &Inventory,
    history: History,
) -> sqlx::Result<Written> {
    let (from, to) = batch.marks(records);
    let ids = inventory.peer_ids();
    let mut plan = Plan::new(&batch.rows, from, to, &ids);
    load::load_peers(connection, &mut plan, batch.rows.steps(from, to)).await?;
    for table in Current::ALL {
        load::load_routes(connection, table, &mut plan.routes[table as usize]).await?;
    }
    plan.run(&batch.rows, from, batch.ends(records), &ids);

    let mut written = Written { counts: plan.counts, ..Written::default() };
    if history == History::Kept {
        let others = |table| table != Table::ProcessingTimes;
        copy_others(connection, batch, &plan, others, &mut written).await?;
        for table in Current::ALL {
            let history = &plan.history[table as usize];
            written.rows[table.history() as usize] += history.len();
            write_routes::write_history(connection, table, &batch.rows, history).await?;
        }
    }
    for table in Current::ALL {
        write_routes::write_routes(connection, table, &batch.rows, &plan.routes[table as usize])
            .await?;
    }
    write_peers::write_peers(connection, &plan.peers).await?;
    if history == History::Kept {
        // Last: they bear the time at which they are written.
        let times = |table| table == Table::ProcessingTimes;
        copy_others(connection, batch, &plan, times, &mut written).await?;
    }
    written.spans = plan.spans;
    Ok(written)
}

/// Copies the rows of the other tables, as far as they are `wanted`.
async fn copy_others(
    connection: &mut PgConnection,
    batch: &Batch,
    plan: &Plan<'_>,
    wanted: impl Fn(Table) -> bool,
    written: &mut Written,
) -> sqlx::Result<()> {
    for (table, rows) in plan.others.iter().filter(|(table, _)| wanted(*table)) {
        written.rows[*table as usize] += rows.len();
        let rows = batch.rows.table(*table).slice(rows.clone());
        copy(connection, table.copy_statement(), rows).await?;
    }
    Ok(())
}

/// Whether a batch's history is written, or only what it makes of the current tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum History {
    /// It is.
    Kept,
    /// It is not.
    Left,
}

/// What a transaction wrote.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Rows, by table.
    pub rows: [usize; Table::ALL.len()],
    /// Events without rows.
    pub counts: Counts,
    /// Which events of each peer it was.
    pub spans: Spans,
}
