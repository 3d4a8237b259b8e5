//! Configuration in layers: command line, then environment, then a TOML file,
//! then the default.
//!
//! The file's values become the defaults of the clap arguments that they name,
//! so that the precedence is clap's own and `--help` stays the reference.

use std::{
    env,
    ffi::OsString,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process,
};

use clap::{
    Arg, ArgAction, Command, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use toml::{Table, Value};

/// Names the file where `--config` does not.
pub const CONFIG_ENV: &str = "RIBSTREAM_CONFIG";

/// The identifier of `--config` among the arguments.
const CONFIG: &str = "config";

/// Why a configuration cannot be used; each reads as one line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or may not be read.
    #[error("cannot read the configuration file {path}: {source}; check --config or {CONFIG_ENV}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path}: line {line}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// What the TOML parser said.
        reason: String,
    },
    /// A key that no flag has.
    #[error("{path}: unknown key `{key}`{}", nearest_hint(.nearest.as_deref()))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key, with its table.
        key: String,
        /// The flag that looks most like it.
        nearest: Option<String>,
    },
    /// A key whose value its flag does not take.
    #[error("{path}: key `{key}`: {reason}")]
    BadValue {
        /// The file.
        path: PathBuf,
        /// The key, with its table.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `--config` at the end of the line.
    #[error("--config needs the path of a file")]
    NoPath,
    /// A wrong flag or value on the command line or in the environment, or a request for help.
    #[error("{}", one_line(.0))]
    Arguments(clap::Error),
}

fn nearest_hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => "; the keys are the long flag names in --help".to_owned(),
    }
}

/// Parses the process's arguments, environment and configuration file.
///
/// On a mistake it prints one line that names it and exits with code 2.
#[must_use]
pub fn parse<P: Parser>() -> P {
    match parse_from(env::args_os(), env::var_os(CONFIG_ENV)) {
        Ok(parsed) => parsed,
        Err(ConfigError::Arguments(error)) if is_request_for_help(&error) => error.exit(),
        Err(error) => {
            eprintln!("error: {error}");
            process::exit(2);
        }
    }
}

/// Parses `args`, the first of which is the program's name, and the file that
/// they name or, where they name none, `config_env`.
pub fn parse_from<P: Parser>(
    args: impl IntoIterator<Item = OsString>,
    config_env: Option<OsString>,
) -> Result<P, ConfigError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut command = command::<P>();
    let path = config_argument(&args)?.or(config_env).filter(|path| !path.is_empty());
    if let Some(path) = path {
        command = with_file(command, Path::new(&path))?;
    }
    let secrets: Vec<String> = secrets(&command).collect();
    let failed = |error| ConfigError::Arguments(without_secrets(error, &secrets));
    let matches = command.try_get_matches_from(args).map_err(failed)?;
    P::from_arg_matches(&matches).map_err(failed)
}

/// The flags whose values may be secrets: those whose environment is kept out of `--help`.
fn secrets(command: &Command) -> impl Iterator<Item = String> {
    let parts = command.get_subcommands().chain([command]);
    let secret = parts.flat_map(Command::get_arguments).filter(|arg| arg.is_hide_env_values_set());
    secret.filter_map(|arg| Some(format!("--{}", arg.get_long()?)))
}

/// The error without the value that is wrong, where it may be a secret or a part of one.
fn without_secrets(mut error: clap::Error, secrets: &[String]) -> clap::Error {
    let named = match error.get(ContextKind::InvalidArg) {
        // The flag, and what it takes: `--database-url <URL>`.
        Some(ContextValue::String(named)) => {
            let flag = named.split(' ').next().unwrap_or(named);
            secrets.iter().any(|secret| secret == flag)
        }
        _ => false,
    };
    if named {
        error.insert(ContextKind::InvalidValue, ContextValue::String("...".to_owned()));
    }
    error
}

/// The clap command of `P` with `--config`, as [`parse`] uses it: what a test
/// of the documentation compares with.
#[must_use]
pub fn command<P: Parser>() -> Command {
    P::command().arg(
        Arg::new(CONFIG)
            .long(CONFIG)
            .env(CONFIG_ENV)
            .global(true)
            .value_name("FILE")
            .help("A TOML file whose keys are the long flag names; flags and environment win"),
    )
}

