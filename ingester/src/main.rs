//! The ingester's command line.

use std::process::ExitCode;

use ribstream_ingester::config::Cli;

fn main() -> ExitCode {
    let cli: Cli = ribstream_runtime::config::parse();
    match ribstream_ingester::main(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
