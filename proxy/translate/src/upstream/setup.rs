//! From the handshake to the open channel: SetupConnection, RequestExtensions, OpenExtendedMiningChannel.

use std::time::Instant;

use sv2::bitcoin::Target;
use sv2::message::Message;
use sv2::messages::common::{
    Common, MINING_PROTOCOL, PROTOCOL_VERSION, Reconnect, SetupConnection,
};
use sv2::messages::extensions::{ExtensionsNegotiation, RequestExtensions};
use sv2::messages::mining::{
    CloseChannel, Mining, OpenExtendedMiningChannel, OpenExtendedMiningChannelSuccess, setup_flags,
    setup_success_flags,
};
use sv2::tlv::WORKER_SPECIFIC_HASHRATE_TRACKING;
use sv2::types::{Seq0_64K, Str0_255, U256};

use super::channel::Terms;
use super::{Channel, Demand, EXTENSIONS_TIMEOUT, Fault, Outputs, State, Upstream, Violation};
use crate::event::Event;
use crate::layout::{Layout, Room};
use crate::output::Output;

/// Pairs the only `RequestExtensions` of a connection with its answer.
const EXTENSIONS_REQUEST: u16 = 1;

/// What refusals over `min_extranonce_size` have in common: the specification leaves the code open, the reference
/// implementation has `min-extranonce-size-too-large` and `unsupported-min-extranonce-size`. A server that has no prefix
/// left speaks of the extranonce too, and asking for less does not help there.
const EXTRANONCE_REFUSED: &str = "extranonce-size";

/// Bytes of extranonce to ask for when more is refused: four bytes of slot with eight and with four of extranonce2, then
/// two bytes of slot, with a byte to spare and without. With less, miners could not be told apart.
const EXTRANONCE_STEPS: [u16; 4] = [12, 8, 7, 6];

/// What a channel is asked for with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    pub(super) worker_names: bool,
    /// Bytes of extranonce.
    pub(super) asked: u16,
    pub(super) demand: Demand,
}

impl Upstream {
    pub(super) fn setup_connection(&self) -> SetupConnection {
        // Farms roll versions; a server that refuses the flag is asked again without it.
        let flags = match self.without_version_rolling {
            true => 0,
            false => setup_flags::REQUIRES_VERSION_ROLLING,
        };
        SetupConnection {
            protocol: MINING_PROTOCOL,
            min_version: PROTOCOL_VERSION,
            max_version: PROTOCOL_VERSION,
            flags,
            endpoint_host: Str0_255::truncated(&self.place.0),
            endpoint_port: self.place.1,
            vendor: Str0_255::truncated("Millrace"),
            hardware_version: Str0_255::truncated("translation proxy"),
            firmware: Str0_255::truncated(env!("CARGO_PKG_VERSION")),
            device_id: Str0_255::default(),
        }
    }

    /// Takes the answer to `SetupConnection`.
    pub(super) fn take_setup_answer(
        &mut self,
        now: Instant,
        message: &Message,
        demand: Demand,
        outputs: &mut Outputs,
    ) -> Result<(), Fault> {
        match message {
            Message::Common(Common::SetupConnectionSuccess(success)) => {
                if success.used_version != PROTOCOL_VERSION {
                    return Err(Fault::OtherProtocolVersion(success.used_version));
                }
                self.fixed_version =
                    success.flags & setup_success_flags::REQUIRES_FIXED_VERSION != 0;
                let without_extensions = std::mem::take(&mut self.without_extensions);
                match self.asks_worker_names && !without_extensions {
                    true => self.request_extensions(now, outputs),
                    false => self.open_channel(now, demand, false, outputs),
                }
                Ok(())
            }
            Message::Common(Common::SetupConnectionError(error)) => {
                if error.flags & setup_flags::REQUIRES_VERSION_ROLLING != 0 {
                    self.without_version_rolling = true;
                }
                Err(Fault::SetupRefused {
                    error_code: error.error_code.to_string(),
                    flags: error.flags,
                })
            }
            other => Err(unexpected(other, "SetupConnection.Success")),
        }
    }

