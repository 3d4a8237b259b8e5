//! The functions and views that answer questions, held against answers that are known: from the
//! files of what was announced in a capture, from models that the tests keep, and from stories
//! that were made up.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/replay.rs"]
mod replay;

mod churn;
mod dashboards;
mod evpn;
mod history;
mod made;
mod network;
mod security;

use common::Bed;
use sqlx::AssertSqlSafe;

/// Each row as one text, its columns apart by spaces and null as a dash.
async fn rows(bed: &Bed, query: &str) -> Vec<String> {
    let mut connection = bed.database.connect().await.unwrap();
    let sql = format!(
        "select (select string_agg(coalesce(value, '-'), ' ' order by place) \
             from json_each_text(row_to_json(answer)) with ordinality as column_ (key, value, place)) \
         from ({query}) answer"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap()
}

/// What the autovacuum launcher does sooner or later.
async fn analyze(bed: &Bed) {
    let mut connection = bed.database.connect().await.unwrap();
    sqlx::raw_sql("analyze").execute(&mut connection).await.unwrap();
}
