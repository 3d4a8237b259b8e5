//! The database's schema: bringing it to this version, and refusing any other.

pub mod aggregates;

use std::collections::HashSet;

use sqlx::{
    PgConnection, Row,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
};

use aggregates::Edition;

use crate::store::{connect, describe};

/// The migrations that this binary carries.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Why the schema cannot be used, each as one line.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Nobody answers there, or not yet.
    #[error(
        "no database answers at {place}: {reason}; check --database-url (RIBSTREAM_DATABASE_URL)"
    )]
    Away {
        /// Host, port and database.
        place: String,
        /// What went wrong.
        reason: String,
    },
    /// The server refuses us, or a query failed.
    #[error(
        "cannot use the database at {place}: {reason}; check --database-url (RIBSTREAM_DATABASE_URL)"
    )]
    Database {
        /// Host, port and database.
        place: String,
        /// What it said.
        reason: String,
    },
    /// The user may not use the schema.
    #[error(
        "{user} may not use the schema of {place}: {reason}; where it is an ingester's login, grant ribstream_ingester to {user}, as its owner or a superuser"
    )]
    Denied {
        /// Host, port and database.
        place: String,
        /// The login.
        user: String,
        /// What the server said.
        reason: String,
    },
    /// The server has no TimescaleDB.
    #[error(
        "the PostgreSQL server at {place} has no timescaledb extension; install TimescaleDB 2.13 or newer there"
    )]
    NoTimescale {
        /// Host, port and database.
        place: String,
    },
    /// TimescaleDB is installed and not loaded.
    #[error(
        "timescaledb is installed at {place} but not loaded; set shared_preload_libraries = 'timescaledb' in postgresql.conf and restart the server"
    )]
    NotLoaded {
        /// Host, port and database.
        place: String,
    },
    /// No migration was ever run.
    #[error("the database at {place} has no Ribstream schema; run `ribstream-ingester migrate`")]
    Missing {
        /// Host, port and database.
        place: String,
    },
    /// The schema lacks migrations.
    #[error(
        "the schema of {place} is at version {found}, older than this binary's {wanted}; run `ribstream-ingester migrate`"
    )]
    Older {
        /// Host, port and database.
        place: String,
        /// Its version.
        found: i64,
        /// Ours.
        wanted: i64,
    },
    /// The schema has migrations that we do not know.
    #[error(
        "the schema of {place} is at version {found}, newer than this binary's {wanted}; install the ribstream-ingester that migrated it, or a newer one"
    )]
    Newer {
        /// Host, port and database.
        place: String,
        /// Its version.
        found: i64,
        /// Ours.
        wanted: i64,
    },
    /// A migration was changed after it ran.
    #[error(
        "version {version} of the schema of {place} is not this binary's; install the ribstream-ingester that migrated it"
    )]
    Different {
        /// Host, port and database.
        place: String,
        /// The first version that differs.
        version: i64,
    },
    /// A migration failed.
    #[error("migration of {place} failed: {reason}")]
    Failed {
        /// Host, port and database.
        place: String,
        /// Why.
        reason: String,
    },
}

impl SchemaError {
    /// Whether asking again may help, as when the server is just starting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}

/// The database's place as an operator knows it; never its password.
#[must_use]
pub fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    format!("{}:{}/{database}", options.get_host(), options.get_port())
}

/// The newest version that this binary carries.
#[must_use]
pub fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// What [`migrate`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The schema's version before; `None` where there was none.
    pub before: Option<i64>,
    /// And after.
    pub after: i64,
    /// The server's edition of TimescaleDB.
    pub edition: Edition,
    /// How many aggregates were made, or made again.
    pub aggregates: usize,
    /// The roles that are missing, and that the user may not make.
    pub missing_roles: Vec<String>,
}

