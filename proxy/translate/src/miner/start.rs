//! The difficulty that a miner starts with. In this order: the worker's last known one, `d=` in the password,
//! mining.suggest_difficulty or mining.suggest_target or minimum-difficulty, the listener's start, else measuring.

use sv2::bitcoin::Difficulty;

use super::Miner;
use crate::ceiling;
use crate::config::DifficultyPolicy;
use crate::firmware::Firmware;

/// What a password asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum PasswordWish {
    /// `d=1024` or `diff=1024`: a start.
    Start(Difficulty),
    /// `fd=1024`: this and no other, whatever is measured.
    Fixed(Difficulty),
}

impl PasswordWish {
    /// Reads `key=value` between commas, semicolons or spaces; the last one counts and whatever else there is does not.
    pub(crate) fn of(password: &str) -> Option<Self> {
        let items = password.split([',', ';', ' ']);
        items.rev().find_map(|item| {
            let (key, value) = item.split_once('=')?;
            let value = Difficulty::new(value.trim().parse().ok()?).ok()?;
            match key.trim().to_ascii_lowercase().as_str() {
                "d" | "diff" => Some(Self::Start(value)),
                "fd" => Some(Self::Fixed(value)),
                _ => None,
            }
        })
    }

    pub(crate) fn difficulty(self) -> Difficulty {
        match self {
            Self::Start(difficulty) | Self::Fixed(difficulty) => difficulty,
        }
    }
}

impl Miner {
    /// Brings a difficulty within the operator's bounds, the miner's own floor and its firmware's.
    pub(crate) fn clamp(&self, wish: Difficulty) -> Difficulty {
        let policy = &self.listener.difficulty;
        let policy = DifficultyPolicy {
            min: match self.asks_fractions {
                true => policy.min.min(policy.asked_min),
                false => policy.min,
            },
            ..*policy
        };
        let least = self.firmware().and_then(Firmware::least_difficulty);
        [self.minimum, least]
            .into_iter()
            .flatten()
            .fold(policy.clamp(wish), Difficulty::max)
    }

    /// Notes that the miner itself asks for a difficulty: who asks for a fraction understands fractions.
    pub(super) fn asks(&mut self, wish: Difficulty) {
        self.asks_fractions |= wish < self.listener.difficulty.min;
    }

    /// Tells whether the difficulty follows what is measured.
    pub(crate) fn follows_measure(&self) -> bool {
        let fixed = matches!(self.password_wish, Some(PasswordWish::Fixed(_)));
        self.listener.difficulty.vardiff && !fixed
    }

    /// Gives the start of a miner whose worker had `known` before; `None` leaves what it asked for or the listener's.
    pub(crate) fn start(&mut self, known: Option<Difficulty>) -> Option<Difficulty> {
        self.known = known.filter(|_| self.follows_measure());
        let wish = self
            .known
            .or_else(|| self.password_wish.map(PasswordWish::difficulty));
        wish.map(|wish| self.clamp(wish))
    }

    /// Brings a start down to what the pool pays at, unless the miner asked for it or would flood; the rest waits.
    pub(crate) fn lower_start(&mut self, ceiling: Difficulty) {
        let start = self.assigned.difficulty();
        let asked = self.password_wish.is_some() || self.suggested.is_some();
        let capped = self.clamp(ceiling.min(start));
        let shares_per_minute = self.listener.difficulty.shares_per_minute;
        if capped < start
            && self.follows_measure()
            && (self.known.is_some() || !asked)
            && !ceiling::floods(start, capped, shares_per_minute)
        {
            self.assigned.start_at(capped);
            self.waiting_raise = Some(start);
        }
    }

    /// Gives the hardest difficulty that fits, though the pool's target may be too easy for it yet.
    pub(crate) fn fitting(&self) -> Difficulty {
        let current = self.assigned.difficulty();
        self.waiting_raise
            .map_or(current, |raise| raise.max(current))
    }

    /// Gives what comes before a suggestion: the first one is about the start, a later one is somebody's new mind.
    pub(super) fn outranks_suggestion(&self) -> Option<Difficulty> {
        let asked = self.password_wish.map(PasswordWish::difficulty);
        match self.password_wish {
            Some(PasswordWish::Fixed(fixed)) => Some(fixed),
            _ if self.suggested.is_none() => self.known.or(asked),
            _ => None,
        }
    }

    /// Gives the difficulty that is worth remembering of the worker.
    pub(crate) fn learnt(&self) -> Option<Difficulty> {
        let learnt = self.follows_measure() && self.meter.accepted() > 0;
        learnt.then(|| self.assigned.difficulty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(password: &str) -> Option<PasswordWish> {
        PasswordWish::of(password)
    }

    fn difficulty(value: f64) -> Difficulty {
        Difficulty::new(value).unwrap()
    }

    #[test]
    fn a_difficulty_is_found_in_any_usual_password() {
        let start = Some(PasswordWish::Start(difficulty(1_024.0)));
        for password in [
            "d=1024",
            "x,d=1024",
            "x;diff=1024",
            "D=1024 x",
            "x, d = 1024",
            "d=1,d=1024",
        ] {
            let spaced = wish(&password.replace(" = ", "="));
            assert_eq!(spaced, start, "{password}");
        }
        assert_eq!(wish("x,fd=0.5"), Some(PasswordWish::Fixed(difficulty(0.5))));
    }

    #[test]
    fn any_other_password_asks_for_nothing() {
        for password in [
            "", "x", "d=", "d=x", "d=0", "d=-1", "d=nan", "d=inf", "id=5", "d", "=", "d=1024x",
        ] {
            assert_eq!(wish(password), None, "{password}");
        }
    }
}
