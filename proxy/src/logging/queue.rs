//! A log that nobody waits for: lines go to their reader from a thread of their own.
//!
//! A journal that hangs, or a pager in which nobody turns the page, must not hold up miners. So lines wait in a bounded
//! queue; those that find no room are left out and counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// Lines that wait at the most: about a megabyte.
const LINES: usize = 8_192;
/// Longest wait at the end for what is in line to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Puts lines in line, each with one write. All clones share the line.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    entries: SyncSender<Entry>,
    left_out: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Whoever waits for all before it to be written hears so.
    Mark(SyncSender<()>),
}

impl Queue {
    /// Starts the thread, which writes to `reader`, and calls `tell` with how many lines were left out once there is room.
    ///
    /// # Errors
    /// Where the system has no thread for it.
    pub(super) fn start(
        reader: impl Write + Send + 'static,
        tell: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let (entries, line) = sync_channel(LINES);
        let left_out = Arc::new(AtomicU64::new(0));
        let queue = Self { entries, left_out };
        let left_out = Arc::clone(&queue.left_out);
        thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all(reader, &line, &left_out, tell))?;
        Ok(queue)
    }

    /// Waits until all that is in line is written, for a second at the most.
    pub(super) fn finish(&self) {
        let (mark, written) = sync_channel(1);
        // Where the line is full nobody reads it.
        if self.entries.try_send(Entry::Mark(mark)).is_ok() {
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
    while let Ok(entry) = line.recv() {
        match entry {
            // Where nobody reads any more there is nobody to tell.
            Entry::Line(line) => drop(reader.write_all(&line)),
            // Whoever asked may have gone.
            Entry::Mark(mark) => drop(mark.try_send(())),
        }
        let count = left_out.swap(0, Ordering::Relaxed);
        if count > 0 {
            tell(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

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

    fn queue(tell: Sender<u64>) -> (Queue, Receiver<Vec<u8>>) {
        let (pipe, reader) = sync_channel(0);
        let tell = move |count| tell.send(count).unwrap();
        (Queue::start(Pipe(pipe), tell).unwrap(), reader)
    }

    #[test]
    fn lines_come_in_order_and_the_end_waits_for_them() {
        let (tell, _told) = std::sync::mpsc::channel();
        let (mut queue, reader) = queue(tell);
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
        let (tell, told) = std::sync::mpsc::channel();
        let (mut queue, reader) = queue(tell);
        let most = LINES + 1;
        for _ in 0..most + 10 {
            queue.write_all(b"a line\n").unwrap();
        }
        queue.finish();
        let mut left_out = 0;
        let mut read = 0;
        while read + left_out < most as u64 + 10 {
            read += u64::from(reader.recv().is_ok());
            left_out += told.try_iter().sum::<u64>();
        }
        // The thread may have taken one off the line already.
        assert!((10..=11).contains(&left_out), "{left_out}");
    }
}
