//! A headless Chromium under a test's control: what is on the page, and what a person's mouse and keyboard do to it.
//!
//! It is driven by `chromedriver` over the protocol of W3C WebDriver, which is JSON over plain HTTP. The client here
//! knows the dozen requests that are needed; the libraries for it bring another runtime and a TLS stack along.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::{PATIENCE, Program};

/// Pause between two looks at a page: it is drawn by another process, which must get its turn.
const LOOK: Duration = Duration::from_millis(50);
/// The key of an element's id, as the protocol fixes it.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Codes of keys that are no characters, as the protocol fixes them.
pub const TAB: &str = "\u{e004}";
/// The key Enter.
pub const ENTER: &str = "\u{e007}";
/// The arrow to the left.
pub const LEFT: &str = "\u{e012}";
/// The key Home.
pub const HOME: &str = "\u{e011}";
/// The key End.
pub const END: &str = "\u{e010}";

/// A running browser with one page. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    driver: SocketAddr,
    session: String,
    /// Dropped last: it ends what is left.
    _program: Program,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Panics
    /// Where `chromium` or `chromedriver` is missing, or does not start.
    #[must_use]
    pub fn start() -> Self {
        let [chromium, chromedriver] = ["chromium", "chromedriver"].map(|name| {
            find(name).unwrap_or_else(|| {
                panic!("{name} is missing: install Debian's chromium and chromium-driver")
            })
        });
        let program = Program::with_arguments(&chromedriver, &["--port=0"]);
        let port = Cell::new(None);
        program.wait_for_output(|line| {
            let words = line.strip_prefix("ChromeDriver was started successfully on port ");
            port.set(words.and_then(|words| words.trim_end_matches('.').parse::<u16>().ok()));
            port.get().is_some()
        });
        let driver = SocketAddr::from(([127, 0, 0, 1], port.get().unwrap_or_default()));
        let arguments = [
            "--headless=new",
            // It shows our own page only, and its sandbox cannot be had as root or in most containers.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--force-color-profile=srgb",
            "--lang=en-GB",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": chromium, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = ask(driver, "POST", "/session", Some(&wanted));
        let session = session["sessionId"].as_str().expect("an id").to_owned();
        Self {
            driver,
            session,
            _program: program,
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let path = format!("/session/{}{path}", self.session);
        ask(self.driver, method, &path, body)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, Some(body))
    }

    /// Gives a command of Chromium's own protocol.
    ///
    /// # Panics
    /// Where it refuses.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.post("/goog/cdp/execute", &body)
    }

    /// Gives the page this size in pixels; as a phone's, where a page that is too wide can be seen to be so.
    ///
    /// # Panics
    /// Where it refuses.
    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Asks for dark or light colours, as a system does.
    ///
    /// # Panics
    /// Where it refuses.
    pub fn scheme(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// Opens an address.
    ///
    /// # Panics
    /// Where it cannot be opened.
    pub fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// Runs a function's body in the page and gives what it returns.
    ///
    /// # Panics
    /// Where it throws.
    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Runs a function's body until `wanted` likes what it returns, and gives that.
    ///
    /// # Panics
    /// Where it does not come.
    pub fn wait_for(&self, script: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.run(script);
            if wanted(&value) {
                return value;
            }
            assert!(
                Instant::now() < deadline,
                "{script} stays at {value:#}; the console: {:#?}",
                self.console()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Gives the text of the first element that a selector finds, as it is seen.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn text(&self, selector: &str) -> String {
        let text = self.run(&format!(
            "return document.querySelector({}).innerText",
            json!(selector)
        ));
        text.as_str().expect("an element has a text").to_owned()
    }

    /// Waits until the first element that a selector finds has a text that `wanted` likes.
    ///
    /// # Panics
    /// Where it does not come.
    pub fn wait_for_text(&self, selector: &str, wanted: impl Fn(&str) -> bool) -> String {
        let script = format!(
            "return document.querySelector({})?.innerText",
            json!(selector)
        );
        let text = self.wait_for(&script, |text| text.as_str().is_some_and(&wanted));
        text.as_str().unwrap_or_default().to_owned()
    }

    fn element(&self, selector: &str) -> String {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.post("/element", &wanted);
        let id = found[ELEMENT].as_str();
        id.expect("an element that is found has an id").to_owned()
    }

    /// Clicks into the middle of an element, as a mouse does.
    ///
    /// # Panics
    /// Where there is none, or something lies over it.
    pub fn click(&self, selector: &str) {
        let path = format!("/element/{}/click", self.element(selector));
        self.post(&path, &json!({}));
    }

    /// Types into an element.
    ///
    /// # Panics
    /// Where there is none, or it takes no text.
    pub fn type_into(&self, selector: &str, text: &str) {
        let path = format!("/element/{}/value", self.element(selector));
        self.post(&path, &json!({"text": text}));
    }

    /// Presses and releases a key, wherever the focus is.
    ///
    /// # Panics
    /// Where it refuses.
    pub fn press(&self, key: &str) {
        let strokes = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.post("/actions", &json!({"actions": [keyboard]}));
    }

    /// Gives what the page wrote to the console since this was asked last, errors and warnings only.
    ///
    /// # Panics
    /// Where it refuses.
    #[must_use]
    pub fn console(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let grave = entries.iter().filter(|entry| {
            let level = entry["level"].as_str();
            level == Some("SEVERE") || level == Some("WARNING")
        });
        let told = grave.map(|entry| format!("{}: {}", entry["source"], entry["message"]));
        told.collect()
    }

    /// Gives a picture of what is seen, as PNG.
    ///
    /// # Panics
    /// Where it refuses.
    #[must_use]
    pub fn screenshot(&self) -> Vec<u8> {
        let picture = self.ask("GET", "/screenshot", None);
        let picture = picture.as_str().unwrap_or_default();
        BASE64.decode(picture.as_bytes()).expect("base64")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser goes with its session; a driver that is killed would leave it behind.
        let path = format!("/session/{}", self.session);
        let _ = exchange(self.driver, "DELETE", &path, None);
    }
}

/// Looks for a program as a shell does.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|place: PathBuf| place.join(name));
    places.find(|place: &PathBuf| Path::is_file(place))
}

/// Asks the driver for something and gives what it answers.
fn ask(driver: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> Value {
    let answer = exchange(driver, method, path, body);
    let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let mut answer: Value = serde_json::from_slice(&answer).expect("the driver speaks JSON");
    let value = answer["value"].take();
    let error = value["error"].as_str();
    assert!(
        error.is_none(),
        "{method} {path}: {error:?}: {}",
        value["message"]
    );
    value
}

fn exchange(
    driver: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(driver)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {driver}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let header = line.trim_end().to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
        if header.is_empty() {
            break;
        }
    }
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer)?;
    Ok(answer)
}
