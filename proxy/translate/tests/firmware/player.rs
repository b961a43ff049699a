//! Plays a conversation somewhere: against the brain on a virtual clock, or against the program over TCP.
//!
//! Beside every line that is heard, what must hold for any firmware is checked: nothing but replies before the
//! subscribe reply, one difficulty and one mask at most before each notify, fresh job ids, times that rise.

use std::collections::HashSet;
use std::time::Duration;

use sv1::{FromServer, Notification, Notify, SubscribeReply, parse_from_server};
use sv2::bitcoin::{BlockHash, Difficulty, Header, Target, double_sha256, merkle_root};

use super::conversation::{Conversation, Step, filled, is_hex, matched};

/// The pool's difficulty wherever a conversation is played.
pub(crate) const POOL: f64 = 1.0 / 1_048_576.0;

/// The hardest share that is really found, in half a million hashes. Where a miner's difficulty is higher, its shares
/// are such as only the pool's difficulty wants; they are paid for, so they count all the same.
const HARDEST: f64 = 1.0 / 8_192.0;

/// Where a conversation is played.
pub(crate) trait Place {
    /// Sends lines together.
    fn send(&mut self, lines: &[String]);
    /// Gives the next line for the miner, or nothing where none comes.
    fn hear(&mut self) -> Option<String>;
    /// Gives a line that has come although nobody waits for it, where that can be known.
    fn unheard(&mut self) -> Option<String>;
    /// Tells whether what several requests sent together lead to may come after the last one's reply.
    fn merges(&self) -> bool;
    /// Lets time pass; `false` where it cannot, and what would be heard then is left out.
    fn wait(&mut self, time: Duration) -> bool;
    fn new_job(&mut self);
    fn new_block(&mut self);
    fn reconnect(&mut self);
    /// Tells whether the pool got a share since this was last asked.
    fn pool_got_share(&mut self) -> bool;
}

/// Plays a conversation to its end; `Err` says which line went otherwise, what was expected and what came.
pub(crate) fn play(conversation: &Conversation, place: &mut impl Place) -> Result<(), String> {
    let mut player = Player {
        conversation,
        place,
        miner: Miner::default(),
        earlier: Earlier::default(),
    };
    let mut steps = conversation.steps.as_slice();
    while let Some((line, step)) = steps.first() {
        let alike = |(_, other): &&(usize, Step)| {
            std::mem::discriminant(other) == std::mem::discriminant(step)
        };
        let together = match step {
            Step::Say(_) | Step::Hear(_) => steps.iter().take_while(alike).count(),
            _ => 1,
        };
        let (now, then) = steps.split_at(together);
        steps = then;
        match step {
            Step::Say(_) => player.say(now)?,
            Step::Hear(_) => player.hear(now)?,
            Step::Share(words) => steps = player.share(*line, words, steps)?,
            Step::Wait(time) => {
                player.nothing_more(*line)?;
                if !player.place.wait(*time) {
                    let left_out = |(_, step): &&(usize, Step)| matches!(step, Step::Hear(_));
                    steps = &steps[steps.iter().take_while(left_out).count()..];
                }
            }
            Step::NewJob => {
                player.nothing_more(*line)?;
                player.place.new_job();
            }
            Step::NewBlock => {
                player.nothing_more(*line)?;
                player.earlier.new_block = true;
                player.place.new_block();
            }
            Step::Reconnect => {
                player.nothing_more(*line)?;
                player.place.reconnect();
                player.starts_over();
            }
        }
    }
    let last = conversation.steps.last().map_or(0, |(line, _)| *line);
    player.nothing_more(last)
}

/// What a miner knows on one connection.
#[derive(Default)]
struct Miner {
    subscribed: Option<SubscribeReply>,
    difficulty: Option<f64>,
    mask: u32,
    work: Option<Notify>,
    /// Announcements that wait for a notify.
    difficulty_waits: bool,
    mask_waits: bool,
    pipelined: bool,
}

/// What is known over all connections.
#[derive(Default)]
struct Earlier {
    session: Option<String>,
    jobs: HashSet<String>,
    prev_hash: Option<String>,
    new_block: bool,
    shares: u32,
}

struct Player<'a, P> {
    conversation: &'a Conversation,
    place: &'a mut P,
    miner: Miner,
    earlier: Earlier,
}

