//! A simulated miner: it speaks Stratum V1 in lines of bytes, really hashes, and has its habits.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;

use sv1::{
    Configure, ConfigureReply, Extranonce2, FromServer, Id, JobId, Notification, Request, Response,
    Submit, Subscribe, SubscribeReply, VersionRolling,
};
use sv1_miner::hash::Search;
use sv1_miner::{BIP_0320_MASK, Roll, Target, Work};

use super::random::Random;

/// Hashes of a share of difficulty 1.
const HASHES_PER_DIFFICULTY: f64 = 4_294_967_296.0;

/// Hashes tried for one share at most, so that no world takes for ever.
const MOST_TRIES: u64 = 1 << 16;

/// Jobs that a miner remembers.
const WORKS: usize = 6;

/// Passwords in use: most ask for nothing, some for a difficulty of 16 hashes a share, or for a fixed one of 43.
const PASSWORDS: [&str; 5] = ["x", "x", "x", "d=0.0000000037252903", "fd=0.00000001"];

/// What a miner says that it is, and what firmware of that name is known for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agent {
    pub(super) name: &'static str,
    /// Whether it takes SV1 mining.set_extranonce without having asked for it.
    pub(super) takes_extranonce: bool,
    /// Whether it follows SV1 client.reconnect, and whether only with a place.
    pub(super) knows_reconnect: bool,
    pub(super) needs_place: bool,
}

/// One of which nothing is known.
const UNKNOWN: Agent = Agent {
    name: "simulated/1.0",
    takes_extranonce: false,
    knows_reconnect: true,
    needs_place: false,
};

/// Some for each way to be moved.
const AGENTS: [Agent; 5] = [
    UNKNOWN,
    Agent {
        name: "cgminer/4.11.1",
        ..UNKNOWN
    },
    Agent {
        name: "bitaxe/BM1370/v2.9.0",
        takes_extranonce: true,
        ..UNKNOWN
    },
    Agent {
        name: "cpuminer/2.5.1",
        needs_place: true,
        ..UNKNOWN
    },
    Agent {
        name: "NerdMinerV2/V2.3.0",
        knows_reconnect: false,
        ..UNKNOWN
    },
];

/// Whether a miner asks for SV1 mining.set_extranonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AsksForExtranonce {
    Never,
    ByRequest,
    InConfigure,
}

/// In which order a miner sets its connection up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Each request after the reply to the one before.
    Patient,
    /// Everything at once.
    Hasty,
    /// Authorizes before it subscribes.
    AuthorizeFirst,
    /// Subscribes and then says nothing.
    Half,
}

/// The habits of a miner.
#[derive(Debug, Clone)]
pub(super) struct Habits {
    pub(super) order: Order,
    /// Shortest and longest delay of its lines, in s.
    pub(super) delay: (f64, f64),
    /// Its connection stops taking anything in now and then.
    pub(super) stalls: bool,
    /// The mask that it offers with mining.configure.
    pub(super) mask: Option<u32>,
    pub(super) rolls_ntime: bool,
    /// Hands in shares of jobs that clean_jobs made void.
    pub(super) keeps_old_jobs: bool,
    /// Asks for its old session when it connects again, and submits anew what was not answered.
    pub(super) resumes: bool,
    /// Takes a new difficulty for the job it is at.
    pub(super) difficulty_at_once: bool,
    /// Part of its shares that are bad, and of its actions that are nonsense.
    pub(super) bad: f64,
    /// Mean time between actions, in s; reconnects, suggestions, second subscribes, garbage.
    pub(super) restless: f64,
    /// How many workers are on the connection.
    pub(super) workers: usize,
    pub(super) password: &'static str,
    pub(super) agent: Agent,
    pub(super) asks_for_extranonce: AsksForExtranonce,
    /// Goes when it is asked to, as its firmware should.
    pub(super) goes: bool,
    /// The listener that it comes in on.
    pub(super) listener: usize,
}

impl Habits {
    fn new(random: &mut Random) -> Self {
        Self {
            order: match random.below(40) {
                0..=24 => Order::Patient,
                25..=33 => Order::Hasty,
                34..=38 => Order::AuthorizeFirst,
                _ => Order::Half,
            },
            delay: *random.pick(&[(0.0005, 0.002), (0.005, 0.05), (0.2, 2.5)]),
            stalls: random.chance(0.15),
            mask: random.chance(0.7).then_some(match random.chance(0.8) {
                true => BIP_0320_MASK,
                false => 0x00ff_e000,
            }),
            rolls_ntime: random.chance(0.3),
            keeps_old_jobs: random.chance(0.2),
            resumes: random.chance(0.5),
            difficulty_at_once: random.chance(0.3),
            bad: *random.pick(&[0.0, 0.0, 0.02, 0.1, 0.97]),
            restless: *random.pick(&[1e9, 300.0, 90.0]),
            workers: *random.pick(&[1, 1, 1, 3]),
            password: PASSWORDS[random.place(PASSWORDS.len())],
            agent: *random.pick(&AGENTS),
            asks_for_extranonce: match random.below(10) {
                0 | 1 => AsksForExtranonce::ByRequest,
                2 => AsksForExtranonce::InConfigure,
                _ => AsksForExtranonce::Never,
            },
            goes: !random.chance(0.15),
            listener: random.place(2),
        }
    }
}

