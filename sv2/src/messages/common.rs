//! Common messages of every subprotocol (SV2 §3.6).

use crate::messages::messages;
use crate::types::{ChannelId, Str0_255};

/// `protocol` of [`SetupConnection`]: the Mining Protocol.
pub const MINING_PROTOCOL: u8 = 0;
/// `protocol` of [`SetupConnection`]: the Job Declaration Protocol.
pub const JOB_DECLARATION_PROTOCOL: u8 = 1;
/// `protocol` of [`SetupConnection`]: the Template Distribution Protocol.
pub const TEMPLATE_DISTRIBUTION_PROTOCOL: u8 = 2;
/// The protocol version of the specification, the only one there is.
pub const PROTOCOL_VERSION: u16 = 2;

messages! {
    /// A common message (SV2 §3.6).
    pub enum Common, extension 0x0000;

    /// Initiates a connection; the first message that a client sends (SV2 §3.6.1).
    0x00, 0, SetupConnection "SetupConnection" {
        /// 0 mining, 1 job declaration, 2 template distribution.
        protocol: u8,
        /// Lowest protocol version that the client supports; must be 2.
        min_version: u16,
        /// Highest protocol version that the client supports; must be 2.
        max_version: u16,
        /// Optional features that the client asks for; each subprotocol has its own.
        flags: u32,
        /// Host name or address that the client dialled, ASCII.
        endpoint_host: Str0_255,
        /// Port that the client dialled.
        endpoint_port: u16,
        /// Maker of the client.
        vendor: Str0_255,
        /// Hardware, or the software package in use.
        hardware_version: Str0_255,
        /// Firmware and its version.
        firmware: Str0_255,
        /// Unique identifier of the device; empty without telemetry.
        device_id: Str0_255,
    }

    /// Accepts a connection (SV2 §3.6.2).
    0x01, 0, SetupConnectionSuccess "SetupConnection.Success" {
        /// The protocol version for the rest of the connection.
        used_version: u16,
        /// Optional features that the server asks for; each subprotocol has its own.
        flags: u32,
    }

    /// Refuses a connection, which the server then closes (SV2 §3.6.3).
    0x02, 0, SetupConnectionError "SetupConnection.Error" {
        /// The asked features that the server does not support; 0 where the reason is another.
        flags: u32,
        /// Reason, for example `unsupported-feature-flags`.
        error_code: Str0_255,
    }

    /// Tells that the other end of a channel changed, so that extensions must be negotiated anew (SV2 §3.6.4).
    0x03, 1, ChannelEndpointChanged "ChannelEndpointChanged" {
        /// The channel concerned.
        channel_id: ChannelId,
    }

    /// Asks the client to connect elsewhere, to a host with the same authority key (SV2 §3.6.5).
    0x04, 0, Reconnect "Reconnect" {
        /// Host to connect to; empty for the present one.
        new_host: Str0_255,
        /// Port to connect to; 0 for the present one.
        new_port: u16,
    }
}
