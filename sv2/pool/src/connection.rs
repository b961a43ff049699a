//! One client: set-up, extensions, and which of its messages goes where.

mod dealing;
mod opening;
mod submitting;

use std::collections::BTreeMap;
use std::time::Instant;

use sv2::message::{Message, Received};
use sv2::messages::common::{
    Common, MINING_PROTOCOL, PROTOCOL_VERSION, SetupConnection, SetupConnectionError,
    SetupConnectionSuccess,
};
use sv2::messages::extensions::{
    ExtensionsNegotiation, RequestExtensions, RequestExtensionsError, RequestExtensionsSuccess,
};
use sv2::messages::mining::{Mining, setup_flags, setup_success_flags};
use sv2::tlv::Tlvs;
use sv2::types::{ChannelId, ExtensionType, Seq0_64K, Str0_255};

use crate::channel::Channel;
use crate::event::PoolEvent;
use crate::outbox::ConnectionId;
use crate::pool::Shared;

/// A connection and its channels.
#[derive(Debug)]
pub(crate) struct Connection {
    id: ConnectionId,
    state: State,
    next_channel_id: u32,
    /// The group of all channels here; exists from the first channel on.
    group: Option<ChannelId>,
    channels: BTreeMap<ChannelId, Channel>,
}

#[derive(Debug)]
enum State {
    Fresh,
    SetUp { extensions: Vec<ExtensionType> },
}

impl Connection {
    pub(crate) fn new(id: ConnectionId) -> Self {
        Self {
            id,
            state: State::Fresh,
            next_channel_id: 1,
            group: None,
            channels: BTreeMap::new(),
        }
    }

    pub(crate) fn is_set_up(&self) -> bool {
        matches!(self.state, State::SetUp { .. })
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.channels.values()
    }

    pub(crate) fn handle_message(&mut self, shared: &mut Shared, now: Instant, received: Received) {
        match (&mut self.state, received.message) {
            (State::Fresh, Message::Common(Common::SetupConnection(setup))) => {
                self.set_up(shared, &setup);
            }
            (State::Fresh, other) => {
                let reason = format!("{} came before SetupConnection", other.name());
                shared.outbox.disconnect(self.id, reason);
            }
            (State::SetUp { .. }, Message::Common(Common::SetupConnection(_))) => {
                let reason = "a second SetupConnection came";
                shared.outbox.disconnect(self.id, reason);
            }
            (
                State::SetUp { extensions },
                Message::ExtensionsNegotiation(ExtensionsNegotiation::RequestExtensions(request)),
            ) => {
                request_extensions(shared, self.id, extensions, &request);
            }
            (State::SetUp { .. }, Message::Mining(message)) => {
                self.handle_mining(shared, now, message, &received.tlvs);
            }
            (State::SetUp { .. }, other) => {
                log::debug!("connection {}: {} is ignored", self.id, other.name());
            }
        }
    }

    fn handle_mining(&mut self, shared: &mut Shared, now: Instant, message: Mining, tlvs: &Tlvs) {
        match message {
            Mining::OpenExtendedMiningChannel(open) => self.open_extended(shared, now, open),
            Mining::OpenStandardMiningChannel(open) => self.refuse_standard(shared, &open),
            Mining::UpdateChannel(update) => self.update_channel(shared, &update),
            Mining::CloseChannel(close) => self.close_channel(shared, &close),
            Mining::SubmitSharesExtended(share) => self.submit(shared, now, share, tlvs),
            Mining::SubmitSharesStandard(share) => self.refuse_standard_share(shared, &share),
            Mining::SetCustomMiningJob(job) => self.refuse_custom_job(shared, &job),
            other => log::debug!("connection {}: {} is ignored", self.id, other.name()),
        }
    }

    fn set_up(&mut self, shared: &mut Shared, setup: &SetupConnection) {
        if let Some(error) = setup_error(shared, setup) {
            let reason = format!("set-up refused: {}", error.error_code);
            shared.outbox.send(self.id, error);
            shared.outbox.disconnect(self.id, reason);
            return;
        }
        let mut flags = setup_success_flags::REQUIRES_EXTENDED_CHANNELS;
        if !shared.config.version_rolling_allowed {
            flags |= setup_success_flags::REQUIRES_FIXED_VERSION;
        }
        self.state = State::SetUp {
            extensions: Vec::new(),
        };
        let success = SetupConnectionSuccess {
            used_version: PROTOCOL_VERSION,
            flags,
        };
        shared.outbox.send(self.id, success);
        shared.outbox.event(|| PoolEvent::SetUp {
            connection: self.id,
            flags: setup.flags,
            vendor: setup.vendor.clone(),
        });
    }

    fn has_extension(&self, extension: ExtensionType) -> bool {
        match &self.state {
            State::SetUp { extensions } => extensions.contains(&extension),
            State::Fresh => false,
        }
    }
}

fn setup_error(shared: &Shared, setup: &SetupConnection) -> Option<SetupConnectionError> {
    let error = |flags, code: &str| {
        Some(SetupConnectionError {
            flags,
            error_code: Str0_255::truncated(code),
        })
    };
    if let Some(code) = &shared.config.faults.refuse_setup {
        return error(0, code);
    }
    if setup.protocol != MINING_PROTOCOL {
        return error(0, "unsupported-protocol");
    }
    if !(setup.min_version..=setup.max_version).contains(&PROTOCOL_VERSION) {
        return error(0, "protocol-version-mismatch");
    }
    let mut unsupported = setup_flags::REQUIRES_STANDARD_JOBS;
    if !shared.config.version_rolling_allowed {
        unsupported |= setup_flags::REQUIRES_VERSION_ROLLING;
    }
    match setup.flags & unsupported {
        0 => None,
        // The whole set of what is not supported, whatever was asked (SV2 §3.6.3).
        _ => error(unsupported, "unsupported-feature-flags"),
    }
}

fn request_extensions(
    shared: &mut Shared,
    connection: ConnectionId,
    extensions: &mut Vec<ExtensionType>,
    request: &RequestExtensions,
) {
    if shared.config.faults.silent_on_extensions {
        return;
    }
    let requested = &*request.requested_extensions;
    let supported = &shared.config.supported_extensions;
    let (granted, unsupported): (Vec<_>, Vec<_>) =
        (requested.iter().copied()).partition(|extension| supported.contains(extension));
    let missing: Vec<_> = (shared.config.required_extensions.iter().copied())
        .filter(|extension| !requested.contains(extension))
        .collect();
    let request_id = request.request_id;
    if !missing.is_empty() || (granted.is_empty() && !requested.is_empty()) {
        let error = RequestExtensionsError {
            request_id,
            unsupported_extensions: sequence(unsupported),
            required_extensions: sequence(missing),
        };
        shared.outbox.send(connection, error);
        return;
    }
    extensions.clone_from(&granted);
    let success = RequestExtensionsSuccess {
        request_id,
        supported_extensions: sequence(granted),
    };
    shared.outbox.send(connection, success);
}

/// What comes from a sequence, or from our configuration, fits one.
fn sequence(extensions: Vec<ExtensionType>) -> Seq0_64K<ExtensionType> {
    Seq0_64K::try_from(extensions).unwrap_or_default()
}
