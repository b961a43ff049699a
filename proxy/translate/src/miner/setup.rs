//! Every request but `mining.submit`: configure, subscribe, authorize in any order and number, and the rest that
//! firmware is known to send.

use sv1::{
    Configure, ConfigureReply, Extranonce1, RejectCode, Request, Subscribe, SubscribeReply, reply,
};
use sv2::bitcoin::{Difficulty, Target, VersionMask};

use super::start::PasswordWish;
use super::{MAX_USER, MAX_WORKERS, Miner, Outcome, Reply, Subscription, Worker};
use crate::config::Config;
use crate::firmware::Firmware;
use crate::session::Opened;

/// Answer to `client.get_version`.
const VERSION: &str = concat!("millrace/", env!("CARGO_PKG_VERSION"));

impl Miner {
    /// Answers a request other than a share. `open_session` is called for the first subscribe, with the session that
    /// the miner asks for; it gives `None` where no slot is left.
    pub(crate) fn handle_setup(
        &mut self,
        request: Request,
        config: &Config,
        open_session: impl FnOnce(Option<&str>) -> Option<Opened>,
        reply: Reply<'_>,
    ) -> Outcome {
        match request {
            Request::Configure(configure) => self.configure(&configure, config, reply),
            Request::Subscribe(subscribe) => self.subscribe(subscribe, open_session, reply),
            Request::Authorize { user, password } => {
                self.authorize(user, password.as_deref(), reply)
            }
            Request::SuggestDifficulty(wish) => match Difficulty::new(wish) {
                Ok(wish) => self.suggest(wish, reply),
                Err(error) => refuse(reply, &error.to_string()),
            },
            Request::ExtranonceSubscribe => {
                self.asked_for_extranonce = true;
                done(reply)
            }
            Request::SuggestTarget(target) => {
                let wish = Target::from_be_bytes(target).difficulty();
                self.suggest(wish, reply)
            }
            Request::MultiVersion(_) => done(reply),
            Request::GetTransactions => {
                reply::result_empty(reply.out, reply.id);
                Outcome::Done
            }
            Request::Ping => {
                reply::result_pong(reply.out, reply.id);
                Outcome::Done
            }
            Request::GetVersion => {
                reply::result_text(reply.out, reply.id, VERSION);
                Outcome::Done
            }
            Request::Unknown { method } => {
                let words = format!("method {method:?} is not known here");
                reply::error(reply.out, reply.id, RejectCode::MethodNotFound, &words);
                Outcome::Done
            }
            // Shares are judged by the translator, which knows the jobs.
            Request::Submit(_) => refuse(reply, "not a set-up request"),
        }
    }

    /// BIP-0310: grants what both sides want of version rolling, and the miner's floor unless it is above what any
    /// miner gets.
    ///
    /// Where the operator allows no rolling at all, the reply grants it all the same and the mask that is announced
    /// with the first job takes it back: cgminer drops the connection over a reply without a mask, for
    /// ever, and ESP-Miner drops such a reply and goes on rolling.
    fn configure(&mut self, configure: &Configure, config: &Config, reply: Reply<'_>) -> Outcome {
        let offered = match config.version_mask {
            VersionMask::NONE => VersionMask::BIP_0320,
            mask => mask,
        };
        let mut granted = ConfigureReply::granting(configure, offered.bits());
        let minimum = configure.minimum_difficulty.map(Difficulty::new);
        let minimum = minimum.and_then(Result::ok).map(ceil_power_of_two);
        let too_high = minimum.is_some_and(|minimum| minimum > self.listener.difficulty.most());
        if too_high {
            granted.minimum_difficulty = Some(false);
        }
        granted.encode_into(reply.id, reply.out);
        self.asked_for_extranonce |= configure.subscribe_extranonce;
        if let Some(mask) = granted.version_rolling {
            let mask = Some(VersionMask::new(mask)).filter(|mask| *mask != VersionMask::NONE);
            self.version_mask = mask.map(|mask| mask.intersection(config.version_mask));
            let offer = configure.version_rolling.filter(|_| mask.is_some());
            self.rollable = offer.map(|offer| VersionMask::new(offer.mask));
            (self.announced_mask, self.former_mask) = (None, None);
            if let Some(past) = &mut self.past {
                past.version_mask = None;
            }
        }
        match minimum {
            Some(minimum) if !too_high => {
                self.minimum = Some(minimum);
                match minimum > self.assigned.difficulty() {
                    true => self.wish(minimum),
                    false => Outcome::Done,
                }
            }
            _ => Outcome::Done,
        }
    }