/// The flags of `command` and its subcommands as Markdown tables, one heading
/// each: the reference in the documentation, which a test compares with it.
#[must_use]
pub fn reference(command: &Command) -> String {
    let mut text = String::new();
    for part in [command].into_iter().chain(command.get_subcommands()) {
        let title = if part.get_name() == command.get_name() {
            format!("Every subcommand of `{}`", command.get_name())
        } else {
            format!("`{} {}`", command.get_name(), part.get_name())
        };
        let rows: Vec<String> = part.get_arguments().filter_map(row).collect();
        if !rows.is_empty() {
            let rows = rows.concat();
            let _ = write!(
                text,
                "### {title}\n\n| flag | variable | default | meaning |\n|---|---|---|---|\n{rows}\n"
            );
        }
    }
    text
}

fn row(arg: &Arg) -> Option<String> {
    let help = arg.get_help()?.to_string();
    let name = match arg.get_long() {
        Some("help" | "version") => return None,
        Some(long) => format!("--{long}"),
        None => arg.get_value_names()?.first()?.to_string(),
    };
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let variable = arg.get_env().map(|name| name.to_string_lossy()).unwrap_or_default();
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = if arg.get_action().takes_values() { defaults.join(",") } else { String::new() };
    Some(format!("| `{name}` | {} | {} | {help} |\n", code(&variable), code(&default)))
}

fn is_request_for_help(error: &clap::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

/// Clap's message without its usage, on one line.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let message = text.split("\n\nUsage:").next().unwrap_or(&text);
    let message = message.split("\n\nFor more information").next().unwrap_or(message);
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let paragraphs = message.split("\n\n").map(|paragraph| {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        words.join(" ").trim_start_matches("tip: ").to_owned()
    });
    let paragraphs: Vec<String> = paragraphs.filter(|paragraph| !paragraph.is_empty()).collect();
    format!("{}; see --help", paragraphs.join("; "))
}

/// The value of `--config` on the command line, which must be known before clap
/// can be given its defaults.
fn config_argument(args: &[OsString]) -> Result<Option<OsString>, ConfigError> {
    let mut rest = args.iter().skip(1);
    while let Some(arg) = rest.next() {
        let Some(text) = arg.to_str() else { continue };
        match text {
            "--" => break,
            "--config" => return rest.next().cloned().map(Some).ok_or(ConfigError::NoPath),
            _ => {
                if let Some(path) = text.strip_prefix("--config=") {
                    return Ok(Some(path.into()));
                }
            }
        }
    }
    Ok(None)
}

fn with_file(command: Command, path: &Path) -> Result<Command, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        ConfigError::Syntax {
            path: path.to_owned(),
            line: text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1,
            reason: error.message().split_whitespace().collect::<Vec<_>>().join(" "),
        }
    })?;
    // A subcommand's own table is more specific than the top of the file, so it goes last.
    let (tables, keys): (Vec<_>, Vec<_>) =
        table.into_iter().partition(|(_, value)| matches!(value, Value::Table(_)));
    let mut command = command;
    for (key, value) in keys {
        command = with_key(command, path, &key, &value)?;
    }
    for (name, value) in tables {
        let Value::Table(table) = value else { continue };
        command = with_table(command, path, &name, &table)?;
    }
    Ok(command)
}

/// Gives `key` to the command and to each subcommand that has such a flag.
fn with_key(
    command: Command,
    path: &Path,
    key: &str,
    value: &Value,
) -> Result<Command, ConfigError> {
    let flag = key.replace('_', "-");
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let mut known = has_flag(&command, &flag);
    let mut command = set_default(command, path, key, &flag, value)?;
    for name in names {
        let Some(sub) = command.find_subcommand(&name) else { continue };
        if has_flag(sub, &flag) {
            known = true;
            let sub = set_default(sub.clone(), path, key, &flag, value)?;
            command = command.mut_subcommand(&name, |_| sub);
        }
    }
    if known { Ok(command) } else { Err(unknown(&command, path, key, &flag)) }
}

