//! The program `millrace` as a process: its config file, its log as it grows, signals, and its end.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::{Http, PATIENCE, ProxyConfig};

/// Lines of the log that a failed test shows.
const LAST_LINES: usize = 30;

/// Tells the files of one test from those of the next.
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: Arc<Log>,
    output: Arc<Log>,
    directory: PathBuf,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` where a signal killed it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Lines of standard error or output, as they come, and whether they have ended.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    grown: Condvar,
}

impl Program {
    /// Starts `program run` with this config.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn run(program: &Path, config: &ProxyConfig) -> Self {
        Self::with_config(program, &config.text(), &["run", "--config"])
    }

    /// Starts `program run` with this config where the system grants it only so many open files.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn run_with_files(program: &Path, config: &ProxyConfig, files: u32) -> Self {
        Self::run_after(&format!("ulimit -n {files} && "), program, config)
    }

    /// Starts `program run` with this config by a shell that runs `words` before, which set up what the program finds:
    /// they end as a command does that another follows, as `NAME=value ` or `ulimit -n 100 && `.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn run_after(words: &str, program: &Path, config: &ProxyConfig) -> Self {
        Self::run_after_with_input(words, program, config, Stdio::null())
    }

    /// As [`run_after`](Self::run_after), with something else than nothing as standard input.
    ///
    /// # Panics
    /// As [`run_after`](Self::run_after).
    #[must_use]
    pub fn run_after_with_input(
        words: &str,
        program: &Path,
        config: &ProxyConfig,
        input: Stdio,
    ) -> Self {
        let program = program.to_str().expect("a path that a shell takes");
        let command = format!("{words}exec \"$@\"");
        let arguments = ["-c", &command, "sh", program, "run", "--config"];
        let (mut command, directory) = configured(Path::new("sh"), &config.text(), &arguments);
        command.stdin(input);
        Self::spawn(command, directory)
    }

    /// Starts a program whose last argument is a config file with this text.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn with_config(program: &Path, text: &str, arguments: &[&str]) -> Self {
        let (command, directory) = configured(program, text, arguments);
        Self::spawn(command, directory)
    }

    /// Starts a command in which `{config}` stands for the path of a file with this text. It logs warnings only.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub(crate) fn of_command(words: &[String], text: &str) -> Self {
        let directory = new_directory();
        let path = directory.join("proxy.toml");
        std::fs::write(&path, text).expect("a temporary file can be written");
        let path = path.to_string_lossy();
        let mut words = words.iter().map(|word| word.replace("{config}", &path));
        let mut command = bare(words.next().unwrap_or_default());
        command.args(words);
        command.env("RUST_LOG", "warn");
        Self::spawn(command, directory)
    }

    /// Starts a program that is given its input line by line, and logs nothing.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub(crate) fn with_input(program: &Path, arguments: &[&str]) -> (Self, ChildStdin) {
        let mut command = bare(program);
        command.args(arguments).stdin(Stdio::piped());
        let mut started = Self::spawn(command, new_directory());
        let input = started.child.stdin.take().expect("it was asked for");
        (started, input)
    }

    /// Starts a program with these arguments and no config file.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn with_arguments(program: &Path, arguments: &[&str]) -> Self {
        let mut command = bare(program);
        command.args(arguments);
        Self::spawn(command, new_directory())
    }

    fn spawn(mut command: Command, directory: PathBuf) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        Self {
            log: Log::of(child.stderr.take()),
            output: Log::of(child.stdout.take()),
            child,
            directory,
        }
    }

    /// Gives the id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens, and gives where.
    ///
    /// # Panics
    /// Where it does not.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let line = self.wait_for_log("listening for miners on ");
        let address = line.rsplit(' ').next().unwrap_or_default();
        address.parse().expect("the log ends in an address")
    }

    /// Waits until it serves HTTP, and gives where.
    ///
    /// # Panics
    /// Where it does not.
    #[must_use]
    pub fn http(&self) -> Http {
        let line = self.wait_for_log("serving http on ");
        let address = line.rsplit(' ').next().unwrap_or_default();
        Http::new(address.parse().expect("the log ends in an address"))
    }

    /// Waits for a line of the log that contains `words`; looks at what is there already too.
    ///
    /// # Panics
    /// Where none comes.
    #[must_use]
    pub fn wait_for_log(&self, words: &str) -> String {
        self.wait_for_logs(words, 1)
    }

    /// Waits until `count` lines of the log contain `words`, and gives the last of them.
    ///
    /// # Panics
    /// Where they do not come.
    #[must_use]
    pub fn wait_for_logs(&self, words: &str, count: usize) -> String {
        let found = |lines: &[String]| {
            let mut found = lines.iter().filter(|line| line.contains(words));
            found.nth(count.saturating_sub(1)).cloned()
        };
        self.log.wait(found).unwrap_or_else(|log| {
            panic!("{count} lines with {words:?} did not come; the log:\n{log}")
        })
    }

    /// Gives how many lines of the log contain `words` by now.
    #[must_use]
    pub fn count_log(&self, words: &str) -> usize {
        let lines = self.log.lock();
        lines.0.iter().filter(|line| line.contains(words)).count()
    }

    /// Writes another text into its config file, has it read (SIGHUP), and gives the lines that say how that went.
    ///
    /// # Panics
    /// Where nothing is said.
    #[must_use]
    pub fn reload(&self, text: &str) -> Vec<String> {
        std::fs::write(self.config(), text).expect("a temporary file can be written");
        self.reload_as_it_is()
    }

    /// Gives the path of its config file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.directory.join("millrace.toml")
    }

    /// Has its config file read, whatever is there now, and gives the lines that say how that went.
    ///
    /// # Panics
    /// Where nothing is said.
    #[must_use]
    pub fn reload_as_it_is(&self) -> Vec<String> {
        let before = self.log.lock().0.len();
        self.signal("HUP");
        let outcome = |lines: &[String]| {
            let lines = lines.get(before..).unwrap_or_default();
            let is_last = |line: &String| {
                line.contains("config reloaded: ") || line.contains("the old config goes on")
            };
            let end = lines.iter().position(is_last)?;
            let told = lines.iter().take(end + 1);
            Some(
                told.filter(|line| line.contains("reloaded: "))
                    .cloned()
                    .collect(),
            )
        };
        self.log
            .wait(outcome)
            .unwrap_or_else(|log| panic!("nothing was said of the reload; the log:\n{log}"))
    }

    /// Waits for a line of standard output that `wanted` likes.
    ///
    /// # Panics
    /// Where none comes.
    pub fn wait_for_output(&self, wanted: impl Fn(&str) -> bool) {
        let found = |lines: &[String]| lines.iter().any(|line| wanted(line)).then_some(());
        self.output
            .wait(found)
            .unwrap_or_else(|output| panic!("it was not written; the output:\n{output}"));
    }

    /// Gives the log as it is now.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits for the first line of standard output, and gives it.
    ///
    /// # Panics
    /// Where none comes.
    #[must_use]
    pub fn first_output(&self) -> String {
        let first = self.output.wait(|lines| lines.first().cloned());
        first.unwrap_or_else(|_| panic!("nothing was written; the log:\n{}", self.log.text()))
    }

    /// Sends it a signal, such as `TERM`.
    ///
    /// # Panics
    /// Where the shell cannot.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.is_ok_and(|status| status.success()), "{kill}");
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// Where it does not end.
    #[must_use]
    pub fn ended(mut self) -> Ended {
        for log in [&self.log, &self.output] {
            log.wait_for_end()
                .unwrap_or_else(|log| panic!("the program did not end; its log:\n{log}"));
        }
        // Its outputs are closed, so it is ending.
        let status = self.child.wait().as_ref().ok().and_then(ExitStatus::code);
        Ended {
            code: status,
            stdout: self.output.text(),
            stderr: self.log.text(),
        }
    }

    /// Sends SIGTERM, waits for the end and checks that it was a clean one.
    ///
    /// # Panics
    /// Where it was not, or where anything panicked before.
    pub fn stop(self) -> Ended {
        self.signal("TERM");
        let ended = self.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        ended
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, (Vec<String>, bool)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a stream in a thread until it ends.
    fn of(stream: Option<impl Read + Send + 'static>) -> Arc<Self> {
        let log = Arc::new(Self::default());
        if let Some(stream) = stream {
            let filled = Arc::clone(&log);
            std::thread::spawn(move || filled.fill(stream));
        }
        log
    }

    fn text(&self) -> String {
        self.lock().0.join("\n")
    }

    fn fill(&self, stream: impl Read) {
        for line in BufReader::new(stream).lines().map_while(io::Result::ok) {
            self.lock().0.push(line);
            self.grown.notify_all();
        }
        self.lock().1 = true;
        self.grown.notify_all();
    }

    /// Waits until `find` finds something; gives the end of the log where it does not.
    fn wait<T>(&self, find: impl Fn(&[String]) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.lock();
        loop {
            if let Some(found) = find(&lines.0) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.1 || left.is_zero() {
                return Err(last_lines(&lines.0));
            }
            let waited = self.grown.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn wait_for_end(&self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.lock();
        while !lines.1 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(last_lines(&lines.0));
            }
            let waited = self.grown.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

/// A command whose last argument is a config file with this text, and the directory of that file.
fn configured(program: &Path, text: &str, arguments: &[&str]) -> (Command, PathBuf) {
    let directory = new_directory();
    let path = directory.join("millrace.toml");
    std::fs::write(&path, text).expect("a temporary file can be written");
    let mut command = bare(program);
    command.args(arguments).arg(path);
    (command, directory)
}

/// A command without the environment's wishes for logs, and without input.
fn bare(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("RUST_LOG")
        .env_remove("RUST_LOG_STYLE")
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("LISTEN_FDS")
        .env_remove("STATE_DIRECTORY")
        .stdin(Stdio::null());
    command
}

fn last_lines(lines: &[String]) -> String {
    let (_, last) = lines.split_at(lines.len().saturating_sub(LAST_LINES));
    last.join("\n")
}

fn new_directory() -> PathBuf {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let name = format!("millrace-test-{}-{serial}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).expect("a temporary directory can be made");
    directory
}
