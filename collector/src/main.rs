//! The command `ribstream-collector`.

use std::{io, process::ExitCode};

use anyhow::Context as _;
use ribstream_collector::{
    config::{Cli, Command, DecodeOptions, HealthOptions, RunOptions},
    decode, files,
    listener::{self, Sockets},
    replay, run, source,
};
use ribstream_runtime::{config, health, log::LogOptions, shutdown};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let cli: Cli = config::parse();
    let done = match &cli.command {
        Command::Run(options) => collect(&cli.log, options.clone()),
        Command::Decode(options) => decode_file(options),
        Command::Replay(options) => {
            runtime().and_then(|runtime| runtime.block_on(replay::run(options)))
        }
        Command::Health(options) => ask(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    Runtime::new().context("cannot start the runtime")
}

fn collect(log: &LogOptions, options: RunOptions) -> anyhow::Result<()> {
    log.init()?;
    files::raise_limit(options.limits.max_connections);
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let shutdown = shutdown::signal();
        shutdown::survive_hangup();
        let sockets = Sockets::bind(&options.transport)?;
        let http = listener::bind(options.http)?;
        run::run(sockets, http, options, shutdown).await
    });
    // A question for Kafka's health may still wait for its answer.
    runtime.shutdown_background();
    done
}

fn ask(options: &HealthOptions) -> anyhow::Result<()> {
    let checks = runtime()?.block_on(health::ask(options.http))?;
    println!("ready: {checks}");
    Ok(())
}

fn decode_file(options: &DecodeOptions) -> anyhow::Result<()> {
    let input = source::open(&options.file, &options.port)?;
    let output = io::BufWriter::new(io::stdout().lock());
    if options.summary {
        decode::summary_as_json(input, options.max_message, output)
    } else {
        decode::lines(input, options.max_message, output)
    }
}
