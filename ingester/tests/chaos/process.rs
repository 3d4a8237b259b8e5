//! Collectors and ingesters as processes: killed, paused, and started again where they end.

use std::{
    fs::OpenOptions,
    os::unix::{
        fs::FileExt as _,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long one that was told to stop may take: longer than its own limit.
const STOP: Duration = Duration::from_secs(40);

/// A process group whose members end with this process, however it ends.
pub(crate) struct Group {
    keeper: Child,
    /// The library by which each member has a clock of its own.
    clocks: Option<PathBuf>,
}

impl Group {
    pub(crate) fn new(clocks: Option<PathBuf>) -> Self {
        // The end of the pipe is the end of this process: nobody else holds it.
        let keeper = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -s KILL 0"])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn();
        Self { keeper: keeper.expect("a shell"), clocks }
    }

    fn id(&self) -> i32 {
        i32::try_from(self.keeper.id()).expect("a process id")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The library that gives a process a clock of its own, which is built with the tests.
pub(crate) fn clock_library() -> PathBuf {
    let binaries = Path::new(env!("CARGO_BIN_EXE_ribstream-ingester")).parent();
    let path = binaries.expect("a directory").join("examples/libclock.so");
    assert!(path.is_file(), "no {}: cargo build --workspace --examples", path.display());
    path
}

/// A command under a supervisor, with a log of all its runs.
pub(crate) struct Daemon {
    pub(crate) name: String,
    program: PathBuf,
    arguments: Vec<String>,
    group: i32,
    log: PathBuf,
    /// The library by which it has a clock of its own, and the file that says how far that is off.
    clock: Option<(PathBuf, PathBuf)>,
    /// None while it is down on purpose.
    child: Mutex<Option<Child>>,
}

impl Daemon {
    pub(crate) fn start(
        name: &str,
        program: &Path,
        arguments: Vec<String>,
        group: &Group,
        logs: &Path,
    ) -> Self {
        let file = |ending: &str| logs.join(format!("{}.{ending}", name.replace(' ', "-")));
        let daemon = Self {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments,
            group: group.id(),
            log: file("log"),
            clock: group.clocks.clone().map(|library| (library, file("clock"))),
            child: Mutex::new(None),
        };
        daemon.set_clock(0);
        daemon.start_again();
        daemon
    }

    /// Sets its clock so many seconds off the right time; its timers go on as they were.
    pub(crate) fn set_clock(&self, seconds: i64) {
        if let Some((_, file)) = &self.clock {
            // In its place: that is what is mapped.
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(file);
            let offset = seconds * 1_000_000;
            file.expect("a file").write_all_at(&offset.to_ne_bytes(), 0).expect("a file");
        }
    }

    pub(crate) fn start_again(&self) {
        *self.child() = Some(self.spawn());
    }

    fn spawn(&self) -> Child {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a log");
        let mut command = Command::new(&self.program);
        if let Some((library, file)) = &self.clock {
            command.env("LD_PRELOAD", library).env("RIBSTREAM_TEST_CLOCK", file);
        }
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .process_group(self.group)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.program.display()))
    }

    /// SIGKILL; it stays down.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            child.kill().expect("it is our child");
            child.wait().expect("it is our child");
        }
    }

    /// SIGSTOP.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// SIGTERM; its exit code.
    pub(crate) fn stop(&self) -> Option<i32> {
        self.signal("TERM");
        let mut child = self.child().take()?;
        let begun = Instant::now();
        while begun.elapsed() < STOP {
            if let Some(status) = child.try_wait().expect("it is our child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        panic!("{} does not stop", self.name);
    }

    /// Starts it again where it has ended by itself; what is to be said of that.
    ///
    /// # Panics
    ///
    /// Where it did not end as it does when it wants to be started again.
    pub(crate) fn tend(&self) -> Option<String> {
        // Locked throughout: nobody else is to start it meanwhile.
        let mut child = self.child();
        let status = child.as_mut()?.try_wait().expect("it is our child")?;
        assert!(
            status.code() == Some(1),
            "{} ended by itself, with {}",
            self.name,
            status.signal().map_or_else(|| status.to_string(), |signal| format!("signal {signal}"))
        );
        let last = self.last_words();
        *child = Some(self.spawn());
        Some(format!("{} gave up and is started again: {last}", self.name))
    }

    /// The last line of its log, without the details that stand in brackets.
    fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let last = log.lines().last().unwrap_or_default();
        last.split(" (").next().unwrap_or_default().to_owned()
    }

    fn signal(&self, signal: &str) {
        if let Some(child) = &*self.child() {
            let id = child.id().to_string();
            // One that has just ended by itself is started again by its supervisor.
            let _ = Command::new("kill").args(["-s", signal, &id]).status();
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The collector's binary, which is built beside the ingester's.
pub(crate) fn collector() -> PathBuf {
    let path =
        Path::new(env!("CARGO_BIN_EXE_ribstream-ingester")).with_file_name("ribstream-collector");
    assert!(
        path.is_file(),
        "no {}: build the collector first, as `make test` and `make chaos` do \
         (cargo build --workspace --bins)",
        path.display()
    );
    path
}
