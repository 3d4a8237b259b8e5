//! The documentation says what the command does.

use clap::{Parser as _, error::ErrorKind};
use ribstream_ingester::{config::Cli, metrics::Metrics};
use ribstream_runtime::config;
use ribstream_testkit::documentation::{check_section, commands};

#[test]
fn the_configuration_reference_is_what_help_says() {
    let reference = config::reference(&config::command::<Cli>());
    check_section("configuration.md", "ribstream-ingester", &reference);
}

#[test]
fn the_metrics_reference_is_what_is_registered() {
    check_section("metrics.md", "ribstream-ingester", &Metrics::reference().unwrap());
}

#[test]
fn every_command_of_the_documentation_is_one() {
    const PROGRAM: &str = "ribstream-ingester";
    let commands = commands(PROGRAM);
    let ours = commands.iter().filter(|command| command.words[0] == PROGRAM);
    let mut count = 0;
    for command in ours {
        match Cli::try_parse_from(&command.words) {
            Ok(_) => {}
            // In the text not all is said, or only what is to be put there.
            Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {}
            Err(error) if error.kind() == ErrorKind::ValueValidation && command.has_a_place() => {}
            Err(error) => panic!("{command:?}: {error}"),
        }
        count += 1;
    }
    assert!(count > 5, "{count}");
}