    fn request_extensions(&mut self, now: Instant, outputs: &mut Outputs) {
        self.state = State::Negotiating {
            deadline: now + EXTENSIONS_TIMEOUT,
        };
        let wanted =
            Seq0_64K::try_from(vec![WORKER_SPECIFIC_HASHRATE_TRACKING]).unwrap_or_default();
        let message = RequestExtensions {
            request_id: EXTENSIONS_REQUEST,
            requested_extensions: wanted,
        };
        self.send(message.into(), outputs);
    }

    /// Takes the answer to `RequestExtensions`; none of it but a demand of the server's stops us.
    pub(super) fn take_extensions(
        &mut self,
        now: Instant,
        message: &Message,
        demand: Demand,
        outputs: &mut Outputs,
    ) -> Result<(), Fault> {
        let Message::ExtensionsNegotiation(answer) = message else {
            return Err(unexpected(message, "RequestExtensions.Success"));
        };
        let worker_names = match answer {
            ExtensionsNegotiation::RequestExtensionsSuccess(success) => success
                .supported_extensions
                .contains(&WORKER_SPECIFIC_HASHRATE_TRACKING),
            ExtensionsNegotiation::RequestExtensionsError(error) => {
                let unknown = error.required_extensions.iter();
                let unknown =
                    unknown.filter(|extension| **extension != WORKER_SPECIFIC_HASHRATE_TRACKING);
                let unknown: Vec<u16> = unknown.map(|extension| extension.0).collect();
                if !unknown.is_empty() {
                    return Err(Fault::ExtensionsRequired(unknown));
                }
                false
            }
            ExtensionsNegotiation::RequestExtensions(_) => false,
        };
        self.open_channel(now, demand, worker_names, outputs);
        Ok(())
    }

    pub(super) fn open_channel(
        &mut self,
        now: Instant,
        demand: Demand,
        worker_names: bool,
        outputs: &mut Outputs,
    ) {
        let opening = Opening {
            worker_names,
            asked: self.layout.size(),
            demand,
        };
        self.ask_for_channel(now, opening, outputs);
    }

    fn ask_for_channel(&mut self, now: Instant, opening: Opening, outputs: &mut Outputs) {
        let Opening {
            worker_names,
            asked,
            demand,
        } = opening;
        self.state = State::Opening {
            deadline: now + self.setup_timeout,
            worker_names,
            asked,
        };
        let message = OpenExtendedMiningChannel {
            request_id: self.next_request(),
            user_identity: Str0_255::truncated(&self.config.user),
            nominal_hash_rate: demand.hashrate.to_f32(),
            max_target: U256(demand.max_target.to_le_bytes()),
            min_extranonce_size: asked,
        };
        self.send(message.into(), outputs);
    }

    /// Takes the answer to `OpenExtendedMiningChannel`.
    pub(super) fn take_open_answer(
        &mut self,
        now: Instant,
        message: Message,
        opening: Opening,
        outputs: &mut Outputs,
    ) -> Result<(), Fault> {
        match message {
            Message::Mining(Mining::OpenExtendedMiningChannelSuccess(success)) => {
                self.channel_opened(now, &success, opening, outputs)
            }
            Message::Mining(Mining::OpenMiningChannelError(error)) => {
                self.ask_for_less(now, error.error_code.to_string(), opening, outputs)
            }
            // The answer to RequestExtensions came after its time.
            Message::ExtensionsNegotiation(_) => Ok(()),
            other => Err(unexpected(&other, "OpenExtendedMiningChannel.Success")),
        }
    }