impl<P: Place> Player<'_, P> {
    fn at(&self, line: usize, words: &str) -> String {
        format!("{}: {words}", self.conversation.place(line))
    }

    /// On a new connection the job ids and times of the one before may come again.
    fn starts_over(&mut self) {
        self.miner = Miner::default();
        self.earlier.jobs.clear();
    }

    fn nothing_more(&mut self, line: usize) -> Result<(), String> {
        match self.place.unheard() {
            None => Ok(()),
            Some(heard) => Err(self.at(line, &format!("before this came also\n  {heard}"))),
        }
    }

    fn say(&mut self, steps: &[(usize, Step)]) -> Result<(), String> {
        let mut lines = Vec::new();
        for (number, step) in steps {
            self.nothing_more(*number)?;
            if let Step::Say(line) = step {
                let session = |name: &str| match name {
                    "session" => self.earlier.session.clone(),
                    _ => None,
                };
                lines.push(filled(line, session).map_err(|words| self.at(*number, &words))?);
            }
        }
        self.miner.pipelined = lines.len() > 1;
        self.place.send(&lines);
        Ok(())
    }

    /// Hears as many lines as are expected. Where requests went out together, replies and what follows from them
    /// keep their order each by itself at least.
    fn hear(&mut self, steps: &[(usize, Step)]) -> Result<(), String> {
        let expected = steps.iter().filter_map(|(number, step)| match step {
            Step::Hear(line) => Some((*number, line.as_str())),
            _ => None,
        });
        let mut expected: Vec<_> = expected.collect();
        let merges = self.miner.pipelined && self.place.merges();
        while let Some((number, line)) = expected.first().copied() {
            let Some(heard) = self.place.hear() else {
                return Err(self.at(number, &format!("expected\n  {line}\nand nothing came")));
            };
            let same_kind = |(_, line): &(usize, &str)| is_reply(line) == is_reply(&heard);
            let next = match merges {
                true => expected.iter().position(same_kind).unwrap_or_default(),
                false => 0,
            };
            let (number, line) = expected.remove(next);
            self.heard(line, &heard).map_err(|why| {
                let words = format!("expected\n  {line}\ngot\n  {heard}\n({why})");
                self.at(number, &words)
            })?;
        }
        Ok(())
    }

    fn heard(&mut self, expected: &str, heard: &str) -> Result<(), String> {
        let found = matched(expected, heard).ok_or("another line")?;
        let message = parse_from_server(heard.as_bytes());
        match message.map_err(|error| error.to_string())? {
            FromServer::Response(response) => {
                if let Some(reply) = SubscribeReply::parse(&response.result) {
                    self.earlier.session = Some(reply.session_id.clone().into());
                    self.miner.subscribed = Some(reply);
                }
            }
            FromServer::Notification(notification) => self.notified(notification)?,
            FromServer::Call { .. } => return Err("nothing is asked of miners".into()),
        }
        found
            .into_iter()
            .try_for_each(|(name, value)| self.check(name, value))
    }

    fn notified(&mut self, notification: Notification) -> Result<(), String> {
        let miner = &mut self.miner;
        if miner.subscribed.is_none() {
            return Err("before the subscribe reply".into());
        }
        match notification {
            Notification::SetDifficulty(difficulty) => {
                if std::mem::replace(&mut miner.difficulty_waits, true) {
                    return Err("two difficulties before one notify".into());
                }
                miner.difficulty = Some(difficulty);
            }
            Notification::SetVersionMask(mask) => {
                if std::mem::replace(&mut miner.mask_waits, true) || miner.difficulty_waits {
                    return Err("a mask comes once, before the difficulty".into());
                }
                miner.mask = mask;
            }
            Notification::Notify(work) => {
                if miner.difficulty.is_none() {
                    return Err("work before a difficulty".into());
                }
                if miner
                    .work
                    .as_ref()
                    .is_some_and(|before| !follows(before, &work))
                {
                    return Err("the time does not rise".into());
                }
                (miner.difficulty_waits, miner.mask_waits) = (false, false);
                miner.work = Some(*work);
            }
            _ => return Err("this is not sent".into()),
        }
        Ok(())
    }

    /// Holds what stood for a name to what must be true of it.
    fn check(&mut self, name: &str, value: &str) -> Result<(), String> {
        let earlier = &mut self.earlier;
        let holds = match name {
            "session" => is_hex(value, 16) && earlier.session.as_deref() == Some(value),
            "job" => {
                let short = (1..=8).contains(&value.len()) && is_hex(value, value.len());
                short && earlier.jobs.insert(value.to_owned())
            }
            "prevhash" => {
                let before = earlier.prev_hash.replace(value.to_owned());
                let is_new = before.as_deref() != Some(value);
                let must_be_new = std::mem::take(&mut earlier.new_block) || before.is_none();
                is_hex(value, 64) && is_new == must_be_new
            }
            "coinb1" | "coinb2" => {
                !value.is_empty() && value.len().is_multiple_of(2) && is_hex(value, value.len())
            }
            "branches" => value.is_empty() || value.split(',').all(is_quoted_hash),
            "version" | "nbits" | "ntime" => is_hex(value, 8),
            _ => false,
        };
        match holds {
            true => Ok(()),
            false => Err(format!("{value} cannot stand for {{{name}}} here")),
        }
    }

    /// Finds a share, submits it, and hears that it was accepted and reached the pool.
    fn share<'s>(
        &mut self,
        line: usize,
        words: &str,
        then: &'s [(usize, Step)],
    ) -> Result<&'s [(usize, Step)], String> {
        self.nothing_more(line)?;
        let share = self.find(words.contains("{bits}"));
        let share = share.ok_or_else(|| self.at(line, "there is nothing to mine"))?;
        let share =
            filled(words, |name| share.value(name)).map_err(|words| self.at(line, &words))?;
        self.miner.pipelined = false;
        self.place.send(&[share]);
        let [reply @ (number, Step::Hear(expected)), then @ ..] = then else {
            return Err(self.at(line, "a share without its reply"));
        };
        self.hear(std::slice::from_ref(reply))?;
        if !expected.contains("\"result\":true") {
            return Err(self.at(*number, "a share that is not accepted"));
        }
        match self.place.pool_got_share() {
            true => Ok(then),
            false => Err(self.at(line, "the share did not reach the pool")),
        }
    }

    fn find(&mut self, rolls_version: bool) -> Option<Share> {
        self.earlier.shares += 1;
        let miner = &self.miner;
        let (work, subscribed) = (miner.work.as_ref()?, miner.subscribed.as_ref()?);
        let difficulty = Difficulty::new(miner.difficulty?.min(HARDEST)).ok()?;
        let target = Target::from_difficulty(difficulty);
        let mut extranonce2 = vec![0; usize::from(subscribed.extranonce2_size)];
        *extranonce2.last_mut()? = u8::try_from(self.earlier.shares).ok()?;
        // The lowest bit of the mask.
        let bits = if rolls_version {
            miner.mask & miner.mask.wrapping_neg()
        } else {
            0
        };
        let coinbase = [
            &*work.coinb1,
            subscribed.extranonce1.as_bytes(),
            &extranonce2,
            &*work.coinb2,
        ];
        let mut header = Header {
            version: (work.version & !bits) | bits,
            prev_hash: BlockHash(work.prev_hash),
            merkle_root: merkle_root(double_sha256(&coinbase.concat()), &work.merkle_path),
            ntime: work.ntime,
            nbits: work.nbits,
            nonce: 0,
        };
        while !target.is_met_by(&BlockHash(double_sha256(&header.to_bytes()))) {
            header.nonce = header.nonce.checked_add(1)?;
        }
        Some(Share {
            job: work.job_id.to_string(),
            extranonce2,
            ntime: header.ntime,
            nonce: header.nonce,
            bits,
        })
    }
}

