//! A database of a test's own, on the server that the tests share.

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

use crate::container::{self, Container};
use crate::unique;

static SHARED: OnceCell<Container> = OnceCell::const_new();

/// An empty database with the timescaledb extension, dropped when this is.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
    url: String,
}

impl Database {
    /// Creates one on the shared server.
    pub async fn fresh() -> Result<Self> {
        let server = match std::env::var("RIBSTREAM_TEST_DATABASE_URL") {
            Ok(url) => url,
            Err(_) => container_url(SHARED.get_or_try_init(container::postgres).await?.port),
        };
        Self::fresh_on(&server).await
    }

    /// Creates one on the server of a URL, whose own database is used only to say so.
    pub async fn fresh_on(server: &str) -> Result<Self> {
        let name = format!("test_{}", unique().replace('-', "_"));
        let database = Self { server: server.to_owned(), url: with_database(server, &name), name };
        let mut admin = PgConnection::connect(server)
            .await
            .with_context(|| format!("no database server for the tests at {server}"))?;
        sqlx::raw_sql(AssertSqlSafe(format!("create database {}", database.name)))
            .execute(&mut admin)
            .await?;
        admin.close().await?;
        let mut connection = database.connect().await?;
        sqlx::raw_sql(
            "set client_min_messages = warning; create extension if not exists timescaledb",
        )
        .execute(&mut connection)
        .await
        .context("the database server of the tests has no TimescaleDB")?;
        connection.close().await?;
        Ok(database)
    }

    /// What the ingester's `--database-url` takes.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection of its own.
    pub async fn connect(&self) -> Result<PgConnection> {
        PgConnection::connect(&self.url)
            .await
            .with_context(|| format!("cannot connect to {}", self.url))
    }

    async fn remove(server: String, name: String) -> Result<()> {
        let mut admin = PgConnection::connect(&server).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("drop database if exists {name} with (force)")))
            .execute(&mut admin)
            .await?;
        Ok(admin.close().await?)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (std::mem::take(&mut self.server), std::mem::take(&mut self.name));
        // A drop cannot wait for a future, and the test's runtime may be ending: a thread of
        // its own can.
        let removal = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(Self::remove(server, name))
        });
        // One that stays behind disturbs no other test: its name is its own. A server that
        // the test has killed cannot drop anything.
        let _ = removal.join();
    }
}

pub(crate) fn container_url(port: u16) -> String {
    format!("postgres://ribstream:ribstream@127.0.0.1:{port}/ribstream")
}

/// The same URL with another database.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = match url.split_once('?') {
        Some((base, query)) => (base, format!("?{query}")),
        None => (url, String::new()),
    };
    let host = base.find("://").map_or(0, |at| at + 3);
    let path = base[host..].find('/').map_or(base.len(), |at| host + at);
    format!("{}/{name}{query}", &base[..path])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn the_database_of_a_url_is_replaced_and_the_rest_kept() {
        for (url, expected) in [
            ("postgres://u:p@h:1/old", "postgres://u:p@h:1/new"),
            ("postgres://u:p@h:1", "postgres://u:p@h:1/new"),
            ("postgres://h/old?sslmode=disable", "postgres://h/new?sslmode=disable"),
        ] {
            assert_eq!(with_database(url, "new"), expected);
        }
    }
}