fn with_table(
    command: Command,
    path: &Path,
    name: &str,
    table: &Table,
) -> Result<Command, ConfigError> {
    let Some(sub) = command.find_subcommand(name.replace('_', "-")) else {
        return Err(unknown(&command, path, &format!("[{name}]"), name));
    };
    let sub_name = sub.get_name().to_owned();
    let mut sub = sub.clone();
    for (key, value) in table {
        let flag = key.replace('_', "-");
        let full = format!("{name}.{key}");
        if !has_flag(&sub, &flag) {
            return Err(unknown(&sub, path, &full, &flag));
        }
        sub = set_default(sub, path, &full, &flag, value)?;
    }
    Ok(command.mut_subcommand(sub_name, |_| sub))
}

/// The flags that a file may set: all that have a long name, but for `--config` itself.
fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        arg.get_long().is_some()
            && arg.get_id() != CONFIG
            && !matches!(
                arg.get_action(),
                ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
            )
    })
}

fn has_flag(command: &Command, flag: &str) -> bool {
    flags(command).any(|arg| arg.get_long() == Some(flag))
}

fn set_default(
    command: Command,
    path: &Path,
    key: &str,
    flag: &str,
    value: &Value,
) -> Result<Command, ConfigError> {
    let Some(arg) = flags(&command).find(|arg| arg.get_long() == Some(flag)) else {
        return Ok(command);
    };
    let bad = |reason: String| ConfigError::BadValue {
        path: path.to_owned(),
        key: key.to_owned(),
        reason,
    };
    let values = texts(value).map_err(bad)?;
    let many = matches!(arg.get_action(), ArgAction::Append) || arg.get_value_delimiter().is_some();
    if values.len() != 1 && !many {
        return Err(bad(format!("takes one value, not a list of {}", values.len())));
    }
    for text in &values {
        check_value(arg, flag, text).map_err(bad)?;
    }
    let id = arg.get_id().to_string();
    Ok(command.mut_arg(id, |arg| {
        let secret = arg.is_hide_env_values_set();
        arg.required(false).default_values(values).hide_default_value(secret)
    }))
}

/// A default that its own flag would not take makes clap panic in debug builds
/// and blame the command line in others, so it is tried beforehand.
fn check_value(arg: &Arg, flag: &str, text: &str) -> Result<(), String> {
    let trial =
        Arg::new("value").long(flag.to_owned()).value_parser(arg.get_value_parser().clone());
    let trial = match arg.get_value_delimiter() {
        Some(delimiter) => trial.value_delimiter(delimiter).action(ArgAction::Append),
        None => trial.action(ArgAction::Set),
    };
    let trial = trial.hide_env_values(arg.is_hide_env_values_set());
    let command = Command::new("trial").no_binary_name(true).arg(trial);
    let secrets: Vec<String> = secrets(&command).collect();
    command
        .try_get_matches_from([format!("--{flag}={text}")])
        .map(drop)
        .map_err(|error| one_line(&without_secrets(error, &secrets)))
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Integer(number) => Ok(vec![number.to_string()]),
        Value::Float(number) => Ok(vec![number.to_string()]),
        Value::Boolean(flag) => Ok(vec![flag.to_string()]),
        Value::Datetime(time) => Ok(vec![time.to_string()]),
        Value::Array(list) => {
            let lists: Result<Vec<_>, _> = list.iter().map(texts).collect();
            lists.map(|lists| lists.concat())
        }
        Value::Table(_) => Err("is a table where a value belongs".to_owned()),
    }
}

fn unknown(command: &Command, path: &Path, key: &str, flag: &str) -> ConfigError {
    let subcommands = command.get_subcommands();
    let known = subcommands.flat_map(flags).chain(flags(command)).filter_map(Arg::get_long);
    let nearest = known
        .map(|name| (distance(name, flag), name))
        .min()
        // Further away than a third of its length it is another word, not a slip.
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .map(|(_, name)| name.to_owned());
    ConfigError::UnknownKey { path: path.to_owned(), key: key.to_owned(), nearest }
}

/// Levenshtein distance in octets.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let substituted = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = substituted.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
