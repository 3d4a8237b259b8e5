//! Takes away what a test started, however the test process ends.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Runs a command when it is dropped, or when this process ends in any other way, SIGKILL
/// included: a shell waits for the end of a pipe whose other end only this process holds.
/// That also serves statics, which Rust never drops.
#[derive(Debug)]
pub(crate) struct Reaper(Child);

impl Reaper {
    pub(crate) fn new<I, S>(command: I) -> io::Result<Self>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<std::ffi::OsStr>,
    {
        Command::new("sh")
            .args(["-c", "cat >/dev/null; exec \"$@\"", "reaper"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of reach of a Ctrl-C meant for the tests.
            .process_group(0)
            .spawn()
            .map(Self)
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // A reaper that cannot be waited for has nothing more that this process could do.
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::Reaper;

    #[test]
    fn a_reaper_runs_its_command_when_dropped_and_not_before() {
        let mark = std::env::temp_dir().join(format!("ribstream-reaper-{}", std::process::id()));
        let reaper = Reaper::new(["touch", mark.to_str().unwrap()]).unwrap();
        assert!(!mark.exists());
        drop(reaper);
        assert!(mark.exists());
        std::fs::remove_file(mark).unwrap();
    }
}
