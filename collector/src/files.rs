//! The process's limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open beside the routers' connections: logs, Kafka's brokers, HTTP.
const OTHERS: u64 = 100;

/// Raises the limit to what the process may raise it to, and says so where that is not enough
/// for so many connections: services often begin with 1,024 files, and may have more.
pub fn raise_limit(connections: u32) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit of open files was not raised");
        }
    }
    let needed = u64::from(connections) + OTHERS;
    if let Some(files) = getrlimit(Resource::Nofile).current.filter(|files| *files < needed) {
        tracing::warn!(
            files,
            needed,
            "--max-connections needs more open files than the process may have, raise its limit \
             (ulimit -n, or LimitNOFILE of systemd)",
        );
    }
}
