//! What a driver waits for: all of its sockets, and what other threads tell it.
//!
//! A thread that waits for its own sockets does with one call for a share what a runtime takes several for: nobody else
//! has to be woken, no timer to be set, and no interest to be renewed after each event, because each is told once when
//! something comes (edge-triggered).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_channel::Receiver;
use futures_lite::Stream;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

/// Events taken at a time, at the most: where there are as many, there may be more.
pub(crate) const EVENTS: usize = 64;
/// What is told of a socket.
const ALL: EventFlags = EventFlags::IN
    .union(EventFlags::OUT)
    .union(EventFlags::RDHUP);
/// Bits of a source's number that tell where it is in its table.
const PLACE_BITS: u32 = 62;
/// Number of what is urgent; no source has it.
const URGENT: u64 = 2;

/// Whose socket something happened at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Somebody rang the bell.
    Bell,
    /// An upstream that was parted with.
    Parting,
    /// A listener, by its number in the brain's config.
    Listener(usize),
    /// An upstream, by its place.
    Upstream(usize),
    /// A miner, by its place. It may be another than at the time of the event.
    Miner(usize),
}

impl Source {
    fn number(self) -> u64 {
        let (kind, place) = match self {
            Self::Bell => (0, 0),
            Self::Parting => (0, 1),
            Self::Listener(place) => (1, place),
            Self::Upstream(place) => (2, place),
            Self::Miner(place) => (3, place),
        };
        (kind << PLACE_BITS) | place as u64
    }

    /// Tells whether it is never made to wait for others.
    fn is_urgent(self) -> bool {
        match self {
            Self::Bell | Self::Parting | Self::Upstream(_) => true,
            Self::Listener(_) | Self::Miner(_) => false,
        }
    }

    fn of(number: u64) -> Self {
        let place = number & ((1 << PLACE_BITS) - 1);
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        match number >> PLACE_BITS {
            0 if place == 0 => Self::Bell,
            0 => Self::Parting,
            1 => Self::Listener(place),
            2 => Self::Upstream(place),
            _ => Self::Miner(place),
        }
    }
}

/// What happened at a socket. Either may be told without being so: a read or write that would block is no fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Where.
    pub(crate) source: Source,
    /// There is something to read, or the other end sends no more.
    pub(crate) readable: bool,
    /// The other end sends no more. What it sent before may still be there, and no event follows that tells of the end.
    pub(crate) ended: bool,
    /// There is room to write.
    pub(crate) writable: bool,
}

/// Waits for sockets and for the bell.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    /// Has those that are urgent, and is itself in `epoll`: so they can be waited for alone.
    urgent: OwnedFd,
    bell: Arc<Bell>,
}

impl Poller {
    /// Makes one that has only its bell.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let bell = Arc::new(Bell {
            eventfd: eventfd(0, flags)?,
            rung: AtomicBool::new(false),
        });
        let poller = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            urgent: epoll::create(CreateFlags::CLOEXEC)?,
            bell,
        };
        // Told of as long as there is something, not once.
        let number = EventData::new_u64(URGENT);
        epoll::add(&poller.epoll, &poller.urgent, number, EventFlags::IN)?;
        poller.wait_for(&poller.bell.eventfd, Source::Bell, EventFlags::IN)?;
        Ok(poller)
    }

    /// Waits for a socket too, from now until it is closed.
    pub(crate) fn add(&self, socket: impl AsFd, source: Source) -> io::Result<()> {
        self.wait_for(socket, source, ALL)
    }

    /// Has what happens at a socket told of another source. What happened before is told again.
    /// Neither may be less urgent than the other.
    pub(crate) fn change(&self, socket: impl AsFd, source: Source) -> io::Result<()> {
        let number = EventData::new_u64(source.number());
        epoll::modify(self.place(source), socket, number, ALL | EventFlags::ET)?;
        Ok(())
    }

    fn wait_for(&self, file: impl AsFd, source: Source, flags: EventFlags) -> io::Result<()> {
        let number = EventData::new_u64(source.number());
        epoll::add(self.place(source), file, number, flags | EventFlags::ET)?;
        Ok(())
    }

    fn place(&self, source: Source) -> &OwnedFd {
        match source.is_urgent() {
            true => &self.urgent,
            false => &self.epoll,
        }
    }

    /// Gives what others ring.
    pub(crate) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Waits until something happens, at most `timeout` (rounded up to milliseconds), for ever without one; puts what
    /// happened in `ready`.
    pub(crate) fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        if take(&self.epoll, timeout, ready)? {
            take(&self.urgent, Some(Duration::ZERO), ready)?;
        }
        Ok(())
    }

    /// Waits in the same way for what is urgent alone: upstreams and the bell.
    pub(crate) fn wait_for_urgent(
        &self,
        timeout: Duration,
        ready: &mut Vec<Ready>,
    ) -> io::Result<()> {
        take(&self.urgent, Some(timeout), ready)?;
        Ok(())
    }
}