    /// Asks for less extranonce where that is what the server refused. One that refuses what it would give all the same
    /// is understood this way; of the others the operator learns how much they give.
    fn ask_for_less(
        &mut self,
        now: Instant,
        error_code: String,
        opening: Opening,
        outputs: &mut Outputs,
    ) -> Result<(), Fault> {
        if !error_code.contains(EXTRANONCE_REFUSED) {
            return Err(Fault::ChannelRefused(error_code));
        }
        let asked = opening.asked;
        let Some(less) = EXTRANONCE_STEPS.into_iter().find(|less| *less < asked) else {
            let needed = self.layout.size();
            return Err(Fault::ExtranonceRefused { asked, needed });
        };
        self.statistics.extranonce_refusals += 1;
        self.remark(
            format!("refused {asked} bytes of extranonce ({error_code}), asked for {less}"),
            outputs,
        );
        let opening = Opening {
            asked: less,
            ..opening
        };
        self.ask_for_channel(now, opening, outputs);
        Ok(())
    }

    fn channel_opened(
        &mut self,
        now: Instant,
        success: &OpenExtendedMiningChannelSuccess,
        opening: Opening,
        outputs: &mut Outputs,
    ) -> Result<(), Fault> {
        let granted = success.extranonce_size;
        let Some(room) = Room::new(granted, self.layout.extranonce2_size()) else {
            let reason_code = Str0_255::truncated("extranonce-too-small");
            self.send(
                CloseChannel {
                    channel_id: success.channel_id,
                    reason_code,
                }
                .into(),
                outputs,
            );
            let needed = Layout::NARROW.size();
            return Err(Fault::TooLittleExtranonce { granted, needed });
        };
        let room = room.for_page(self.page);
        self.warn_of_room(room, outputs);
        let terms = Terms {
            connection: self.connection(),
            room,
            worker_names: opening.worker_names,
            fixed_version: self.fixed_version,
            announced: opening.demand,
        };
        let channel = Channel::new(now, success, terms)?;
        let target = Target::from_le_bytes(success.target.0);
        self.refuses_channel = false;
        self.statistics.open = true;
        self.statistics.since = Some(now);
        self.statistics.channels_opened += 1;
        self.statistics.difficulty = target.difficulty().to_f64();
        outputs.push_back(Output::Event(Event::UpstreamReady {
            upstream: self.config.name.clone(),
            difficulty: target.difficulty(),
            extranonce_size: granted,
            worker_names: opening.worker_names,
        }));
        self.state = State::Open(Box::new(channel));
        Ok(())
    }

    /// Says beforehand what it means that the farm's channel has no room for the usual layout.
    fn warn_of_room(&self, room: Room, outputs: &mut Outputs) {
        let (size, needed) = (room.size(), self.layout.size());
        if size >= needed || self.configured != self.id {
            return;
        }
        let (slot, rolled) = (room.layout.slot_size(), room.layout.extranonce2_size());
        self.remark(
            format!(
                "gives {size} bytes of extranonce, where {needed} are wanted: new miners get {slot} bytes of \
                 extranonce1 and {rolled} of extranonce2 here; those that have more come only while no other upstream \
                 has work, and where they take no shorter one they have to connect anew"
            ),
            outputs,
        );
    }

    /// Follows `Reconnect` (SV2 §3.6.5): the body checks that the same authority signed for the new host.
    pub(super) fn reconnect(&mut self, now: Instant, reconnect: &Reconnect, outputs: &mut Outputs) {
        if self.is_waiting() || matches!(self.state, State::Dialling) {
            // It was on its way as we hung up.
            return;
        }
        let host = reconnect.new_host.to_string();
        let port = reconnect.new_port;
        self.remark(
            format!("asks us to reconnect to {host:?} port {port}"),
            outputs,
        );
        let host = match host.is_empty() {
            true => self.place.0.clone(),
            false => host,
        };
        let port = match port {
            0 => self.place.1,
            port => port,
        };
        self.fail(now, Fault::Reconnect, Some((host, port)), outputs);
    }
}

fn unexpected(message: &Message, expected: &'static str) -> Fault {
    Violation::UnexpectedMessage {
        message: message.name(),
        expected,
    }
    .into()
}