/// What a miner found.
struct Share {
    job: String,
    extranonce2: Vec<u8>,
    ntime: u32,
    nonce: u32,
    bits: u32,
}

impl Share {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "job" => Some(self.job.clone()),
            "extranonce2" => {
                let digits = self.extranonce2.iter().map(|byte| format!("{byte:02x}"));
                Some(digits.collect())
            }
            "ntime" => Some(format!("{:08x}", self.ntime)),
            "nonce" => Some(format!("{:08x}", self.nonce)),
            "bits" => Some(format!("{:08x}", self.bits)),
            _ => None,
        }
    }
}

/// Tells whether a notify's time suits the one before it: the same job comes with a later one.
fn follows(before: &Notify, work: &Notify) -> bool {
    let coinbase = |work: &Notify| (work.coinb1.clone(), work.coinb2.clone());
    let same_block = before.prev_hash == work.prev_hash;
    let same_transactions = before.merkle_path == work.merkle_path;
    let same_job = same_block && same_transactions && coinbase(before) == coinbase(work);
    !same_job || work.ntime > before.ntime
}

fn is_reply(line: &str) -> bool {
    !line.contains("\"method\":")
}

fn is_quoted_hash(text: &str) -> bool {
    let inside = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inside.is_some_and(|digits| is_hex(digits, 64))
}