/// Waits, and takes what happens; tells whether there is something urgent.
fn take(epoll: &OwnedFd, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<bool> {
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    // On the stack: the system's events may hold pointers, which no thread may hand to another.
    let mut events = [const { MaybeUninit::<Event>::uninit() }; EVENTS];
    let events = match epoll::wait(epoll, &mut events, timeout.as_ref()) {
        Ok((events, _)) => events,
        Err(Errno::INTR) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let mut is_urgent = false;
    for event in events.iter() {
        let number = event.data;
        match number.u64() {
            URGENT => is_urgent = true,
            _ => ready.push(readiness(event)),
        }
    }
    Ok(is_urgent)
}

fn readiness(event: &Event) -> Ready {
    let (data, flags) = (event.data, event.flags);
    let broken = EventFlags::HUP | EventFlags::ERR;
    Ready {
        source: Source::of(data.u64()),
        readable: flags.intersects(EventFlags::IN | EventFlags::RDHUP | broken),
        ended: flags.intersects(EventFlags::RDHUP | broken),
        writable: flags.intersects(EventFlags::OUT | broken),
    }
}

/// Wakes a thread that waits in a [`Poller`].
#[derive(Debug)]
pub(crate) struct Bell {
    eventfd: OwnedFd,
    /// Whether it was rung since it was last heard: ringing it again costs nothing.
    rung: AtomicBool,
}

impl Bell {
    /// Tells whether it was rung since this was last asked.
    fn heard(&self) -> bool {
        if !self.rung.load(Ordering::Acquire) {
            return false;
        }
        // In this order: were it cleared first, a ring in between would be read here and the next one not be written.
        // Fails only where whoever rings has not come to writing; that wakes us once more.
        let _ = rustix::io::read(&self.eventfd, &mut [0_u8; 8]);
        self.rung.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // Fails only where the counter is at its end, and the thread is awake then.
            let _ = rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes());
        }
    }
}

/// A queue whose reader waits in a [`Poller`] beside its sockets. Senders need not know.
#[derive(Debug)]
pub(crate) struct Told<T> {
    queue: Pin<Box<Receiver<T>>>,
    bell: Arc<Bell>,
    waker: Waker,
    /// Whether there may be something in the queue.
    looks: bool,
}

impl<T> Told<T> {
    /// Has the poller's bell rung whenever something comes.
    pub(crate) fn new(queue: Receiver<T>, poller: &Poller) -> Self {
        let bell = poller.bell();
        Self {
            queue: Box::pin(queue),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            looks: true,
        }
    }

    /// Gives what comes next. Once this was `None`, the bell rings when there is something.
    pub(crate) fn next(&mut self) -> Option<T> {
        if self.bell.heard() {
            self.looks = true;
        }
        if !self.looks {
            return None;
        }
        let mut context = Context::from_waker(&self.waker);
        match self.queue.as_mut().poll_next(&mut context) {
            Poll::Ready(next) => next,
            Poll::Pending => {
                self.looks = false;
                None
            }
        }
    }

    /// Tells whether there may be something that no bell rings for any more. It may also have been rung already while its
    /// owner was busy, and rings once.
    pub(crate) fn may_have_more(&self) -> bool {
        self.looks || self.bell.rung.load(Ordering::Acquire)
    }

    /// Tells how many wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Tells how many can, before senders wait.
    pub(crate) fn capacity(&self) -> usize {
        self.queue.capacity().unwrap_or(usize::MAX)
    }
}

impl<T> Drop for Told<T> {
    /// Drops what nobody will take out any more: a question in it has somebody who waits for the answer, and the queue
    /// itself is there as long as anybody can send.
    fn drop(&mut self) {
        self.queue.close();
        while self.queue.try_recv().is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn ready(poller: &Poller, timeout: Option<Duration>) -> Vec<Ready> {
        let mut ready = Vec::new();
        poller.wait(timeout, &mut ready).unwrap();
        ready
    }

    /// Both ends of a connection.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, theirs)
    }

