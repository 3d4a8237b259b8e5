//! PostgreSQL over TLS, whose certificate is verified, with the password in a file.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use ribstream_testkit::{Database, OwnPostgres};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    certificates::{authority, certificate},
    common::{self, binary},
};

/// Gives the server a certificate of `ca` for a name, and makes it take connections over TLS.
async fn serve_tls(database: &Database, directory: &Path, san: &str) {
    certificate(directory, "ca", "server", san);
    let mut connection = database.connect().await.unwrap();
    for file in ["server.crt", "server.key"] {
        let pem = fs::read_to_string(directory.join(file)).unwrap();
        let lines = pem.lines().collect::<Vec<_>>().join("'), ('");
        // The server's own directory, wherever that is.
        let copy = format!(
            "copy (values ('{lines}')) to program 'umask 077; cat > {file}.new; mv {file}.new {file}'"
        );
        sqlx::raw_sql(AssertSqlSafe(copy)).execute(&mut connection).await.unwrap();
    }
    for sql in ["alter system set ssl = on", "select pg_reload_conf()"] {
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }
}

/// What migrate says of a database that is reached as the URL says, with the password in a file.
fn migrate(url: &str, directory: &Path) -> Result<(), String> {
    let done = binary()
        .args(["migrate", "--database-url", url])
        .env("PGPASSFILE", directory.join("passwords"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!said.contains("of-the-file"), "{said}");
    if done.status.success() { Ok(()) } else { Err(said) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_s_certificate_is_verified_and_the_password_read_from_a_file() {
    let postgres = OwnPostgres::start().await.unwrap();
    let database = Database::fresh_on(postgres.url()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    authority(directory, "ca");
    authority(directory, "other");
    let mut connection = database.connect().await.unwrap();
    let login = "create role owner_1 login superuser password 'of-the-file'";
    sqlx::raw_sql(login).execute(&mut connection).await.unwrap();
    let passwords = directory.join("passwords");
    fs::write(&passwords, "127.0.0.1:*:*:owner_1:of-the-file\n").unwrap();
    fs::set_permissions(&passwords, fs::Permissions::from_mode(0o600)).unwrap();
    let url = database.url().replace("ribstream:ribstream@", "owner_1@");
    let verified = |ca: &str| {
        let root = directory.join(ca);
        format!("{url}?sslmode=verify-full&sslrootcert={}", root.display())
    };

    let error = migrate(&verified("ca.pem"), directory).unwrap_err();
    assert!(error.contains("TLS"), "a server without TLS: {error}");

    serve_tls(&database, directory, "DNS:db.example.net").await;
    common::wait_for("TLS", async || migrate(&format!("{url}?sslmode=require"), directory).is_ok())
        .await;
    let error = migrate(&verified("ca.pem"), directory).unwrap_err();
    assert!(error.contains("certificate"), "a certificate of another name: {error}");

    serve_tls(&database, directory, "IP:127.0.0.1").await;
    common::wait_for("the certificate", async || migrate(&verified("ca.pem"), directory).is_ok())
        .await;
    let error = migrate(&verified("other.pem"), directory).unwrap_err();
    assert!(error.contains("certificate"), "a certificate of another authority: {error}");

    // It is really TLS, and the password really is needed.
    let known = verified("ca.pem").replace("owner_1@", "owner_1:of-the-file@");
    let mut connection = PgConnection::connect(&known).await.unwrap();
    let encrypted: bool =
        sqlx::query_scalar("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert!(encrypted);
    fs::write(&passwords, "").unwrap();
    let error = migrate(&verified("ca.pem"), directory).unwrap_err();
    assert!(error.contains("password"), "{error}");
}
