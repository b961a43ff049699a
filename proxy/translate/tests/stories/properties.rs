//! Whatever miners and upstreams say, in whatever order: no panic, and what the bench checks at every step holds.

use proptest::prelude::*;
use sv2::frame::Header;
use sv2::message::Message;
use sv2::messages::common::{Reconnect, SetupConnectionError, SetupConnectionSuccess};
use sv2::messages::mining::{
    CloseChannel, OpenExtendedMiningChannelSuccess, OpenMiningChannelError, SetExtranoncePrefix,
    SetGroupChannel, SetTarget, SubmitSharesError, SubmitSharesSuccess, UpdateChannelError,
};
use sv2::types::{B0_32, ChannelId, ExtensionType, RequestId, SequenceNumber, Str0_255, U24, U256};
use translate::Config;

use crate::bench::{
    AUTHORIZE, Bench, CONFIGURE, SUBSCRIBE, config, extensions_success, job, prev_hash,
    setup_success, upstream,
};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Connect,
    Leave(usize),
    Line(usize, Vec<u8>),
    Mine(usize),
    /// The pool opens a channel with so many bytes of extranonce, and deals a job.
    Open(usize, u16),
    Tell(usize, Message),
    Lose(usize),
    /// The pool stops to give signs of life, or begins again.
    Hang(usize, bool),
    Wait(f64),
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>().prop_map(|number| format!("{number:e}")),
        any::<i64>().prop_map(|number| number.to_string()),
        (-80..80_i32).prop_map(|power| format!("{:e}", 2_f64.powi(power))),
    ]
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u32>().prop_map(|id| id.to_string()),
        Just("null".to_owned()),
        "\"[a-z]{0,8}\"",
        Just("true".to_owned()),
        Just("[1]".to_owned()),
    ]
}

/// A request with the parameters of another, of none, or of itself.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let method = prop::sample::select(vec![
        "mining.configure",
        "mining.subscribe",
        "mining.authorize",
        "mining.submit",
        "mining.suggest_difficulty",
        "mining.suggest_target",
        "mining.extranonce.subscribe",
        "mining.multi_version",
        "mining.get_transactions",
        "mining.ping",
        "client.get_version",
        "pong",
    ]);
    let params = prop_oneof![
        number().prop_map(|number| format!("[{number}]")),
        number().prop_map(|number| format!(
            r#"[["minimum-difficulty","version-rolling"],{{"minimum-difficulty.value":{number},"version-rolling.mask":"1fffe000"}}]"#
        )),
        (0..9_u32, 0..6_usize, any::<u32>(), any::<Option<u32>>()).prop_map(|(job, length, nonce, bits)| {
            let bits = bits.map(|bits| format!(r#","{bits:08x}""#)).unwrap_or_default();
            let extranonce2 = "5a".repeat(length);
            format!(r#"["farm.rig","{job:x}","{extranonce2}","6553f102","{nonce:08x}"{bits}]"#)
        }),
        "\\[\"[a-z.]{0,9}\",\"[a-f0-9]{0,64}\"\\]",
        Just(r#"["farm.rig","x"]"#.to_owned()),
        Just("{}".to_owned()),
        Just("null".to_owned()),
    ];
    (id(), method, params).prop_map(|(id, method, params)| {
        format!(r#"{{"id":{id},"method":"{method}","params":{params}}}"#).into_bytes()
    })
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(vec![CONFIGURE, SUBSCRIBE, AUTHORIZE]).prop_map(|line| line.as_bytes().to_vec()),
        8 => request(),
        1 => (request(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut line, place, byte)| {
            let place = place.index(line.len());
            line[place] = byte;
            line
        }),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ]
}

fn channel() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![100, 100, 100, 101, 101, 1, 1, 2, 0, u32::MAX])
}

fn text() -> impl Strategy<Value = Str0_255> {
    "[ -~]{0,20}".prop_map(|text| Str0_255::truncated(&text))
}

/// A message that a server may send, with likely and unlikely numbers.
fn likely_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        4 => (channel(), 0..6_u32, any::<bool>(), any::<bool>()).prop_map(|(channel, id, future, rolling)| {
            let mut job = job(channel, id, (!future).then_some(1_700_000_000 + id));
            job.version_rolling_allowed = rolling;
            job.into()
        }),
        3 => (channel(), 0..6_u32, 0..4_u32, any::<Option<u32>>(), any::<bool>()).prop_map(|(channel, job, block, nbits, late)| {
            let mut message = prev_hash(channel, job, block);
            message.nbits = nbits.unwrap_or(message.nbits);
            message.min_ntime = if late { u32::MAX - 20 } else { message.min_ntime };
            message.into()
        }),
        1 => (channel(), any::<[u8; 32]>()).prop_map(|(channel, target)| Message::from(SetTarget {
            channel_id: ChannelId(channel),
            maximum_target: U256(target),
        })),
        1 => (channel(), prop::collection::vec(any::<u8>(), 0..=32)).prop_map(|(channel, prefix)| Message::from(SetExtranoncePrefix {
            channel_id: ChannelId(channel),
            extranonce_prefix: B0_32::new(&prefix).unwrap(),
        })),
        1 => (channel(), channel()).prop_map(|(group, channel)| Message::from(SetGroupChannel {
            group_channel_id: ChannelId(group),
            channel_ids: vec![ChannelId(channel)].try_into().unwrap(),
        })),
        1 => (channel(), any::<u32>(), any::<u32>(), any::<u64>()).prop_map(|(channel, last, count, sum)| Message::from(SubmitSharesSuccess {
            channel_id: ChannelId(channel),
            last_sequence_number: SequenceNumber(last),
            new_submits_accepted_count: count,
            new_shares_sum: sum,
        })),
        1 => (channel(), 0..9_u32, text()).prop_map(|(channel, number, error_code)| Message::from(SubmitSharesError {
            channel_id: ChannelId(channel),
            sequence_number: SequenceNumber(number),
            error_code,
        })),
        1 => (channel(), text()).prop_map(|(channel, reason_code)| Message::from(CloseChannel {
            channel_id: ChannelId(channel),
            reason_code,
        })),
        1 => (channel(), any::<[u8; 32]>(), 0..40_u16, channel()).prop_map(|(channel, target, size, group)| Message::from(OpenExtendedMiningChannelSuccess {
            request_id: RequestId(1),
            channel_id: ChannelId(channel),
            target: U256(target),
            extranonce_size: size,
            extranonce_prefix: B0_32::new(&[0xee; 6]).unwrap(),
            group_channel_id: ChannelId(group),
        })),
        1 => (any::<u32>(), prop_oneof![text(), Just(Str0_255::truncated("min-extranonce-size-too-large"))]).prop_map(|(id, error_code)| Message::from(OpenMiningChannelError {
            request_id: RequestId(id),
            error_code,
        })),
        1 => (channel(), text()).prop_map(|(channel, error_code)| Message::from(UpdateChannelError {
            channel_id: ChannelId(channel),
            error_code,
        })),
        1 => (text(), any::<u16>()).prop_map(|(new_host, new_port)| Message::from(Reconnect { new_host, new_port })),
        1 => (0..4_u16, any::<u32>()).prop_map(|(used_version, flags)| Message::from(SetupConnectionSuccess { used_version, flags })),
        1 => (any::<u32>(), text()).prop_map(|(flags, error_code)| Message::from(SetupConnectionError { flags, error_code })),
        1 => Just(setup_success().into()),
        1 => Just(extensions_success().into()),
    ]
}

