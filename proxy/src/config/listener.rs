//! `[[listener]]`: a port for miners.

use std::net::SocketAddr;

use toml::de::DeValue;
use translate::UserTemplate;

use super::difficulty::Difficulty;
use super::section::{Section, address, expected, found, text};

/// A port for miners.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Where miners connect; port 0 lets the system choose one.
    pub address: SocketAddr,
    /// What its miners mine at: positions in [`Config::upstreams`](super::Config::upstreams), in order of preference.
    pub upstreams: Vec<usize>,
    /// What the pool is told as the name of a worker.
    pub user: UserTemplate,
    /// How hard its miners' shares are.
    pub difficulty: Difficulty,
}

/// What a listener is checked against.
#[derive(Debug)]
pub(super) struct Surroundings<'n> {
    /// The upstreams' names, in the order of the file.
    pub(super) upstreams: &'n [String],
    /// Addresses that are taken, with the words for who has them.
    pub(super) taken: Vec<(SocketAddr, &'static str)>,
    /// What `[difficulty]` says, and whether nothing is wrong there.
    pub(super) difficulty: (&'n Difficulty, bool),
}

impl Listener {
    /// Reads one listener and takes its address.
    pub(super) fn read(
        mut section: Section<'_, '_>,
        around: &mut Surroundings<'_>,
    ) -> Option<Self> {
        let hint = "write where miners connect, such as \"0.0.0.0:3333\"";
        let address = section.required("address", hint, |value| address(value, "0.0.0.0:3333"));
        if let Some(address) = address {
            around.take(address, &mut section);
        }
        let named = section.read("upstreams", names);
        let upstreams = match named {
            Some(names) => around.positions(&names, &mut section),
            None => (0..around.upstreams.len()).collect(),
        };
        let user = section.read("user", template).unwrap_or_default();
        let (difficulty, sound) = around.difficulty;
        let inner = section.inner("difficulty", "listener.difficulty");
        let difficulty = difficulty.read_over(sound, inner);
        section.finish();
        Some(Self {
            address: address?,
            upstreams,
            user,
            difficulty,
        })
    }
}

impl Surroundings<'_> {
    fn take(&mut self, address: SocketAddr, section: &mut Section<'_, '_>) {
        let taken = self
            .taken
            .iter()
            .find(|(taken, _)| collide(*taken, address));
        if let Some((taken, by)) = taken {
            let text = format!("{address} is taken by {by} ({taken}): choose another port");
            section.mismatch("address", text);
        }
        self.taken.push((address, "a listener above"));
    }

    fn positions(&self, names: &[String], section: &mut Section<'_, '_>) -> Vec<usize> {
        let mut positions = Vec::with_capacity(names.len());
        for name in names {
            match self.upstreams.iter().position(|known| known == name) {
                // Without any upstream that is the problem to report.
                None if self.upstreams.is_empty() => {}
                None => {
                    let known = self.upstreams.join(", ");
                    let text = format!("no upstream is named \"{name}\"; there is {known}");
                    section.mismatch("upstreams", text);
                }
                Some(position) if positions.contains(&position) => {
                    section.mismatch("upstreams", format!("\"{name}\" is listed twice"));
                }
                Some(position) => positions.push(position),
            }
        }
        positions
    }
}

/// Tells whether two sockets cannot listen at once: the same port, on the same address or on all of one family.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same_family = a.is_ipv4() == b.is_ipv4();
    let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_family && overlap
}

/// Longest template, in bytes: the pool is told at most 32 of what is made of it, so more is a mistake.
const TEMPLATE_MAX: usize = 255;

fn template(value: &DeValue<'_>) -> Result<UserTemplate, String> {
    let what = "a name with placeholders such as \"{worker}\"";
    let template = text(value, what)?;
    if template.len() > TEMPLATE_MAX {
        let length = template.len();
        return Err(format!(
            "is {length} bytes long: at most {TEMPLATE_MAX} fit"
        ));
    }
    if template.chars().any(char::is_control) {
        return Err(expected(
            &format!("{what} and no control characters"),
            value,
        ));
    }
    UserTemplate::parse(&template).map_err(|error| format!("{}: {error}", expected(what, value)))
}

fn names(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let what = "a list of upstream names such as [\"primary\", \"backup\"]";
    let items = value.as_array().filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| match value.as_array() {
        Some(_) => "is empty: name an upstream, or leave the key out for all of them".to_owned(),
        None => expected(what, value),
    })?;
    items
        .iter()
        .map(|item| {
            let name = item.get_ref().as_str().map(str::to_owned);
            name.ok_or_else(|| format!("expected {what}, found {} in it", found(item.get_ref())))
        })
        .collect()
}
