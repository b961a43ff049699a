//! The file `workers`: the difficulty that each worker last mined at, so that a restart does not start to measure anew.
//!
//! Text, a worker a line: the difficulty, a space, and the name as a JSON string. Those noted last are at the end.
//!
//! ```text
//! millrace workers 1
//! 65536 "farm.rig1"
//! 0.25 "farm.usb \"stick\""
//! ```
//!
//! The first line names the version. A file of another version or that cannot be read is renamed to
//! `workers.unused`; lines that are wrong are skipped.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use sv2::bitcoin::Difficulty;
use translate::MAX_KNOWN_WORKERS;

use super::StateDirectory;

/// The file's name.
const NAME: &str = "workers";
/// What its first line begins with, and the version that follows.
const TITLE: &str = "millrace workers ";
const VERSION: &str = "1";
/// Longest line read, in bytes: a name of 255 bytes of which JSON escapes each with six, a difficulty and a space.
const LINE_MAX: u64 = 2_048;
/// Most lines read, so that no file takes the start's time.
const MOST_LINES: usize = 2 * MAX_KNOWN_WORKERS;

/// Workers and the difficulties that they last mined at; of one name the last one counts.
pub(crate) type Difficulties = Vec<(Box<str>, Difficulty)>;

/// The file and what it holds.
#[derive(Debug)]
pub(crate) struct Workers {
    directory: StateDirectory,
    /// As they were last learnt, those that changed last at the end.
    known: Difficulties,
    /// What each translator reported last; only what differs from it is news.
    reported: Vec<Difficulties>,
    /// Whether the file holds less than is known.
    unsaved: bool,
    /// Whether the last try to write it failed, and the log says so.
    failing: bool,
}

impl Workers {
    /// Reads the file. What is wrong with it is a warning: mining does not wait for it.
    pub(crate) fn load(directory: StateDirectory) -> Self {
        let path = directory.path_of(NAME);
        let known = match File::open(&path) {
            Ok(file) => read(file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Vec::new()),
            Err(error) => {
                log::warn!("{}: cannot be read: {error}", path.display());
                None
            }
        };
        let known = known.unwrap_or_else(|| {
            put_aside(&path);
            Vec::new()
        });
        Self {
            directory,
            known,
            reported: Vec::new(),
            unsaved: false,
            failing: false,
        }
    }

    /// Gives what is known.
    pub(crate) fn known(&self) -> &Difficulties {
        &self.known
    }

    /// Takes note that there are other translators now: for each of them which one it was before, if any.
    pub(crate) fn rearrange(&mut self, before: impl Iterator<Item = Option<usize>>) {
        let mut reported = std::mem::take(&mut self.reported);
        let reports = before.map(|place| {
            let its = place.and_then(|place| reported.get_mut(place));
            its.map_or_else(|| self.known.clone(), std::mem::take)
        });
        self.reported = reports.collect();
    }

    /// Takes what each translator knows, always in the same order, and writes the file where that is news. Nothing is
    /// taken from one whose report is empty: it has ended.
    pub(crate) fn save(&mut self, learnt: Vec<Difficulties>) {
        self.unsaved |= self.learn(learnt);
        if !self.unsaved {
            return;
        }
        match self.directory.write(NAME, self.text().as_bytes()) {
            Ok(()) => (self.unsaved, self.failing) = (false, false),
            Err(error) => {
                if !self.failing {
                    let path = self.directory.path_of(NAME);
                    log::warn!("{}: cannot be written: {error}; trying on", path.display());
                }
                self.failing = true;
            }
        }
    }

