//! Firmware that needs an answer of its own: one table, keyed by what a miner says of itself in SV1 mining.subscribe.
//!
//! Nearly everything that one firmware needs is right for all, and is simply done. What stands here is the rest: a
//! column for each fact that an answer depends on, and its source. A row without such a fact names the machine to the
//! operator. Nothing else in the crate asks for a firmware by name.

use sv2::bitcoin::Difficulty;

/// A family of firmware, and where it differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// Its name for the operator.
    pub name: &'static str,
    /// What tells it in its user agent, in either case; empty where no user agent of it is known.
    pub marks: &'static [Mark],
    /// The difficulty below which it does not work at all: 1 where it reads a whole number or divides by one. It
    /// outweighs everyone's wish and the operator's bounds.
    pub least_difficulty: Option<u32>,
    /// Whether it takes SV1 mining.set_extranonce without having asked for it.
    pub set_extranonce: bool,
    /// What it does on SV1 client.reconnect.
    pub reconnect: ReconnectForm,
    /// Where these facts are from.
    pub source: &'static str,
}

/// What tells a firmware in a user agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The user agent begins so.
    Begins(&'static str),
    /// The user agent contains this anywhere.
    Contains(&'static str),
}

/// What a firmware needs in SV1 client.reconnect to dial the same place again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconnectForm {
    /// Empty parameters. Also where nothing is known: it is the form that most take.
    Empty,
    /// Host and port, both.
    HostAndPort,
    /// Nothing helps: it does not know the method.
    Ignored,
}

/// A row without any difference.
const USUAL: Firmware = Firmware {
    name: "",
    marks: &[],
    least_difficulty: None,
    set_extranonce: false,
    reconnect: ReconnectForm::Empty,
    source: "",
};

impl Firmware {
    /// Every firmware that we know of. The first row that a user agent fits counts: LuxOS and BraiinsOS may name the
    /// machine before themselves.
    pub const TABLE: &[Self] = &[
        Self {
            name: "BraiinsOS",
            marks: &[Mark::Contains("bosminer")],
            least_difficulty: Some(1),
            set_extranonce: true,
            source: "user agent: ckstats-lhr normalizeUserAgent.test.ts, DATUM Gateway datum_stratum.c; \
                     casts the difficulty to an integer and divides by it (inferred)",
            ..USUAL
        },
        Self {
            name: "LuxOS",
            marks: &[Mark::Contains("LUXminer")],
            source: "user agent: ckstats-lhr normalizeUserAgent.test.ts",
            ..USUAL
        },
        Self {
            name: "VNish",
            marks: &[Mark::Begins("xminer-")],
            source: "user agent: DATUM Gateway datum_stratum.c; asks for set_extranonce in configure",
            ..USUAL
        },
        Self {
            name: "Antminer S9",
            marks: &[Mark::Begins("bmminer/")],
            source: "user agent and reconnect: bmminer 2.0, of cgminer's util.c",
            ..USUAL
        },
        Self {
            name: "Antminer",
            marks: &[Mark::Begins("Antminer")],
            least_difficulty: Some(1),
            source: "user agent: ckstats-lhr normalizeUserAgent.test.ts, DATUM Gateway datum_stratum.c; \
                     is to be sent whole powers of two",
            ..USUAL
        },
        Self {
            name: "Whatsminer",
            marks: &[Mark::Begins("whatsminer/")],
            source: "user agent: DATUM Gateway datum_stratum.c",
            ..USUAL
        },
        Self {
            name: "Bitaxe",
            marks: &[Mark::Begins("bitaxe")],
            set_extranonce: true,
            source: "ESP-Miner stratum_api.c, stratum_v1_task.c: dials its own place whatever reconnect says; drops a \
                     configure reply that grants no rolling and keeps its mask, but takes mining.set_version_mask",
            ..USUAL
        },
        Self {
            name: "NerdQAxe+",
            marks: &[
                Mark::Begins("NerdQAxe"),
                Mark::Begins("NerdAxe"),
                Mark::Begins("NerdOCTAXE"),
                Mark::Begins("NerdQX"),
            ],
            least_difficulty: Some(1),
            set_extranonce: true,
            source: "ESP-Miner-NerdQAxePlus stratum_api.cpp: reads the difficulty as an unsigned integer; \
                     user agents: ckstats-lhr normalizeUserAgent.test.ts",
            ..USUAL
        },
        Self {
            name: "NerdMiner v2",
            marks: &[Mark::Begins("NerdMinerV2"), Mark::Begins("HAN_SOLOminer")],
            reconnect: ReconnectForm::Ignored,
            source: "NerdMiner_v2 stratum.cpp",
            ..USUAL
        },
        Self {
            name: "cpuminer",
            marks: &[Mark::Begins("cpuminer")],
            reconnect: ReconnectForm::HostAndPort,
            source: "pooler's cpuminer util.c: stratum_reconnect needs both",
            ..USUAL
        },
        Self {
            name: "NiceHash",
            marks: &[Mark::Begins("NiceHash/")],
            least_difficulty: Some(524_288),
            source: "DATUM Gateway datum_stratum.c: leaves a pool with a lower difficulty",
            ..USUAL
        },
        Self {
            name: "MiningRigRentals",
            marks: &[Mark::Begins("MRR-"), Mark::Begins("MiningRigRentals")],
            source: "user agents: ckstats-lhr normalizeUserAgent.test.ts",
            ..USUAL
        },
        Self {
            name: "FutureBit Apollo",
            source: "no user agent of it is known",
            ..USUAL
        },
        // Last, because others are built on it and may say so.
        Self {
            name: "cgminer",
            marks: &[Mark::Begins("cgminer/")],
            source: "cgminer 4.11 util.c: parse_reconnect takes empty parameters, and a host of its own domain",
            ..USUAL
        },
    ];

