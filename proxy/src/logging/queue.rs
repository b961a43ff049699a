//! A log that nobody waits for: lines go to their reader from a thread of their own.
//!
//! A journal that hangs, or a pager in which nobody turns the page, must not hold up miners. So lines wait in a bounded
//! queue; those that find no room are left out and counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, TrySendError};

/// Lines that wait at the most: about a megabyte.
const LINES: usize = 8_192;
/// Longest wait at the end for what is in line to be written.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How often it is looked then whether there is room.
const LOOK: Duration = Duration::from_millis(1);

/// Puts lines in line, each with one write. All clones share the line.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    entries: Sender<Entry>,
    left_out: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Whoever waits for all before it to be written hears so.
    Mark(SyncSender<()>),
}

impl Queue {
    /// Starts the thread, which writes to `reader`. It calls `tell` with how many lines were left out once there is room
    /// for a line about that.
    ///
    /// # Errors
    /// Where the system has no thread for it.
    pub(super) fn start(
        reader: impl Write + Send + 'static,
        tell: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let (entries, line) = async_channel::bounded(LINES);
        let left_out = Arc::new(AtomicU64::new(0));
        let queue = Self { entries, left_out };
        let left_out = Arc::clone(&queue.left_out);
        thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all(reader, &line, &left_out, tell))?;
        Ok(queue)
    }

    /// Waits until there is room for a line, for a second at the most.
    pub(super) fn make_room(&self) {
        let until = Instant::now() + LAST_LINES;
        while self.entries.is_full() && Instant::now() < until {
            thread::sleep(LOOK);
        }
    }

    /// Waits until all that is in line is written, for a second or two at the most.
    pub(super) fn finish(&self) {
        self.make_room();
        let (mark, written) = sync_channel(1);
        if self.entries.try_send(Entry::Mark(mark)).is_ok() {
            // Where nobody reads it has taken long enough.
            let _ = written.recv_timeout(LAST_LINES);
        }
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let sent = self.entries.try_send(Entry::Line(line.to_vec()));
        if matches!(sent, Err(TrySendError::Full(_))) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(
    mut reader: impl Write,
    line: &Receiver<Entry>,
    left_out: &AtomicU64,
    tell: impl Fn(u64),
) {
    while let Ok(entry) = line.recv_blocking() {
        match entry {
            // Where nobody reads any more there is nobody to tell.
            Entry::Line(line) => drop(reader.write_all(&line)),
            // Whoever asked may have gone.
            Entry::Mark(mark) => drop(mark.try_send(())),
        }
        // With so much room the line about it is not left out itself.
        if line.len() <= LINES / 2 {
            let count = left_out.swap(0, Ordering::Relaxed);
            if count > 0 {
                tell(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::mpsc;

    use super::*;

    /// Hands each line over to somebody who reads when it suits.
    struct Pipe(SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.send(line.to_vec()).map_err(io::Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A queue, which tells what was left out by a line of its own, and its reader.
    fn queue() -> (Queue, mpsc::Receiver<Vec<u8>>) {
        let (pipe, reader) = sync_channel(0);
        let own: Arc<OnceLock<Queue>> = Arc::default();
        let tell = {
            let own = Arc::clone(&own);
            move |count| {
                let mut queue = own.get().unwrap().clone();
                queue.write_all(format!("{count}").as_bytes()).unwrap();
            }
        };
        let queue = Queue::start(Pipe(pipe), tell).unwrap();
        own.set(queue.clone()).unwrap();
        (queue, reader)
    }

    #[test]
    fn lines_come_in_order_and_the_end_waits_for_them() {
        let (mut queue, reader) = queue();
        let reading = thread::spawn(move || reader.iter().take(100).collect::<Vec<_>>());
        for number in 0..100 {
            queue.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        queue.finish();
        let lines = reading.join().unwrap();
        assert!((0..100).all(|number| lines[number] == format!("{number}\n").as_bytes()));
    }

    #[test]
    fn what_finds_no_room_is_left_out_and_counted_and_nobody_waits() {
        let (mut queue, reader) = queue();
        let count = LINES + 11;
        for _ in 0..count {
            queue.write_all(b"a line\n").unwrap();
        }
        let mut shown = 0;
        let told = loop {
            match reader.recv().unwrap() {
                line if line == b"a line\n" => shown += 1,
                line => break line,
            }
        };
        // The thread may have taken one off the line already.
        assert!((LINES..=LINES + 1).contains(&shown), "{shown}");
        assert_eq!(told, (count - shown).to_string().as_bytes());
    }
}