    /// Takes over what each translator has learnt since its last report, and tells whether that is anything. What one
    /// has unchanged may be old: another may have learnt better. Each was started with all that was known then.
    fn learn(&mut self, learnt: Vec<Difficulties>) -> bool {
        let known = &self.known;
        self.reported.resize_with(learnt.len(), || known.clone());
        let mut news = Vec::new();
        for (last, now) in self.reported.iter_mut().zip(learnt) {
            if now.is_empty() {
                continue;
            }
            let now = last_of_each(now);
            news.extend(differing(&now, last));
            *last = now;
        }
        let news = last_of_each(news);
        if news.is_empty() {
            return false;
        }
        let renewed: HashSet<_> = news.iter().map(|(name, _)| &**name).collect();
        self.known.retain(|(name, _)| !renewed.contains(&**name));
        self.known.extend(news);
        let surplus = self.known.len().saturating_sub(MAX_KNOWN_WORKERS);
        self.known.drain(..surplus);
        true
    }

    fn text(&self) -> String {
        let mut text = format!("{TITLE}{VERSION}\n");
        for (name, difficulty) in &self.known {
            let name = serde_json::Value::from(&**name);
            // A string takes everything.
            let _ = writeln!(text, "{} {name}", difficulty.to_f64());
        }
        text
    }
}

/// Finds what is otherwise than before, or new.
fn differing(now: &Difficulties, before: &Difficulties) -> Difficulties {
    let before: HashMap<_, _> = before.iter().map(|(name, of)| (&**name, *of)).collect();
    let is_news = |(name, of): &&(Box<str>, Difficulty)| before.get(&**name) != Some(of);
    now.iter().filter(is_news).cloned().collect()
}

/// Keeps the last entry of each name, in order.
fn last_of_each(of: Difficulties) -> Difficulties {
    let mut seen = HashSet::new();
    let mut last: Vec<_> = of.iter().map(|_| false).collect();
    for (is_last, (name, _)) in last.iter_mut().zip(&of).rev() {
        *is_last = seen.insert(&**name);
    }
    let kept = of.into_iter().zip(last);
    kept.filter_map(|(worker, is_last)| is_last.then_some(worker))
        .collect()
}

/// Renames a file that is not used, so that the next save does not destroy it.
fn put_aside(path: &Path) {
    let aside = path.with_extension("unused");
    match std::fs::rename(path, &aside) {
        Ok(()) => log::warn!("{} is now {}", path.display(), aside.display()),
        Err(error) => log::warn!("{}: cannot be renamed: {error}", path.display()),
    }
}

/// Reads as many lines as may be, and warns once of all that are wrong. A file of another version, or one that breaks
/// off with an error of the disk, is not used.
fn read(file: impl Read, path: &Path) -> Option<Difficulties> {
    let mut known = VecDeque::new();
    let (mut reader, mut bytes) = (BufReader::new(file), Vec::new());
    let (mut first_wrong, mut wrong) = (None, 0_usize);
    for number in 1..=MOST_LINES {
        bytes.clear();
        match reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut bytes) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                log::warn!("{}:{number}: cannot be read: {error}", path.display());
                return None;
            }
        }
        let line = str::from_utf8(&bytes).unwrap_or("not UTF-8").trim_end();
        match (number, line.strip_prefix(TITLE)) {
            (1, Some(VERSION)) => continue,
            (1, Some(version)) => {
                log::warn!(
                    "{}:1: version {version} is not known here; nothing of the file is used",
                    path.display()
                );
                return None;
            }
            _ => {}
        }
        match worker(line) {
            Some(worker) if number > 1 => known.push_back(worker),
            _ => {
                first_wrong = first_wrong.or(Some(number));
                wrong += 1;
            }
        }
        if known.len() > MAX_KNOWN_WORKERS {
            known.pop_front();
        }
    }
    if let Some(number) = first_wrong {
        log::warn!(
            "{}:{number}: is not a difficulty and a worker's name; {wrong} such lines are skipped",
            path.display()
        );
    }
    Some(known.into())
}

/// Reads one line.
fn worker(line: &str) -> Option<(Box<str>, Difficulty)> {
    let (difficulty, name) = line.split_once(' ')?;
    let difficulty = Difficulty::new(difficulty.parse().ok()?).ok()?;
    let name: Box<str> = serde_json::from_str(name).ok()?;
    (!name.is_empty()).then_some((name, difficulty))
}

#[cfg(test)]
mod tests;
