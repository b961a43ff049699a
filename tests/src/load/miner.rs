//! One miner of a crowd: what it makes of the lines that it gets, and its shares.
//!
//! As small as a miner can be that does everything right: a farm of ten thousand in one thread must never be what is
//! measured. It asks in the order of cgminer, one request after the other: configure, subscribe, authorize.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sv1::{
    Configure, ConfigureReply, Extranonce1, FromServer, Id, LineDecoder, MAX_SERVER_LINE,
    Notification, Request, Response, Submit, Subscribe, SubscribeReply, VersionRolling,
    parse_from_server,
};
use sv1_miner::hash::Search;
use sv1_miner::{BIP_0320_MASK, Roll, Target, Work};

use super::job::{Job, Jobs};
use super::tally::Tally;

/// Ids of the requests before the shares.
const CONFIGURE: u64 = 1;
const SUBSCRIBE: u64 = 2;
const AUTHORIZE: u64 = 3;
/// Id of the first share.
const FIRST_SHARE: u64 = 4;
/// Hashes for one share at the most: at the difficulties of these tests one or two are enough.
const MOST_HASHES: u64 = 1 << 20;

/// What all miners of a crowd share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) tally: Tally,
    pub(super) jobs: Jobs,
    /// Shares that each miner keeps in flight; 0 where shares are paced.
    pub(super) in_flight: usize,
}

/// How a miner begins.
#[derive(Debug, Clone)]
pub(super) enum Beginning {
    /// As Stratum V1 has it.
    SetUp,
    /// With work, and without a word: towards a floor, which only echoes or writes.
    Given(Arc<Job>),
}

/// How far a miner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    SettingUp,
    Authorized,
    /// What it sends comes back as it is.
    Echoed,
}

/// A miner without its socket.
#[derive(Debug)]
pub(super) struct Miner {
    worker: Box<str>,
    stage: Stage,
    decoder: LineDecoder,
    extranonce1: Extranonce1,
    extranonce2_size: u8,
    version_mask: Option<u32>,
    /// Counts from the next job.
    difficulty: f64,
    work: Option<Work>,
    rolls: u64,
    next_id: u64,
    /// The shares without an answer, the oldest first, and when each was sent.
    unanswered: VecDeque<(u64, Instant)>,
}

impl Miner {
    pub(super) fn new(number: usize) -> Self {
        Self {
            worker: format!("farm.rig{number}").into(),
            stage: Stage::SettingUp,
            decoder: LineDecoder::new(MAX_SERVER_LINE),
            extranonce1: Extranonce1::default(),
            extranonce2_size: 4,
            version_mask: None,
            difficulty: 1.0,
            work: None,
            rolls: 0,
            next_id: FIRST_SHARE,
            unanswered: VecDeque::new(),
        }
    }

    /// Tells whether it can find shares.
    pub(super) fn is_mining(&self) -> bool {
        self.stage != Stage::SettingUp && self.work.is_some()
    }

    /// Tells how many of its shares have no answer.
    pub(super) fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// Begins on a connection that has just opened.
    pub(super) fn begin(&mut self, beginning: &Beginning, shared: &mut Shared, out: &mut Vec<u8>) {
        match beginning {
            Beginning::SetUp => {
                let configure = Configure {
                    version_rolling: Some(VersionRolling {
                        mask: BIP_0320_MASK,
                        min_bit_count: 2,
                    }),
                    ..Configure::default()
                };
                Request::Configure(Box::new(configure)).encode_into(&Id::number(CONFIGURE), out);
            }
            Beginning::Given(job) => {
                self.stage = Stage::Echoed;
                self.difficulty = 0.0;
                self.version_mask = Some(BIP_0320_MASK);
                self.take_job(Instant::now(), job, shared);
            }
        }
    }