    /// A second subscribe gets the same slot and session: the miner started over on its side, so it is told its mask
    /// and difficulty anew.
    fn subscribe(
        &mut self,
        subscribe: Subscribe,
        open_session: impl FnOnce(Option<&str>) -> Option<Opened>,
        reply: Reply<'_>,
    ) -> Outcome {
        let again = self.subscription.is_some();
        let user_agent = subscribe.user_agent.unwrap_or_default();
        if self.subscription.is_none() {
            let Some(Opened { session, past }) = open_session(subscribe.session_id.as_deref())
            else {
                return refuse(reply, "no extranonce is left for another miner");
            };
            if let Some(past) = past {
                self.resume(past);
            }
            self.subscription = Some(Subscription {
                session,
                former: None,
                firmware: Firmware::of(&user_agent),
                user_agent,
            });
            // It has no work yet, and only now it is known what is too easy for it.
            let difficulty = self.clamp(self.assigned.difficulty());
            self.assigned.start_at(difficulty);
        }
        let Some(subscription) = &self.subscription else {
            return Outcome::Done;
        };
        let session = &subscription.session;
        let subscribed = SubscribeReply {
            session_id: (*session.id).into(),
            extranonce1: Extranonce1::new(session.slot.as_bytes()).unwrap_or_default(),
            extranonce2_size: session.slot.layout().extranonce2_size(),
        };
        subscribed.encode_into(reply.id, reply.out);
        match (self.is_mining(), again) {
            (true, false) => Outcome::Ready,
            (true, true) => Outcome::StartsOver,
            (false, _) => Outcome::Done,
        }
    }

    /// Any name is welcome: the pool pays the account of the channel, the name tells machines apart.
    fn authorize(&mut self, user: Box<str>, password: Option<&str>, reply: Reply<'_>) -> Outcome {
        let was_mining = self.is_mining();
        if user.len() > MAX_USER {
            return refuse(reply, "the user name is longer than 255 bytes");
        }
        if !self.workers.iter().any(|worker| worker.name == user) {
            if self.workers.len() >= MAX_WORKERS {
                return refuse(reply, "too many workers on one connection");
            }
            self.workers.push(Worker {
                identity: self.listener.user.identity(&user, self.peer),
                name: user,
            });
        }
        reply::result_true(reply.out, reply.id);
        let asked = password.and_then(PasswordWish::of);
        let news = asked.filter(|_| asked != self.password_wish);
        if let Some(wish) = news {
            self.password_wish = asked;
            self.asks(wish.difficulty());
        }
        match news {
            _ if self.is_mining() && !was_mining => Outcome::Ready,
            Some(wish) if was_mining => self.wish(wish.difficulty()),
            _ => Outcome::Done,
        }
    }

    /// Some firmware repeats its wish every half minute; only a new one counts.
    fn suggest(&mut self, wish: Difficulty, reply: Reply<'_>) -> Outcome {
        reply::result_true(reply.out, reply.id);
        if self.suggested == Some(wish) {
            return Outcome::Done;
        }
        self.asks(wish);
        let first = self.outranks_suggestion();
        self.suggested = Some(wish);
        self.wish(first.unwrap_or(wish))
    }

    /// Grants one wish between two looks at all miners; of more the last waits for the next look. So nobody gets a
    /// notify for each of its requests.
    fn wish(&mut self, wish: Difficulty) -> Outcome {
        if self.wish_granted && self.is_mining() {
            self.waiting_wish = Some(wish);
            return Outcome::Done;
        }
        self.wish_granted = self.is_mining();
        Outcome::Wishes(wish)
    }

    /// Forgets what the miner was told.
    pub(crate) fn start_over(&mut self) {
        self.announced_mask = None;
        self.assigned.start_over();
    }
}

fn done(reply: Reply<'_>) -> Outcome {
    reply::result_true(reply.out, reply.id);
    Outcome::Done
}

fn refuse(reply: Reply<'_>, words: &str) -> Outcome {
    reply::error(reply.out, reply.id, RejectCode::Other, words);
    Outcome::Done
}

/// A floor is a promise, so it is rounded up where everything else is rounded down.
fn ceil_power_of_two(difficulty: Difficulty) -> Difficulty {
    let floor = difficulty.floor_power_of_two();
    match floor == difficulty {
        true => floor,
        false => Difficulty::new(floor.to_f64() * 2.0).unwrap_or(floor),
    }
}
