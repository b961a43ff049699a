//! The body of the fuzz target `session`, as a plain function that `cargo test` runs too.
//!
//! Bytes are what several miners send, in chunks as they come, with things that happen in between: bytes that occur in
//! no UTF-8 say what. The bench checks at every step what must hold: no panic, replies in the order of the requests with
//! their ids, nothing but replies before the subscribe reply, every line out a line of JSON that a miner understands.

use sv1::LineDecoder;
use sv2::messages::mining::SetTarget;
use sv2::types::{ChannelId, U256};
use translate::{CloseReason, Config, DifficultyPolicy};

use super::{Bench, config, difficulty, difficulty_target};

/// Every second hash meets it, so that shares of all kinds are good with no work.
const TRIVIAL: f64 = 1.0 / 2_147_483_648.0;
/// The longest line, as short as an operator may have it.
const LINE_BYTES: usize = 1_024;
/// Connections at once.
const MINERS: usize = 4;

/// A farm that bytes happen to.
struct Farm {
    bench: Bench,
    /// The live connections: a rig and what it has sent of a line.
    miners: Vec<(usize, LineDecoder)>,
    /// The one that speaks.
    speaker: usize,
    /// The last job or block that was dealt.
    dealt: u32,
}

/// Lets bytes happen to a farm whose pool has dealt a job.
pub fn fuzz_session(bytes: &[u8]) {
    let mut farm = Farm::new();
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        let said = rest.iter().take_while(|byte| **byte < 0xf6).count();
        if said > 0 {
            let (chunk, behind) = rest.split_at(said);
            farm.hear(chunk);
            rest = behind;
        } else {
            let (number, behind) = behind.split_first().unwrap_or((&0, behind));
            farm.happen(*first, *number);
            rest = behind;
        }
    }
    // Whatever is owed for what was said is there by now.
    farm.miners
        .iter()
        .for_each(|(rig, _)| assert!(farm.bench.rigs[*rig].is_settled()));
}

impl Farm {
    fn new() -> Self {
        let policy = DifficultyPolicy {
            start: Some(difficulty(TRIVIAL)),
            min: difficulty(TRIVIAL),
            asked_min: difficulty(TRIVIAL),
            vardiff: true,
            ..config().difficulty
        };
        let mut bench = Bench::new(Config {
            difficulty: policy,
            max_miners: MINERS,
            ..config()
        });
        bench.pools[0].target = difficulty_target(TRIVIAL);
        bench.open(0);
        bench.deal_block(0, 1);
        let mut farm = Self {
            bench,
            miners: Vec::new(),
            speaker: 0,
            dealt: 1,
        };
        farm.connect();
        farm
    }

    fn connect(&mut self) {
        if let Some(rig) = self.bench.try_connect() {
            self.speaker = self.miners.len();
            self.miners.push((rig, LineDecoder::new(LINE_BYTES)));
        }
    }

    /// What a byte that is no text stands for.
    fn happen(&mut self, what: u8, number: u8) {
        match what {
            0xf6 => self.connect(),
            0xf7 => self.speaker = usize::from(number),
            0xf8 => self.leave(),
            0xf9 => self.bench.wait(f64::from(number) / 4.0),
            0xfa => self.bench.wait(f64::from(number)),
            0xfb => self.deal(number),
            0xfc => self.retarget(number),
            0xfd => self.toggle_pool(),
            0xfe => self.share(number),
            // Only ends a chunk.
            _ => {}
        }
        self.forget_closed();
    }

    fn speaker(&self) -> Option<usize> {
        self.speaker.checked_rem(self.miners.len())
    }

    fn hear(&mut self, mut chunk: &[u8]) {
        let Some(speaker) = self.speaker() else {
            return;
        };
        let (rig, mut lines) = self.miners.remove(speaker);
        while self.bench.closed(rig).is_none() {
            match lines.next_line(&mut chunk) {
                Some(Ok(line)) => drop(self.bench.say_bytes(rig, line)),
                Some(Err(error)) => {
                    let reason = CloseReason::UnanswerableLine(error.to_string());
                    self.bench.close(rig, reason);
                }
                None => break,
            }
        }
        self.miners.insert(speaker, (rig, lines));
        self.forget_closed();
    }

    fn leave(&mut self) {
        if let Some(speaker) = self.speaker() {
            let (rig, _) = self.miners.remove(speaker);
            self.bench.leave(rig);
        }
    }

    fn deal(&mut self, number: u8) {
        if self.bench.pools[0].dialled {
            self.dealt += 1;
            match number % 2 {
                0 => self.bench.deal_job(0, self.dealt),
                _ => self.bench.deal_block(0, self.dealt),
            }
        }
    }

    fn retarget(&mut self, number: u8) {
        let target = difficulty_target(TRIVIAL * 2_f64.powi(i32::from(number % 64)));
        let channel_id = ChannelId(self.bench.pools[0].channel);
        if self.bench.pools[0].dialled {
            self.bench.tell(
                0,
                SetTarget {
                    channel_id,
                    maximum_target: U256(target),
                },
            );
        }
    }

    /// Loses the pool, or opens it anew.
    fn toggle_pool(&mut self) {
        if self.bench.pools[0].dialled {
            return self.bench.lose(0, "connection lost");
        }
        self.bench.wait(61.0);
        if self.bench.pools[0].dialled {
            self.dealt += 1;
            self.bench.open(0);
            self.bench.deal_block(0, self.dealt);
        }
    }

    /// A share of the newest work of who speaks, good or not.
    fn share(&mut self, number: u8) {
        let Some((rig, _)) = self.speaker().and_then(|speaker| self.miners.get(speaker)) else {
            return;
        };
        let Some(work) = self.bench.rigs[*rig].notified.last() else {
            return;
        };
        let size = self.bench.rigs[*rig].extranonce2_size;
        let (job, ntime) = (work.job_id, work.ntime);
        let (extranonce2, rig) = ("5a".repeat(size), *rig);
        let submit = format!(
            r#"{{"id":{number},"method":"mining.submit","params":["farm.rig","{job}","{extranonce2}","{ntime:08x}","{number:08x}"]}}"#
        );
        drop(self.bench.say(rig, &submit));
    }

    fn forget_closed(&mut self) {
        let bench = &self.bench;
        self.miners.retain(|(rig, _)| bench.closed(*rig).is_none());
    }
}
