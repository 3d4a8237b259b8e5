//! The command line of the comparison.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use ribstream_interop::{Cli, Command, agree, known};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Known => print!("{}", known()),
        Command::Compare(options) => {
            let (report, agrees) = agree(&options).await?;
            print!("{report}");
            if !agrees {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