    /// Takes what came, and appends what is to be sent.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        mut bytes: &[u8],
        shared: &mut Shared,
        out: &mut Vec<u8>,
    ) {
        // The same line as another miner got, and nothing else: a new job on its way to all.
        if self.decoder.held() == 0
            && let Some(job) = shared.jobs.find(bytes).cloned()
        {
            return self.take_job(now, &job, shared);
        }
        let mut decoder = std::mem::replace(&mut self.decoder, LineDecoder::new(MAX_SERVER_LINE));
        while let Some(line) = decoder.next_line(&mut bytes) {
            match line {
                Ok(line) => self.hear_line(now, line, shared, out),
                Err(error) => shared.tally.refuse(&error.to_string()),
            }
        }
        self.decoder = decoder;
        if shared.in_flight > 0 {
            self.fill(now, shared, out);
        }
    }

    fn hear_line(&mut self, now: Instant, line: &[u8], shared: &mut Shared, out: &mut Vec<u8>) {
        if let Some(id) = accepted_id(line, self.stage == Stage::Echoed)
            && id >= FIRST_SHARE
        {
            return self.take_answer(now, id, Ok(()), shared);
        }
        if let Some(job) = shared.jobs.read(line) {
            return self.take_job(now, &job, shared);
        }
        match parse_from_server(line) {
            Ok(FromServer::Response(response)) => self.take_response(now, &response, shared, out),
            Ok(FromServer::Notification(notification)) => self.take_news(&notification),
            Ok(FromServer::Call { .. }) => {}
            Err(error) => shared.tally.refuse(&error.to_string()),
        }
    }

    fn take_response(
        &mut self,
        now: Instant,
        response: &Response,
        shared: &mut Shared,
        out: &mut Vec<u8>,
    ) {
        let words = || match &response.error {
            Some(error) => error.message.to_string(),
            None => format!("its result is {}", response.result),
        };
        match response.id.as_number() {
            Some(CONFIGURE) => {
                let reply = ConfigureReply::parse(&response.result);
                let mask = reply.and_then(|reply| reply.version_rolling);
                self.version_mask = mask.filter(|mask| *mask != 0);
                let subscribe = Subscribe {
                    user_agent: Some(sv1_miner::USER_AGENT.into()),
                    session_id: None,
                };
                Request::Subscribe(subscribe).encode_into(&Id::number(SUBSCRIBE), out);
            }
            Some(SUBSCRIBE) => match SubscribeReply::parse(&response.result) {
                Some(reply) => {
                    self.extranonce1 = reply.extranonce1;
                    self.extranonce2_size = reply.extranonce2_size;
                    let authorize = Request::Authorize {
                        user: self.worker.clone(),
                        password: Some("x".into()),
                    };
                    authorize.encode_into(&Id::number(AUTHORIZE), out);
                }
                None => shared.tally.refuse(&format!("subscribe: {}", words())),
            },
            Some(AUTHORIZE) if response.is_accepted() => {
                self.stage = Stage::Authorized;
                self.note_mining(now, shared);
            }
            Some(AUTHORIZE) => shared.tally.refuse(&format!("authorize: {}", words())),
            Some(id) if response.is_accepted() => self.take_answer(now, id, Ok(()), shared),
            Some(id) => self.take_answer(now, id, Err(words()), shared),
            None => shared.tally.refuse(&words()),
        }
    }

    fn take_news(&mut self, notification: &Notification) {
        match notification {
            Notification::SetDifficulty(difficulty) => self.difficulty = *difficulty,
            Notification::SetVersionMask(mask) => {
                self.version_mask = self.version_mask.map(|_| *mask);
            }
            Notification::SetExtranonce {
                extranonce1,
                extranonce2_size,
            } => {
                self.extranonce1 = *extranonce1;
                self.extranonce2_size = *extranonce2_size;
            }
            _ => {}
        }
    }

    fn take_answer(
        &mut self,
        now: Instant,
        id: u64,
        verdict: Result<(), String>,
        shared: &mut Shared,
    ) {
        let place = self.unanswered.iter().position(|(sent, _)| *sent == id);
        let Some((_, sent)) = place.and_then(|place| self.unanswered.remove(place)) else {
            return shared.tally.refuse("an answer to nothing");
        };
        match verdict {
            Ok(()) => {
                shared.tally.accepted += 1;
                let round_trip = now.saturating_duration_since(sent);
                shared.tally.round_trips.push(round_trip);
            }
            Err(words) => shared.tally.refuse(&words),
        }
    }

    fn take_job(&mut self, now: Instant, job: &Arc<Job>, shared: &mut Shared) {
        let prev_hash = job.notify.prev_hash;
        let before = self.work.as_ref().map(|work| work.notify.prev_hash);
        if before.is_some_and(|before| before != prev_hash) {
            shared.tally.note_block(prev_hash, now);
        }
        self.work = Some(Work {
            notify: Arc::clone(&job.notify),
            extranonce1: self.extranonce1,
            extranonce2_size: self.extranonce2_size,
            version_mask: self.version_mask,
            difficulty: self.difficulty,
            target: Target::from_difficulty(self.difficulty),
        });
        if before.is_none() {
            self.note_mining(now, shared);
        }
    }

    /// Counts it once it has both its set-up and its work.
    fn note_mining(&self, now: Instant, shared: &mut Shared) {
        if self.is_mining() {
            shared.tally.mining += 1;
            shared.tally.last_mining = Some(now);
        }
    }

    /// Hands in shares until as many are in flight as are to be.
    pub(super) fn fill(&mut self, now: Instant, shared: &mut Shared, out: &mut Vec<u8>) {
        while self.unanswered.len() < shared.in_flight && self.submit(now, shared, out) {}
    }

    /// Finds a share that it has not found before, and hands it in; `false` where it cannot.
    pub(super) fn submit(&mut self, now: Instant, shared: &mut Shared, out: &mut Vec<u8>) -> bool {
        let Some(work) = self.work.as_ref().filter(|_| self.is_mining()) else {
            shared.tally.missed += 1;
            return false;
        };
        self.rolls += 1;
        let roll = Roll {
            extranonce2: self.rolls,
            version_bits: 0,
            ntime: work.notify.ntime,
        };
        let search = Search::new(&work.header(&roll), work.target);
        let Some(nonce) = search.first_share(0..MOST_HASHES) else {
            shared.tally.missed += 1;
            return false;
        };
        let share = work.share(&roll, nonce);
        let submit = Submit {
            worker: self.worker.clone(),
            job_id: share.job_id,
            extranonce2: share.extranonce2,
            ntime: share.ntime,
            nonce: share.nonce,
            version_bits: share.version_bits,
        };
        Request::Submit(submit).encode_into(&Id::number(self.next_id), out);
        self.unanswered.push_back((self.next_id, now));
        self.next_id += 1;
        shared.tally.submitted += 1;
        true
    }
}

/// Gives the id of an answer that says yes in the words that every proxy uses; any other line is left to the parser. With
/// `echoed` any line counts.
fn accepted_id(line: &[u8], echoed: bool) -> Option<u64> {
    let rest = line.strip_prefix(b"{\"id\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at_checked(digits)?;
    let yes: [&[u8]; 2] = [
        b",\"result\":true,\"error\":null}",
        b",\"error\":null,\"result\":true}",
    ];
    if !echoed && !yes.contains(&rest) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_taken_without_the_parser() {
        let id = |line: &str| accepted_id(line.as_bytes(), false);
        assert_eq!(id(r#"{"id":17,"result":true,"error":null}"#), Some(17));
        assert_eq!(id(r#"{"id":17,"error":null,"result":true}"#), Some(17));
        assert_eq!(id(r#"{"id":17,"result":false,"error":null}"#), None);
        assert_eq!(id(r#"{"id":null,"result":true,"error":null}"#), None);
        assert_eq!(id(r#"{"id":17,"result":true,"error":[20,"x",null]}"#), None);
        let submit = r#"{"id":17,"method":"mining.submit","params":[]}"#;
        assert_eq!(id(submit), None);
        assert_eq!(accepted_id(submit.as_bytes(), true), Some(17));
    }
}
