//! `[http]`: where the dashboard, the API and the metrics are to be served.

use std::net::{Ipv4Addr, SocketAddr};

use super::section::{Section, address};

/// Where the dashboard, the API and the metrics are to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// The address to listen on; `None` is off.
    pub address: Option<SocketAddr>,
}

impl Default for Http {
    fn default() -> Self {
        // Loopback only: what it will show is nobody else's business.
        Self {
            address: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8330))),
        }
    }
}

impl Http {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let default = Self::default();
        let read = section.read("address", |value| match value.as_str() {
            Some("") => Ok(None),
            _ => address(value, "127.0.0.1:8330")
                .map(Some)
                .map_err(|text| format!("{text}; \"\" is off")),
        });
        section.finish();
        Self {
            address: read.unwrap_or(default.address),
        }
    }
}
