//! What is written is read again, and what is broken stops nothing.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A directory of a test's own.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("millrace-workers-{}-{serial}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn workers(&self) -> Workers {
        Workers::load(StateDirectory::open(&self.0).unwrap())
    }

    fn text(&self) -> String {
        fs::read_to_string(self.0.join(NAME)).unwrap()
    }

    fn with(text: impl AsRef<[u8]>) -> Self {
        let place = Self::new();
        fs::write(place.0.join(NAME), text).unwrap();
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn difficulties(of: &[(&str, f64)]) -> Difficulties {
    let difficulty = |value| Difficulty::new(value).unwrap();
    of.iter()
        .map(|(name, value)| ((*name).into(), difficulty(*value)))
        .collect()
}

#[test]
fn what_was_learnt_is_known_after_a_restart_in_the_order_of_learning() {
    let place = Place::new();
    let mut workers = place.workers();
    assert_eq!(*workers.known(), []);
    let odd = "a \"b\"\n\u{1f426}\\";
    let learnt = difficulties(&[("farm.rig1", 65_536.0), (odd, 2_f64.powi(-32))]);
    workers.save(vec![learnt.clone()]);
    assert_eq!(*place.workers().known(), learnt);
    assert_eq!(
        place.text(),
        "millrace workers 1\n65536 \"farm.rig1\"\n0.00000000023283064365386963 \"a \\\"b\\\"\\n\u{1f426}\\\\\"\n"
    );
    workers.save(vec![difficulties(&[("farm.rig1", 4.0)])]);
    let renewed = difficulties(&[(odd, 2_f64.powi(-32)), ("farm.rig1", 4.0)]);
    assert_eq!(*place.workers().known(), renewed);
    let files: Vec<_> = fs::read_dir(&place.0).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing else is left: {files:?}");
}

#[test]
fn nothing_is_written_where_nothing_changed() {
    let place = Place::with("millrace workers 1\n2 \"a\"\n");
    let mut workers = place.workers();
    fs::remove_file(place.0.join(NAME)).unwrap();
    workers.save(vec![difficulties(&[("a", 1.0), ("a", 2.0)]), Vec::new()]);
    assert!(!place.0.join(NAME).exists());
    workers.save(vec![difficulties(&[("a", 2.0), ("a", 1.0)])]);
    assert_eq!(place.text(), "millrace workers 1\n1 \"a\"\n");
}

#[test]
fn of_several_translators_the_one_that_learnt_something_counts() {
    let place = Place::with("millrace workers 1\n1 \"a\"\n1 \"b\"\n");
    let mut workers = place.workers();
    let [first, second] = [
        difficulties(&[("a", 8.0), ("b", 1.0)]),
        difficulties(&[("a", 1.0), ("b", 16.0), ("c", 32.0)]),
    ];
    workers.save(vec![first, second]);
    let all = difficulties(&[("a", 8.0), ("b", 16.0), ("c", 32.0)]);
    assert_eq!(*place.workers().known(), all);
}

#[test]
fn what_one_translator_still_believes_does_not_come_back() {
    let place = Place::with("millrace workers 1\n1 \"a\"\n1 \"b\"\n");
    let mut workers = place.workers();
    let reports = || {
        vec![
            difficulties(&[("a", 8.0), ("b", 1.0)]),
            difficulties(&[("a", 1.0), ("b", 16.0)]),
        ]
    };
    workers.save(reports());
    let first = place.text();
    fs::remove_file(place.0.join(NAME)).unwrap();
    workers.save(reports());
    assert!(!place.0.join(NAME).exists(), "nothing is news");
    assert_eq!(first, "millrace workers 1\n8 \"a\"\n16 \"b\"\n");
    // The worker has moved to the other translator.
    workers.save(vec![Vec::new(), difficulties(&[("a", 2.0), ("b", 16.0)])]);
    assert_eq!(place.text(), "millrace workers 1\n16 \"b\"\n2 \"a\"\n");
    fs::remove_file(place.0.join(NAME)).unwrap();
    let [first, _] = <[Difficulties; 2]>::try_from(reports()).unwrap();
    workers.save(vec![first, difficulties(&[("a", 2.0), ("b", 16.0)])]);
    assert!(!place.0.join(NAME).exists(), "the first one's is old");
}

#[test]
fn of_translators_that_have_ended_nothing_is_kept_and_the_others_are_told_apart() {
    let place = Place::new();
    let mut workers = place.workers();
    let (old, new) = (difficulties(&[("rig", 1.0)]), difficulties(&[("rig", 2.0)]));
    workers.save(vec![old.clone(), Vec::new(), old.clone()]);
    workers.save(vec![old.clone(), Vec::new(), new.clone()]);
    workers.rearrange([Some(2), None, Some(0)].into_iter());
    workers.save(vec![new.clone(), Vec::new(), old]);
    assert_eq!(*workers.known(), new, "what the last one believes is old");
    workers.rearrange([Some(0)].into_iter());
    assert_eq!(workers.reported, [new]);
}

#[test]
fn a_file_that_cannot_be_written_stays_and_is_written_later() {
    let place = Place::with("millrace workers 1\n1 \"a\"\n");
    let mut workers = place.workers();
    let obstacle = place.0.join("workers.new");
    fs::create_dir(&obstacle).unwrap();
    workers.save(vec![difficulties(&[("a", 2.0)])]);
    assert_eq!(place.text(), "millrace workers 1\n1 \"a\"\n");
    fs::remove_dir(&obstacle).unwrap();
    workers.save(vec![difficulties(&[("a", 2.0)])]);
    assert_eq!(place.text(), "millrace workers 1\n2 \"a\"\n");
}

#[test]
fn wrong_lines_are_skipped_and_the_others_count() {
    let mut text = b"\xff\xfe\n1 \"a\"\n0 \"b\"\n-1 \"b\"\nNaN \"b\"\n1\n\n1 b\n1 \"\"\n".to_vec();
    text.extend(b"1 \"".iter().chain(&[b'x'; 5_000]).chain(b"\"\n"));
    text.extend(b"4 \"c\"\n8 \"cut");
    let place = Place::with(&text);
    assert_eq!(
        *place.workers().known(),
        difficulties(&[("a", 1.0), ("c", 4.0)])
    );
}

#[test]
fn a_file_of_another_version_is_put_aside() {
    let text = "millrace workers 2\n1 \"a\"\n";
    let place = Place::with(text);
    let mut workers = place.workers();
    assert_eq!(*workers.known(), []);
    workers.save(vec![difficulties(&[("b", 1.0)])]);
    let aside = fs::read_to_string(place.0.join("workers.unused")).unwrap();
    assert_eq!(aside, text);
}

#[test]
fn a_file_that_is_a_directory_stops_nothing() {
    let place = Place::new();
    fs::create_dir(place.0.join(NAME)).unwrap();
    let mut workers = place.workers();
    assert_eq!(*workers.known(), []);
    workers.save(vec![difficulties(&[("b", 1.0)])]);
    assert_eq!(place.text(), "millrace workers 1\n1 \"b\"\n");
}

#[test]
fn of_too_many_workers_the_last_ones_are_known() {
    let mut text = String::from("millrace workers 1\n");
    for number in 0..MAX_KNOWN_WORKERS + 2 {
        writeln!(text, "1 \"{number}\"").unwrap();
    }
    let place = Place::with(text);
    let mut workers = place.workers();
    assert_eq!(workers.known().len(), MAX_KNOWN_WORKERS);
    assert_eq!(&*workers.known()[0].0, "2");
    workers.save(vec![difficulties(&[("new", 1.0)])]);
    assert_eq!(workers.known().len(), MAX_KNOWN_WORKERS);
    assert_eq!(&*workers.known()[0].0, "3");
}
