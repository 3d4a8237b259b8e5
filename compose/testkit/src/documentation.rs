//! Sections of the documentation that say what the code says.

use std::{fs, path::Path};

use clap::{Parser, error::ErrorKind};

/// Set to write the sections instead of comparing them.
const WRITE: &str = "RIBSTREAM_WRITE_DOCS";

/// Compares what stands between `<!-- begin name -->` and `<!-- end name -->` in a page of
/// `docs/` with what the code says.
///
/// # Panics
/// They differ, or the page has no such section.
pub fn check_section(page: &str, name: &str, said: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let parts =
        text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?)));
    let Some((before, (section, after))) = parts else { panic!("{page} has no section {name}") };
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, format!("{before}{begin}{said}{end}{after}"))
            .unwrap_or_else(|error| panic!("{page}: {error}"));
        return;
    }
    assert_eq!(section, said, "run this test with {WRITE}=1 and look at what it wrote");
}

/// Parses every command line of `program` that the documentation gives, in a block for the shell or
/// in the text.
///
/// # Panics
/// One is none, or there are hardly any.
pub fn check_commands<P: Parser>(program: &str) {
    let commands = commands(program);
    let ours = commands.iter().filter(|command| command.words[0] == program);
    let mut count = 0;
    for command in ours {
        match P::try_parse_from(&command.words) {
            Ok(_) => {}
            // In the text not all is said, or only what is to be put there.
            Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {}
            Err(error) if error.kind() == ErrorKind::ValueValidation && command.has_a_place() => {}
            Err(error) => panic!("{command:?}: {error}"),
        }
        count += 1;
    }
    assert!(count > 5, "{count} commands of {program}");
}

/// A command that the documentation gives.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GivenCommand {
    /// On which page.
    page: String,
    /// Its words, as a shell without quotes has them.
    words: Vec<String>,
}

impl GivenCommand {
    /// Whether a word stands for another, such as FILE.
    fn has_a_place(&self) -> bool {
        let stands = |word: &String| word.bytes().all(|octet| octet.is_ascii_uppercase());
        self.words.iter().any(stands)
    }
}

/// Every command of the README and of `docs/`: those in blocks for the shell, and those of this
/// program in the text.
fn commands(program: &str) -> Vec<GivenCommand> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = fs::read_dir(root.join("docs")).expect("the documentation");
    let pages = pages.map(|entry| entry.expect("a page").path());
    let mut all = Vec::new();
    for path in pages.chain([root.join("README.md")]).filter(|path| path.is_file()) {
        let text = fs::read_to_string(&path).expect("a page of text");
        let page = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let page = page.unwrap_or_default();
        let words = in_blocks(&text).into_iter().chain(in_text(&text, program));
        all.extend(words.map(|words| GivenCommand { page: page.clone(), words }));
    }
    all
}

/// The lines of blocks that begin with ```` ```sh ````, without comments, and those that go on as
/// one.
fn in_blocks(text: &str) -> Vec<Vec<String>> {
    let blocks = text.split("\n```sh\n").skip(1);
    let blocks = blocks.map(|rest| rest.split_once("\n```").map_or(rest, |(block, _)| block));
    let mut commands = Vec::new();
    for block in blocks {
        for line in block.replace("\\\n", " ").lines() {
            let line = line.split_once(" #").map_or(line, |(line, _)| line);
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            if !words.is_empty() && !line.starts_with('#') {
                commands.push(words);
            }
        }
    }
    commands
}

/// What stands between backquotes and begins with the program.
fn in_text(text: &str, program: &str) -> Vec<Vec<String>> {
    let begin = format!("`{program} ");
    let commands = text.split(&begin).skip(1).filter_map(|rest| rest.split_once('`'));
    let words = commands.map(|(command, _)| {
        let words = command.split_whitespace().map(str::to_owned);
        [program.to_owned()].into_iter().chain(words).collect()
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_in_blocks_and_in_the_text() {
        let text = "Say `run it --now`, or\n\n```sh\nrun a \\\n    b   # why\n# no\n\nls\n```\n";
        assert_eq!(in_blocks(text), [vec!["run", "a", "b"], vec!["ls"]]);
        assert_eq!(in_text(text, "run"), [vec!["run", "it", "--now"]]);
    }

    #[test]
    fn each_program_of_the_documentation_is_run_or_it_is_said_why_not() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/stack.md");
        let page = fs::read_to_string(path).unwrap();
        for GivenCommand { page: on, words } in commands("make") {
            let program = words[0].as_str();
            assert!(page.contains(&format!("`{program}`")), "{program} of {on} is not in stack.md");
        }
    }
}