    #[test]
    fn a_source_is_found_again_by_its_number() {
        for source in [
            Source::Bell,
            Source::Parting,
            Source::Listener(0),
            Source::Upstream(70_000),
            Source::Miner(1_000_000),
        ] {
            assert_eq!(Source::of(source.number()), source);
        }
    }

    #[test]
    fn what_comes_is_told_once() {
        let (socket, mut miner) = pair();
        let poller = Poller::new().unwrap();
        poller.add(&socket, Source::Miner(7)).unwrap();
        let told = |readable, ended| Ready {
            source: Source::Miner(7),
            readable,
            ended,
            writable: true,
        };
        assert_eq!(ready(&poller, None), [told(false, false)]);
        assert_eq!(ready(&poller, Some(Duration::ZERO)), []);
        miner.write_all(b"{}").unwrap();
        assert_eq!(ready(&poller, None), [told(true, false)]);
        assert_eq!(ready(&poller, Some(Duration::ZERO)), []);
        drop(miner);
        assert_eq!(ready(&poller, None), [told(true, true)]);
    }

    #[test]
    fn what_is_urgent_can_be_waited_for_alone_and_is_not_told_again() {
        let (socket, mut miner) = pair();
        let (link, mut upstream) = pair();
        let poller = Poller::new().unwrap();
        poller.add(&socket, Source::Miner(2)).unwrap();
        poller.add(&link, Source::Upstream(2)).unwrap();
        // Both have room to write.
        assert_eq!(ready(&poller, None).len(), 2);
        miner.write_all(b"{}").unwrap();
        let urgent = |timeout| {
            let mut ready = Vec::new();
            poller.wait_for_urgent(timeout, &mut ready).unwrap();
            ready.iter().map(|it| it.source).collect::<Vec<_>>()
        };
        assert_eq!(urgent(Duration::ZERO), []);
        upstream.write_all(b"job").unwrap();
        assert_eq!(urgent(Duration::MAX), [Source::Upstream(2)]);
        let rest = ready(&poller, None);
        assert!(rest.iter().all(|it| it.source == Source::Miner(2)));
        upstream.write_all(b"job").unwrap();
        let next = ready(&poller, None);
        assert!(next.iter().all(|it| it.source == Source::Upstream(2)));
        assert_eq!((rest.len(), next.len()), (1, 1));
    }

    #[test]
    fn whoever_sends_into_the_queue_wakes_the_thread_that_waits_for_sockets() {
        let poller = Poller::new().unwrap();
        let (sender, receiver) = async_channel::bounded(4);
        let mut told = Told::new(receiver, &poller);
        assert_eq!(told.next(), None);
        let sending = std::thread::spawn(move || {
            for word in ["one", "two"] {
                sender.send_blocking(word).unwrap();
            }
        });
        let mut heard = Vec::new();
        while heard.len() < 2 {
            let woken = ready(&poller, None);
            assert!(woken.iter().all(|it| it.source == Source::Bell));
            heard.extend(std::iter::from_fn(|| told.next()));
        }
        assert_eq!(heard, ["one", "two"]);
        sending.join().unwrap();
    }

    #[test]
    fn a_bell_that_was_heard_while_nobody_took_is_not_forgotten() {
        let poller = Poller::new().unwrap();
        let (sender, receiver) = async_channel::bounded(4);
        let mut told = Told::new(receiver, &poller);
        assert_eq!(told.next(), None);
        assert!(!told.may_have_more());
        sender.send_blocking(1).unwrap();
        assert_eq!(ready(&poller, None).len(), 1);
        assert_eq!(ready(&poller, Some(Duration::ZERO)), []);
        assert!(told.may_have_more());
        assert_eq!((told.next(), told.next()), (Some(1), None));
        assert!(!told.may_have_more());
    }

    #[test]
    fn who_asks_a_thread_that_ends_is_not_kept_waiting() {
        let poller = Poller::new().unwrap();
        let (sender, receiver) = async_channel::bounded(4);
        let told = Told::new(receiver, &poller);
        let (asker, answer) = async_channel::bounded::<u8>(1);
        sender.try_send(asker).unwrap();
        drop(told);
        assert_eq!(answer.try_recv(), Err(async_channel::TryRecvError::Closed));
        assert!(sender.is_closed());
    }

    #[test]
    fn what_is_in_the_queue_before_is_found_without_a_bell() {
        let poller = Poller::new().unwrap();
        let (sender, receiver) = async_channel::bounded(4);
        sender.send_blocking(1).unwrap();
        let mut told = Told::new(receiver, &poller);
        assert_eq!((told.next(), told.next()), (Some(1), None));
    }
}