    /// Recognises a firmware by what it says of itself.
    #[must_use]
    pub fn of(user_agent: &str) -> Option<&'static Self> {
        Self::TABLE
            .iter()
            .find(|row| row.marks.iter().any(|mark| mark.is_in(user_agent)))
    }

    pub(crate) fn least_difficulty(&self) -> Option<Difficulty> {
        Difficulty::new(self.least_difficulty?.into()).ok()
    }
}

impl Mark {
    fn is_in(self, user_agent: &str) -> bool {
        let agent = user_agent.as_bytes();
        match self {
            Self::Begins(mark) => agent
                .get(..mark.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(mark.as_bytes())),
            Self::Contains(mark) => agent
                .windows(mark.len())
                .any(|part| part.eq_ignore_ascii_case(mark.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(user_agent: &str) -> Option<&'static str> {
        Firmware::of(user_agent).map(|row| row.name)
    }

    #[test]
    fn user_agents_that_were_seen_are_recognised() {
        for (user_agent, expected) in [
            ("cgminer/4.11.1", "cgminer"),
            ("bmminer/2.0.0/Antminer S9/14000", "Antminer S9"),
            ("Antminer S21/Fri Feb  2 17:03:40 CST 2024", "Antminer"),
            ("Antminer T21", "Antminer"),
            (
                "2026-02-13-0-db69f9bc-26.01-plus;bosminer-plus-tuner 0.9.0-db69f9bc",
                "BraiinsOS",
            ),
            ("xminer-1.2.6-rc5", "VNish"),
            (
                "Antminer S19k Pro|LUXminer 2026.4.3.192353-6ab4e5077|BHB56902|",
                "LuxOS",
            ),
            ("whatsminer/v1.1", "Whatsminer"),
            ("bitaxe/BM1370/v2.13.1", "Bitaxe"),
            ("Bitaxe", "Bitaxe"),
            ("NerdQAxe++/BM1370/v1.0.36", "NerdQAxe+"),
            ("NerdOCTAXE-γ/BM1370/v1.0.36", "NerdQAxe+"),
            ("NerdMinerV2/V1.8.3", "NerdMiner v2"),
            ("cpuminer-opt-25.5-x64W", "cpuminer"),
            ("NiceHash/1.0.0", "NiceHash"),
            ("MRR-Hash/1.0.0", "MiningRigRentals"),
        ] {
            assert_eq!(name(user_agent), Some(expected), "{user_agent}");
        }
    }

    #[test]
    fn what_nobody_knows_is_nobody() {
        for user_agent in ["", "c", "cgminer", "my cgminer/4", "γγγγ", "bosmine", "/"] {
            assert_eq!(name(user_agent), None, "{user_agent}");
        }
    }

    #[test]
    fn rows_are_named_once_and_have_a_source() {
        for (index, row) in Firmware::TABLE.iter().enumerate() {
            assert!(!row.name.is_empty() && !row.source.is_empty(), "{row:?}");
            let others = Firmware::TABLE.iter().skip(index + 1);
            assert!(others.clone().all(|other| other.name != row.name));
        }
    }
}
