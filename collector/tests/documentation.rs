//! The documentation says what the command does.

use std::{fs, path::Path};

use ribstream_collector::{config::Cli, metrics::Metrics};
use ribstream_runtime::config;
use ribstream_testkit::documentation::{check_commands, check_section};

/// Every Rust source of the collector, its tests included.
fn sources(directory: &Path, all: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_quirk_names_a_test_that_exists() {
    let collector = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(collector.join("../docs/quirks.md")).unwrap();
    let mut code = String::new();
    sources(&collector.join("src"), &mut code);
    sources(&collector.join("tests"), &mut code);
    let rows = page.lines().filter(|line| line.starts_with('|')).skip(2);
    let mut count = 0;
    for row in rows {
        let name = row.trim_end_matches([' ', '|', '`']).rsplit('`').next().unwrap();
        assert!(code.contains(&format!("fn {name}(")), "no test {name}");
        count += 1;
    }
    assert!(count > 40, "{count}");
}

#[test]
fn the_configuration_reference_is_what_help_says() {
    let reference = config::reference(&config::command::<Cli>());
    check_section("configuration.md", "ribstream-collector", &reference);
}

#[test]
fn the_metrics_reference_is_what_is_registered() {
    check_section("metrics.md", "ribstream-collector", &Metrics::reference().unwrap());
}

#[test]
fn every_command_of_the_documentation_is_one() {
    check_commands::<Cli>("ribstream-collector");
}