/// What a reply answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asked {
    Configure,
    Subscribe,
    Authorize,
    Submit(Box<Submit>),
    Other,
}

/// A miner, over all of its connections.
#[derive(Debug)]
pub(super) struct Miner {
    pub(super) habits: Habits,
    pub(super) address: IpAddr,
    pub(super) workers: Vec<Box<str>>,
    /// In h/s.
    pub(super) hashrate: f64,
    /// Its present connection.
    pub(super) conn: Option<usize>,
    /// Counts changes of what it waits for, so that an outdated find means nothing.
    pub(super) plan: u64,
    session: Option<Box<str>>,
    /// Shares without an answer from connections that are gone.
    orphans: Vec<Submit>,
    /// How many of them it handed in again.
    pub(super) handed_in_again: u64,
    last_share: Option<Submit>,
    side: Side,
}

/// What a miner knows of its present connection.
#[derive(Debug, Default)]
struct Side {
    asked: VecDeque<(u64, Asked)>,
    next_id: u64,
    /// What it searches with, and what it is to search the next job with.
    extranonce: Option<(sv1::Extranonce1, u8)>,
    next_extranonce: Option<(sv1::Extranonce1, u8)>,
    mask: Option<u32>,
    authorized: bool,
    difficulty: f64,
    next_difficulty: f64,
    /// The newest last; those before `fresh` are void.
    works: VecDeque<Rc<Work>>,
    fresh: usize,
}

/// What a line means to whoever plans the next share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Nothing,
    /// There is work, or its difficulty changed.
    Terms,
    /// It is asked to connect anew, and goes or stays.
    Leave,
    Stay,
}

impl Miner {
    pub(super) fn new(
        (number, account): (usize, &str),
        address: IpAddr,
        random: &mut Random,
    ) -> Self {
        let habits = Habits::new(random);
        let worker = |place| format!("{account}.rig{number}-{place}").into();
        Self {
            address,
            workers: (0..habits.workers).map(worker).collect(),
            hashrate: 2_f64.powf(random.between(0.0, 3.0)),
            conn: None,
            plan: 0,
            session: None,
            orphans: Vec::new(),
            handed_in_again: 0,
            last_share: None,
            side: Side::default(),
            habits,
        }
    }

    /// Begins a connection; gives the first lines.
    pub(super) fn connect(&mut self, random: &mut Random) -> Vec<u8> {
        let given_up = self
            .side
            .asked
            .drain(..)
            .filter_map(|(_, asked)| match asked {
                Asked::Submit(submit) => Some(*submit),
                _ => None,
            });
        self.orphans.extend(given_up);
        self.side = Side {
            difficulty: 1.0,
            next_difficulty: 1.0,
            ..Side::default()
        };
        let mut out = Vec::new();
        match self.habits.order {
            Order::Patient if self.configures() => self.configure(&mut out),
            Order::Patient | Order::Half => self.subscribe(&mut out),
            Order::Hasty => {
                self.configure(&mut out);
                self.subscribe(&mut out);
                self.authorize(&mut out);
            }
            Order::AuthorizeFirst => {
                self.authorize(&mut out);
                self.subscribe(&mut out);
                if random.chance(0.5) {
                    self.configure(&mut out);
                }
            }
        }
        out
    }

    /// Takes a line; appends what is sent in return.
    pub(super) fn hear(&mut self, line: &FromServer, out: &mut Vec<u8>) -> News {
        match line {
            FromServer::Notification(notification) => self.hear_notification(notification),
            FromServer::Response(response) => {
                self.hear_reply(response, out);
                News::Nothing
            }
            FromServer::Call { .. } => News::Nothing,
        }
    }

    fn hear_notification(&mut self, notification: &Notification) -> News {
        match notification {
            Notification::SetDifficulty(difficulty) => {
                self.side.next_difficulty = *difficulty;
                if self.habits.difficulty_at_once {
                    self.side.difficulty = *difficulty;
                    self.renew();
                    return News::Terms;
                }
            }
            Notification::SetVersionMask(mask) => {
                let offered = self.habits.mask.unwrap_or_default();
                self.side.mask = self.side.mask.map(|_| mask & offered);
            }
            Notification::SetExtranonce {
                extranonce1,
                extranonce2_size,
            } => self.side.next_extranonce = Some((*extranonce1, *extranonce2_size)),
            Notification::Reconnect(place) => {
                let named = place.is_some() || !self.habits.agent.needs_place;
                return match named && self.habits.goes {
                    true => News::Leave,
                    false => News::Stay,
                };
            }
            Notification::Notify(notify) => return self.take_work(notify),
            _ => {}
        }
        News::Nothing
    }

