//! From a signal to a cancellation token.

use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal as listen};
use tokio_util::sync::CancellationToken;

/// What a shell reports of a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// A token that the first SIGTERM or SIGINT cancels. The second one ends the
/// process at once with code 130, for who cannot wait for the drain.
#[must_use]
pub fn signal() -> CancellationToken {
    let token = CancellationToken::new();
    let signals = listen(SignalKind::terminate())
        .and_then(|terminate| Ok((terminate, listen(SignalKind::interrupt())?)));
    match signals {
        Ok((terminate, interrupt)) => {
            tokio::spawn(watch(terminate, interrupt, token.clone()));
        }
        Err(error) => {
            tracing::warn!(%error, "cannot watch for signals, a signal will end without a drain");
        }
    }
    token
}

/// Keeps SIGHUP from ending a daemon: supervisors send it to have files read again, and
/// terminals when they are closed.
pub fn survive_hangup() {
    // Whoever has listened once has taken the signal's own effect away for good.
    if let Err(error) = listen(SignalKind::hangup()) {
        tracing::warn!(%error, "cannot watch for signals, SIGHUP will end without a drain");
    }
}

async fn watch(mut terminate: Signal, mut interrupt: Signal, token: CancellationToken) {
    let name = next(&mut terminate, &mut interrupt).await;
    tracing::info!(signal = name, "shutting down");
    token.cancel();
    let name = next(&mut terminate, &mut interrupt).await;
    tracing::warn!(signal = name, "second signal, leaving without a drain");
    process::exit(INTERRUPTED);
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