/// Runs the migrations that the database lacks, makes the aggregates for its edition, and
/// grants the roles what they need of all that.
///
/// # Errors
/// The database is away, lacks TimescaleDB, is newer than this binary, or refuses.
pub async fn migrate(options: &PgConnectOptions) -> Result<Migrated, SchemaError> {
    let place = place(options);
    let failed = |error: &sqlx::Error| database_error(&place, error);
    let mut connection = connect(options).await.map_err(|error| failed(&error))?;
    check_timescale(&mut connection, &place).await?;
    let before = version(&mut connection).await.map_err(|error| failed(&error))?;
    match MIGRATOR.run(&mut connection).await {
        Ok(()) => {}
        Err(MigrateError::VersionMissing(found)) => {
            return Err(SchemaError::Newer { place, found, wanted: newest() });
        }
        Err(MigrateError::VersionMismatch(version)) => {
            return Err(SchemaError::Different { place, version });
        }
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            return Err(SchemaError::Failed { place, reason: describe(&error) });
        }
        Err(error) => return Err(SchemaError::Failed { place, reason: error.to_string() }),
    }
    let made = async {
        let edition = aggregates::edition(&mut connection).await?;
        let made = aggregates::make(&mut connection, edition).await?;
        Ok((edition, made))
    };
    let after = |what: &str, error: &sqlx::Error| SchemaError::Failed {
        place: place.clone(),
        reason: format!("{what}: {}", describe(error)),
    };
    let (edition, aggregates) = made.await.map_err(|error| after("aggregates", &error))?;
    let missing_roles = sqlx::query_scalar("select role from grant_roles() where not present")
        .fetch_all(&mut connection)
        .await
        .map_err(|error| after("roles", &error))?;
    Ok(Migrated { before, after: newest(), edition, aggregates, missing_roles })
}

/// Fails unless the schema is exactly this binary's.
///
/// # Errors
/// It is not, or the database is away.
pub async fn check(options: &PgConnectOptions) -> Result<(), SchemaError> {
    let place = place(options);
    let failed = |error: &sqlx::Error| database_error(&place, error);
    let mut connection = connect(options).await.map_err(|error| failed(&error))?;
    let found = version(&mut connection).await.map_err(|error| match failed(&error) {
        SchemaError::Database { place, reason } if is_denied(&error) => {
            let user = options.get_username().to_owned();
            SchemaError::Denied { place, user, reason }
        }
        error => error,
    });
    let Some(found) = found? else {
        return Err(SchemaError::Missing { place });
    };
    let wanted = newest();
    if found < wanted {
        return Err(SchemaError::Older { place, found, wanted });
    }
    if found > wanted {
        return Err(SchemaError::Newer { place, found, wanted });
    }
    let applied = sqlx::query("select version, checksum from _sqlx_migrations where success")
        .fetch_all(&mut connection)
        .await
        .map_err(|error| failed(&error))?;
    let applied: HashSet<(i64, Vec<u8>)> =
        applied.iter().map(|row| (row.get(0), row.get(1))).collect();
    for migration in MIGRATOR.iter() {
        if !applied.contains(&(migration.version, migration.checksum.to_vec())) {
            return Err(SchemaError::Different { place, version: migration.version });
        }
    }
    Ok(())
}

fn database_error(place: &str, error: &sqlx::Error) -> SchemaError {
    let (place, reason) = (place.to_owned(), describe(error));
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    match code.as_deref() {
        // Starting up, shutting down, out of connections.
        None | Some("57P01" | "57P02" | "57P03" | "53300") => SchemaError::Away { place, reason },
        Some(_) => SchemaError::Database { place, reason },
    }
}

/// Whether the server says that a right is lacking.
fn is_denied(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.as_deref() == Some("42501")
}

/// The newest migration that ran, `None` where none ever did.
async fn version(connection: &mut PgConnection) -> sqlx::Result<Option<i64>> {
    let row = sqlx::query("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !row.try_get::<bool, _>(0)? {
        return Ok(None);
    }
    sqlx::query("select max(version) from _sqlx_migrations where success")
        .fetch_one(connection)
        .await?
        .try_get(0)
}

async fn check_timescale(connection: &mut PgConnection, place: &str) -> Result<(), SchemaError> {
    let row = sqlx::query(
        "select exists (select from pg_available_extensions where name = 'timescaledb'), \
             current_setting('timescaledb.license', true) is not null \
                 or current_setting('shared_preload_libraries') like '%timescaledb%'",
    )
    .fetch_one(connection)
    .await
    .map_err(|error| database_error(place, &error))?;
    let place = place.to_owned();
    match (row.get(0), row.get(1)) {
        (false, _) => Err(SchemaError::NoTimescale { place }),
        (true, false) => Err(SchemaError::NotLoaded { place }),
        (true, true) => Ok(()),
    }
}