    fn take_work(&mut self, notify: &sv1::Notify) -> News {
        let changed =
            self.side.works.is_empty() || self.side.difficulty != self.side.next_difficulty;
        self.side.difficulty = self.side.next_difficulty;
        self.side.extranonce = self.side.next_extranonce.take().or(self.side.extranonce);
        if notify.clean_jobs {
            self.side.fresh = self.side.works.len();
        }
        let work = self.work(Rc::new(notify.clone()).as_ref());
        self.side.works.extend(work.map(Rc::new));
        if self.side.works.len() > WORKS {
            self.side.works.pop_front();
            self.side.fresh = self.side.fresh.saturating_sub(1);
        }
        match changed {
            true => News::Terms,
            false => News::Nothing,
        }
    }

    fn work(&self, notify: &sv1::Notify) -> Option<Work> {
        let (extranonce1, extranonce2_size) = self.side.extranonce?;
        Some(Work {
            notify: std::sync::Arc::new(notify.clone()),
            extranonce1,
            extranonce2_size,
            version_mask: self.side.mask,
            difficulty: self.side.difficulty,
            target: Target::from_difficulty(self.side.difficulty),
        })
    }

    /// The newest job at the present difficulty.
    fn renew(&mut self) {
        let renewed = self
            .side
            .works
            .back()
            .and_then(|work| self.work(&work.notify));
        if let (Some(place), Some(work)) = (self.side.works.back_mut(), renewed) {
            *place = Rc::new(work);
        }
    }

    fn hear_reply(&mut self, response: &Response, out: &mut Vec<u8>) {
        let Some((id, asked)) = self.side.asked.pop_front() else {
            return;
        };
        // Whether ids are echoed is judged where the line is written.
        let _ = id;
        let patient = matches!(self.habits.order, Order::Patient);
        match asked {
            Asked::Configure => {
                let mask =
                    ConfigureReply::parse(&response.result).and_then(|it| it.version_rolling);
                self.side.mask = mask.filter(|mask| *mask != 0);
                if patient {
                    self.subscribe(out);
                }
            }
            Asked::Subscribe => {
                if let Some(reply) = SubscribeReply::parse(&response.result) {
                    self.side.extranonce = Some((reply.extranonce1, reply.extranonce2_size));
                    self.session = Some(reply.session_id);
                }
                if patient && !self.side.authorized {
                    self.authorize(out);
                }
            }
            Asked::Authorize if !self.side.authorized => {
                self.side.authorized = true;
                self.ask_for_extranonce(out);
                self.submit_orphans(out);
            }
            Asked::Authorize | Asked::Submit(_) | Asked::Other => {}
        }
    }

    /// What was found on an earlier connection is handed in anew, once.
    fn submit_orphans(&mut self, out: &mut Vec<u8>) {
        let orphans = std::mem::take(&mut self.orphans);
        if self.habits.resumes {
            for submit in orphans.into_iter().take(8) {
                self.handed_in_again += 1;
                self.submit(submit, out);
            }
        }
    }

    /// Tells how long a share takes on average, in s; `None` without work.
    pub(super) fn mean_time(&self) -> Option<f64> {
        let work = self.side.works.back()?;
        Some(work.difficulty * HASHES_PER_DIFFICULTY / self.hashrate)
    }

    /// Finds a share and hands it in; now and then a bad one.
    pub(super) fn find(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        let Some(newest) = self.side.works.back().cloned() else {
            return;
        };
        if !self.side.authorized {
            return;
        }
        let from = match self.habits.keeps_old_jobs {
            true => 0,
            false => self.side.fresh.min(self.side.works.len() - 1),
        };
        let place = from + random.place(self.side.works.len() - from);
        let work = match random.chance(0.3) {
            true => self.side.works.get(place).cloned().unwrap_or(newest),
            false => newest,
        };
        let Some(mut submit) = self.grind(&work, random) else {
            return;
        };
        if random.chance(self.habits.bad) && !self.spoil(&mut submit, random, out) {
            return;
        }
        self.last_share = Some(submit.clone());
        self.submit(submit, out);
    }

