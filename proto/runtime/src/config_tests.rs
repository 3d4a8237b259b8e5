use std::{fs, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use tempfile::TempDir;

use super::*;

#[derive(Debug, Parser)]
#[command(name = "daemon")]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Args)]
struct Shared {
    /// Level.
    #[arg(long, global = true, default_value = "info")]
    level: String,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Run(Run),
    Tap(Tap),
}

#[derive(Debug, Args)]
struct Run {
    /// A flag whose environment variable every process has.
    #[arg(long, env = "PATH", default_value = "built in")]
    search_path: String,
    #[arg(long, default_value_t = 10)]
    max_sessions: u32,
    #[arg(long)]
    verbose: bool,
    #[arg(long, value_delimiter = ',', default_value = "a,b")]
    property: Vec<String>,
    #[arg(long)]
    database_url: String,
    #[arg(long, env = "RIBSTREAM_NOT_SET", hide_env_values = true, value_parser = pin)]
    pin: Option<u32>,
}

fn pin(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "is no number".to_owned())
}

#[derive(Debug, Args)]
struct Tap {
    #[arg(long, default_value_t = 10)]
    max_sessions: u32,
}

struct File {
    path: PathBuf,
    _dir: TempDir,
}

fn file(text: &str) -> File {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("daemon.toml");
    fs::write(&path, text).unwrap();
    File { path, _dir: dir }
}

fn parse_with(text: &str, args: &[&str]) -> Result<Cli, ConfigError> {
    let file = file(text);
    let args = ["daemon"].iter().chain(args).map(OsString::from);
    parse_from(args, Some(file.path.clone().into_os_string()))
}

fn run(text: &str, args: &[&str]) -> Run {
    match parse_with(text, args).unwrap().command {
        Sub::Run(run) => run,
        Sub::Tap(_) => panic!("expected run"),
    }
}

#[test]
fn the_command_line_wins_over_the_environment_over_the_file_over_the_default() {
    let all = "max_sessions = 3\nsearch-path = 'file'\ndatabase-url = 'file'";
    let got = run(all, &["run", "--max-sessions", "4"]);
    assert_eq!(got.max_sessions, 4, "flag over file");
    assert_eq!(got.search_path, std::env::var("PATH").unwrap(), "environment over file");
    assert_eq!(got.database_url, "file", "file in place of a required flag");
    assert_eq!(run(all, &["run"]).max_sessions, 3, "file over default");
    assert_eq!(run("", &["run", "--database-url", "x"]).max_sessions, 10, "default");
    let got = run(all, &["run", "--search-path", "flag"]);
    assert_eq!(got.search_path, "flag", "flag over environment");
}

#[test]
fn a_subcommands_table_wins_over_the_top_of_the_file_and_touches_no_other() {
    let text = "max-sessions = 1\nlevel = 'debug'\n[run]\nmax-sessions = 2\ndatabase-url = 'x'\n";
    assert_eq!(run(text, &["run"]).max_sessions, 2);
    let cli = parse_with(text, &["tap"]).unwrap();
    assert_eq!(cli.shared.level, "debug");
    let Sub::Tap(tap) = cli.command else { panic!("expected tap") };
    assert_eq!(tap.max_sessions, 1);
}

#[test]
fn switches_and_lists_can_be_set_from_the_file() {
    let text = "[run]\nverbose = true\nproperty = ['x', 'y', 'z']\ndatabase-url = 'x'";
    let got = run(text, &["run"]);
    assert!(got.verbose);
    assert_eq!(got.property, ["x", "y", "z"]);
    assert_eq!(run("[run]\nproperty='p,q'\ndatabase-url='x'", &["run"]).property, ["p", "q"]);
    assert_eq!(run("[run]\ndatabase-url='x'", &["run"]).property, ["a", "b"]);
}

fn error(text: &str) -> String {
    parse_with(text, &["run", "--database-url", "x"]).unwrap_err().to_string()
}

#[test]
fn an_unknown_key_is_named_with_its_file_and_the_nearest_flag() {
    let unknown = error("max_session = 3");
    assert!(
        unknown.ends_with("daemon.toml: unknown key `max_session`; did you mean `max-sessions`?")
    );
    let unknown = error("[run]\nverbos = true");
    assert!(unknown.ends_with("unknown key `run.verbos`; did you mean `verbose`?"), "{unknown}");
    let unknown = error("[server]\nx = 1");
    assert!(
        unknown.ends_with("unknown key `[server]`; the keys are the long flag names in --help")
    );
}

#[test]
fn a_value_that_its_flag_refuses_is_named_with_its_file_and_key() {
    let bad = error("max-sessions = 'many'");
    assert!(bad.contains("daemon.toml: key `max-sessions`: invalid value 'many'"), "{bad}");
    let bad = error("max-sessions = [1, 2]");
    assert!(bad.ends_with("takes one value, not a list of 2"), "{bad}");
    let bad = error("max-sessions =\n");
    assert!(bad.contains("daemon.toml: line 1: "), "{bad}");
    assert_eq!(bad.lines().count(), 1);
}

#[test]
fn a_wrong_flag_is_one_line() {
    let wrong = parse_with("", &["run", "--max-session", "1"]).unwrap_err().to_string();
    assert_eq!(
        wrong,
        "unexpected argument '--max-session' found; a similar argument exists: '--max-sessions'; \
         see --help"
    );
    let missing = parse_with("", &["run"]).unwrap_err().to_string();
    assert!(missing.contains("--database-url") && missing.lines().count() == 1, "{missing}");
}

#[test]
fn a_missing_file_is_named_and_the_flag_wins_over_the_environment() {
    let args = ["daemon", "--config=/nonexistent/a.toml", "tap"].map(OsString::from);
    let error = parse_from::<Cli>(args, Some("/nonexistent/b.toml".into())).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/a.toml: No such file"), "{error}");
    let args = ["daemon", "tap", "--config"].map(OsString::from);
    assert!(matches!(parse_from::<Cli>(args, None), Err(ConfigError::NoPath)));
}

#[test]
fn a_secret_shows_neither_in_help_nor_in_errors() {
    let said = |text: &str, args: &[&str]| {
        let file = file(text);
        let args = ["daemon"].iter().chain(args).map(OsString::from);
        parse_from::<Cli>(args, Some(file.path.clone().into())).unwrap_err().to_string()
    };
    let help = said("database-url = \"u\"\npin = 4711", &["run", "--help"]);
    assert!(help.contains("--pin") && !help.contains("4711"), "{help}");
    assert!(help.contains("[default: u]"), "{help}");
    for error in [said("", &["run", "--pin", "4711x"]), said("pin = \"4711x\"", &["run"])] {
        assert!(error.contains("'...' for '--pin"), "{error}");
        assert!(error.contains("is no number") && !error.contains("4711"), "{error}");
    }
}