/// Any message of any subprotocol whose fields are whatever bytes make them.
fn any_message() -> impl Strategy<Value = Message> {
    let payload = prop::collection::vec(prop_oneof![3 => 0..3_u8, 1 => any::<u8>()], 0..300);
    (0..3_u16, any::<u8>(), payload).prop_filter_map(
        "no message",
        |(extension, msg_type, payload)| {
            let header = Header {
                extension_type: ExtensionType(extension),
                channel_msg: false,
                msg_type,
                msg_length: U24::new(u32::try_from(payload.len()).unwrap()).unwrap(),
            };
            Message::decode_payload(header, &payload)
                .ok()
                .map(|received| received.message)
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Connect),
        1 => (0..8_usize).prop_map(Step::Leave),
        20 => (0..8_usize, line()).prop_map(|(rig, line)| Step::Line(rig, line)),
        3 => (0..8_usize).prop_map(Step::Mine),
        3 => (0..2_usize, prop_oneof![Just(8_u16), 5..17_u16]).prop_map(|(pool, size)| Step::Open(pool, size)),
        10 => (0..2_usize, likely_message()).prop_map(|(pool, message)| Step::Tell(pool, message)),
        2 => (0..2_usize, any_message()).prop_map(|(pool, message)| Step::Tell(pool, message)),
        1 => (0..2_usize).prop_map(Step::Lose),
        1 => (0..2_usize, any::<bool>()).prop_map(|(pool, hangs)| Step::Hang(pool, hangs)),
        4 => prop_oneof![0.0..3.0, 0.0..100.0].prop_map(Step::Wait),
    ]
}

