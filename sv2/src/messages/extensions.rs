//! Extensions negotiation (SV2 ext 0x0001).

use crate::messages::messages;
use crate::types::{ExtensionType, Seq0_64K};

messages! {
    /// A message of the extensions negotiation (SV2 ext 0x0001).
    pub enum ExtensionsNegotiation, extension 0x0001;

    /// Asks for extensions, straight after `SetupConnection.Success`.
    0x00, 0, RequestExtensions "RequestExtensions" {
        /// Pairs the response with this request.
        request_id: u16,
        /// Extensions that the client wishes to use.
        requested_extensions: Seq0_64K<ExtensionType>,
    }

    /// Grants extensions.
    0x01, 0, RequestExtensionsSuccess "RequestExtensions.Success" {
        /// Value from the request.
        request_id: u16,
        /// Those of the requested extensions that may be used.
        supported_extensions: Seq0_64K<ExtensionType>,
    }

    /// Refuses the request.
    0x02, 0, RequestExtensionsError "RequestExtensions.Error" {
        /// Value from the request.
        request_id: u16,
        /// Those of the requested extensions that the server does not know.
        unsupported_extensions: Seq0_64K<ExtensionType>,
        /// Extensions that the server insists on and that were not requested.
        required_extensions: Seq0_64K<ExtensionType>,
    }
}
