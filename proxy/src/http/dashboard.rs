//! The page at `/`: what an operator looks at. Its files stand in `dashboard/` and are part of the program; the figures
//! come from the API, which the page asks as every client does.

use std::hash::{DefaultHasher, Hash, Hasher};

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY,
};
use hyper::{Response, StatusCode};

use super::answer::{Answer, answer};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Nothing but what this server serves, and nobody may put the page into another. Names of workers come from
/// strangers: should one ever become markup, it could still do nothing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One of the page's files.
#[derive(Debug, Hash)]
struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! file {
    ($name:literal, $content_type:expr) => {
        File {
            path: concat!("/dashboard/", $name),
            content_type: $content_type,
            text: include_str!(concat!("dashboard/", $name)),
        }
    };
}

const FILES: [File; 18] = [
    File {
        path: "/",
        content_type: HTML,
        text: include_str!("dashboard/index.html"),
    },
    file!("style.css", CSS),
    file!("icon.svg", SVG),
    file!("main.js", JS),
    file!("banner.js", JS),
    file!("clock.js", JS),
    file!("columns.js", JS),
    file!("detail.js", JS),
    file!("dom.js", JS),
    file!("events.js", JS),
    file!("format.js", JS),
    file!("list.js", JS),
    file!("overview.js", JS),
    file!("plot.js", JS),
    file!("proxy.js", JS),
    file!("upstreams.js", JS),
    file!("verdict.js", JS),
    file!("wish.js", JS),
];

/// The page, ready to be served.
#[derive(Debug)]
pub(super) struct Dashboard {
    /// Tells this program's page from another's.
    tag: HeaderValue,
}

impl Dashboard {
    pub(super) fn new() -> Self {
        let mut hasher = DefaultHasher::new();
        FILES.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        // Hexadecimal digits are always allowed.
        let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { tag }
    }

    /// Gives a file of the page; `None` where there is none of this path.
    pub(super) fn find(&self, path: &str, headers: &HeaderMap) -> Option<Answer> {
        let file = FILES.iter().find(|file| file.path == path)?;
        let known = headers.get(IF_NONE_MATCH).is_some_and(|tags| {
            let tags = tags.as_bytes();
            let mut parts = tags.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            parts.any(|tag| tag == self.tag.as_bytes())
        });
        let mut answer = match known {
            true => not_modified(),
            false => answer(StatusCode::OK, file.content_type, file.text),
        };
        let fixed: [(HeaderName, &'static str); 3] = [
            // A browser may keep it, and asks whether it is still the one: after an upgrade it never is.
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (REFERRER_POLICY, "no-referrer"),
        ];
        let headers = answer.headers_mut();
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(ETAG, self.tag.clone());
        Some(answer)
    }
}

fn not_modified() -> Answer {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what stands between `before` and the next quote, wherever that is.
    fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        let parts = text.split(before).skip(1);
        parts.filter_map(|part| part.split(['"', '\'']).next())
    }

    #[test]
    fn every_file_that_the_page_names_is_served_and_no_other() {
        let mut named = vec!["/".to_owned()];
        for file in &FILES {
            let links = quoted(file.text, "=\"dashboard/");
            let imports = quoted(file.text, " from './");
            named.extend(
                links
                    .chain(imports)
                    .map(|name| format!("/dashboard/{name}")),
            );
        }
        named.sort();
        named.dedup();
        let mut served = FILES.map(|file| file.path.to_owned());
        served.sort();
        assert_eq!(named, served);
    }

    #[test]
    fn nothing_that_strangers_sent_can_become_markup_and_nothing_comes_from_outside() {
        for file in &FILES {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "Function(",
                " style=",
                "https://",
                "http://",
            ] {
                // The name of SVG is no address.
                let text = file.text.replace("http://www.w3.org/2000/svg", "");
                assert!(!text.contains(word), "{} has {word}", file.path);
            }
        }
    }

    #[test]
    fn a_browser_that_has_the_page_is_told_so() {
        let dashboard = Dashboard::new();
        let first = dashboard.find("/", &HeaderMap::new()).unwrap();
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers()[ETAG].to_str().unwrap();
        for (known, status) in [
            (tag.to_owned(), StatusCode::NOT_MODIFIED),
            (format!("\"x\", {tag}"), StatusCode::NOT_MODIFIED),
            ("\"x\"".to_owned(), StatusCode::OK),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, known.parse().unwrap());
            let answer = dashboard.find("/", &headers).unwrap();
            assert_eq!(answer.status(), status, "{known}");
            assert_eq!(answer.headers()[CONTENT_SECURITY_POLICY], POLICY);
        }
        assert!(dashboard.find("/dashboard/", &HeaderMap::new()).is_none());
    }
}
