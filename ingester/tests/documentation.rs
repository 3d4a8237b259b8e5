//! The documentation says what the command does.

use ribstream_ingester::{config::Cli, metrics::Metrics};
use ribstream_runtime::config;
use ribstream_testkit::documentation::{check_commands, check_section};

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
    check_commands::<Cli>("ribstream-ingester");
}