    fn grind(&self, work: &Work, random: &mut Random) -> Option<Submit> {
        let ahead = match self.habits.rolls_ntime {
            true => u32::try_from(random.below(60)).unwrap_or(0),
            false => 0,
        };
        let roll = Roll {
            extranonce2: random.next(),
            version_bits: random.next_u32() & work.version_mask.unwrap_or_default(),
            ntime: work.notify.ntime.saturating_add(ahead),
        };
        let search = Search::new(&work.header(&roll), work.target);
        let start = u64::from(random.next_u32() >> 1);
        let nonce = search.first_share(start..start + MOST_TRIES)?;
        let share = work.share(&roll, nonce);
        Some(Submit {
            worker: random.pick(&self.workers).clone(),
            job_id: share.job_id,
            extranonce2: share.extranonce2,
            ntime: share.ntime,
            nonce: share.nonce,
            version_bits: share.version_bits,
        })
    }

    /// Makes a bad share of a good one; `false` where it is no longer to be handed in.
    fn spoil(&mut self, submit: &mut Submit, random: &mut Random, out: &mut Vec<u8>) -> bool {
        match random.below(9) {
            0 => submit.nonce = random.next_u32(),
            1 => submit.ntime = submit.ntime.wrapping_sub(100_000),
            2 => submit.ntime = submit.ntime.wrapping_add(100_000),
            3 => submit.version_bits = Some(random.next_u32() | 1),
            4 => submit.worker = "nobody".into(),
            5 => submit.job_id = JobId::new("feedbeef").unwrap_or(submit.job_id),
            6 => submit.extranonce2 = Extranonce2::new(&[1; 9]).unwrap_or_default(),
            7 => match &self.last_share {
                Some(last) => *submit = last.clone(),
                None => submit.nonce ^= 1,
            },
            _ => {
                let id = self.take_id(Asked::Other);
                let line = format!("{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[1]}}\n");
                out.extend_from_slice(line.as_bytes());
                return false;
            }
        }
        true
    }

    fn submit(&mut self, submit: Submit, out: &mut Vec<u8>) {
        let id = self.take_id(Asked::Submit(Box::new(submit.clone())));
        Request::Submit(submit).encode_into(&Id::number(id), out);
    }

    /// Something that firmware does beside mining.
    pub(super) fn fidget(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        match random.below(6) {
            0 => {
                let wish = 2_f64.powf(random.between(-30.0, -24.0));
                self.ask(Asked::Other, &Request::SuggestDifficulty(wish), out);
            }
            1 => self.ask(Asked::Other, &Request::Ping, out),
            2 => self.ask(Asked::Other, &Request::ExtranonceSubscribe, out),
            3 => self.ask(Asked::Other, &Request::GetTransactions, out),
            4 if self.side.authorized => self.subscribe(out),
            _ => {
                let id = self.take_id(Asked::Other);
                let line =
                    format!("{{\"id\":{id},\"method\":\"mining.dance\",\"params\":{{}}}}\r\n");
                out.extend_from_slice(line.as_bytes());
            }
        }
    }

    fn configures(&self) -> bool {
        let asks = self.habits.asks_for_extranonce == AsksForExtranonce::InConfigure;
        asks || self.habits.mask.is_some()
    }

    fn configure(&mut self, out: &mut Vec<u8>) {
        if !self.configures() {
            return;
        }
        let rolling = self.habits.mask.map(|mask| VersionRolling {
            mask,
            min_bit_count: 2,
        });
        let configure = Configure {
            version_rolling: rolling,
            subscribe_extranonce: self.habits.asks_for_extranonce == AsksForExtranonce::InConfigure,
            ..Configure::default()
        };
        self.ask(
            Asked::Configure,
            &Request::Configure(Box::new(configure)),
            out,
        );
    }

    fn ask_for_extranonce(&mut self, out: &mut Vec<u8>) {
        if self.habits.asks_for_extranonce == AsksForExtranonce::ByRequest {
            self.ask(Asked::Other, &Request::ExtranonceSubscribe, out);
        }
    }

    fn subscribe(&mut self, out: &mut Vec<u8>) {
        let subscribe = Subscribe {
            user_agent: Some(self.habits.agent.name.into()),
            session_id: self.session.clone().filter(|_| self.habits.resumes),
        };
        self.ask(Asked::Subscribe, &Request::Subscribe(subscribe), out);
    }

    fn authorize(&mut self, out: &mut Vec<u8>) {
        for user in self.workers.clone() {
            let authorize = Request::Authorize {
                user,
                password: Some(self.habits.password.into()),
            };
            self.ask(Asked::Authorize, &authorize, out);
        }
    }

    fn ask(&mut self, asked: Asked, request: &Request, out: &mut Vec<u8>) {
        let id = self.take_id(asked);
        request.encode_into(&Id::number(id), out);
    }

    fn take_id(&mut self, asked: Asked) -> u64 {
        self.side.next_id += 1;
        self.side.asked.push_back((self.side.next_id, asked));
        self.side.next_id
    }
}