/// The space that a slot before four bytes of extranonce2 stands for: zeros before it make no difference.
fn space(slot: &[u8]) -> u32 {
    slot.iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// A farm that tells of what does not hold.
struct Farm {
    bench: Bench,
    left: Vec<usize>,
}

impl Farm {
    fn new() -> Self {
        let upstreams = vec![upstream("primary", 0), upstream("backup", 1)];
        let mut config = Config {
            upstreams,
            max_miners: 6,
            ..config()
        };
        config.difficulty.vardiff = true;
        Self {
            bench: Bench::new(config),
            left: Vec::new(),
        }
    }

    /// Finds a live rig by any number.
    fn rig(&self, number: usize) -> Option<usize> {
        let live = |rig: &usize| self.bench.closed(*rig).is_none() && !self.left.contains(rig);
        let live: Vec<_> = (0..self.bench.rigs.len()).filter(live).collect();
        live.get(number.checked_rem(live.len())?).copied()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Connect => drop(self.bench.try_connect()),
            Step::Leave(number) => {
                if let Some(rig) = self.rig(number) {
                    self.bench.leave(rig);
                    self.left.push(rig);
                }
            }
            Step::Line(number, line) => {
                if let Some(rig) = self.rig(number) {
                    self.bench.say_bytes(rig, &line);
                }
            }
            Step::Mine(number) => self.mine(number),
            Step::Open(pool, size) => {
                if self.bench.pools[pool].dialled && self.bench.sent(pool).is_empty() {
                    self.bench.pools[pool].extranonce_size = size;
                    self.bench.open(pool);
                    self.bench.deal_block(pool, 1);
                }
            }
            Step::Tell(pool, message) => self.bench.tell(pool, message),
            Step::Lose(pool) => {
                if self.bench.pools[pool].dialled {
                    self.bench.lose(pool, "connection lost");
                }
            }
            Step::Hang(pool, hangs) => self.bench.pools[pool].hangs = hangs,
            Step::Wait(seconds) => self.bench.wait(seconds),
        }
    }

    fn mine(&mut self, number: usize) {
        let Some(rig) = self.rig(number) else { return };
        let mines = !self.bench.rigs[rig].notified.is_empty();
        if mines && self.bench.rigs[rig].difficulty < 1e-5 {
            let reply = self.bench.mine(rig);
            assert!(reply.starts_with(r#"{"id":9,"#), "{reply}");
        }
    }

    /// What must hold after every step.
    fn check(&self) {
        let live: Vec<_> = (0..self.bench.rigs.len())
            .filter(|rig| self.bench.closed(*rig).is_none() && !self.left.contains(rig))
            .collect();
        let slots: Vec<_> = live
            .iter()
            .map(|rig| &self.bench.rigs[*rig].extranonce1)
            .filter(|slot| !slot.is_empty())
            .collect();
        let spaces: std::collections::HashSet<_> = slots.iter().map(|slot| space(slot)).collect();
        assert_eq!(spaces.len(), slots.len(), "two miners in one space");
        assert!(live.iter().all(|rig| self.bench.rigs[*rig].is_settled()));
        let statistics = self.bench.statistics();
        assert_eq!(statistics.miners, live.len() as u64);
        let answered: u64 = statistics.shares_rejected.values().sum();
        assert_eq!(
            statistics.shares_accepted + answered,
            statistics.shares_submitted
        );
        for upstream in &statistics.upstreams {
            let rejected: u64 = upstream.shares_rejected.values().sum();
            let answered = upstream.shares_accepted + rejected + upstream.shares_unanswered;
            assert_eq!(
                answered + upstream.shares_pending,
                upstream.shares_sent,
                "{upstream:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_200_lines_are_answered_in_order_and_nothing_comes_too_early(
        lines in prop::collection::vec((0..3_usize, line()), 0..200)
    ) {
        let mut farm = Farm::new();
        farm.bench.open(0);
        farm.bench.deal_block(0, 1);
        for _ in 0..3 {
            farm.bench.connect();
        }
        for (rig, line) in lines {
            if farm.bench.closed(rig).is_none() {
                farm.bench.say_bytes(rig, &line);
                farm.check();
            }
        }
    }

    #[test]
    fn any_200_things_that_happen_leave_the_farm_in_order(
        steps in prop::collection::vec(step(), 0..200)
    ) {
        let mut farm = Farm::new();
        for step in steps {
            farm.take(step);
            farm.check();
        }
    }

    #[test]
    fn any_100_messages_to_an_open_channel_do_not_panic(
        messages in prop::collection::vec(prop_oneof![likely_message(), any_message()], 0..100)
    ) {
        let mut farm = Farm::new();
        farm.bench.open(0);
        farm.bench.deal_block(0, 1);
        farm.bench.start_miner("farm.rig");
        for message in messages {
            if !farm.bench.pools[0].dialled {
                farm.bench.wait(61.0);
                farm.bench.open(0);
                farm.bench.deal_block(0, 1);
            }
            farm.bench.tell(0, message);
            farm.check();
        }
    }
}
