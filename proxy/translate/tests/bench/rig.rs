//! A scripted miner: what it asked, what it heard, and what it therefore works on.

use std::collections::VecDeque;

use sv1::{
    CallError, FromServer, Id, Incoming, Notification, Notify, Reconnect, SubscribeReply,
    parse_from_server,
};
use translate::{CloseReason, MinerId};

/// A scripted miner.
pub struct Rig {
    pub id: MinerId,
    /// Every line heard, without its end.
    pub heard: Vec<String>,
    pub closed: Option<CloseReason>,
    pub extranonce1: Vec<u8>,
    pub extranonce2_size: usize,
    pub session_id: String,
    /// All work, the newest last.
    pub notified: Vec<Notify>,
    /// The difficulty in force.
    pub difficulty: f64,
    pub version_mask: Option<u32>,
    asked: VecDeque<(Id, bool)>,
    subscribed: bool,
    /// Lines that announce something for the next work.
    difficulty_waits: bool,
    mask_waits: bool,
    extranonce_waits: bool,
    /// What it was last asked by client.reconnect, place and all.
    pub reconnect: Option<Option<Reconnect>>,
}

impl Rig {
    pub(super) fn new(id: MinerId) -> Self {
        Self {
            id,
            heard: Vec::new(),
            closed: None,
            extranonce1: Vec::new(),
            extranonce2_size: 0,
            session_id: String::new(),
            notified: Vec::new(),
            difficulty: 0.0,
            version_mask: None,
            asked: VecDeque::new(),
            subscribed: false,
            difficulty_waits: false,
            mask_waits: false,
            extranonce_waits: false,
            reconnect: None,
        }
    }

    /// Notes which reply is owed.
    pub(super) fn asks(&mut self, line: &Result<Incoming, CallError>) {
        let subscribe = |request: &sv1::Request| request.method() == "mining.subscribe";
        match line {
            Ok(Incoming::Call { id, request }) => {
                self.asked.push_back((id.clone(), subscribe(request)))
            }
            Ok(Incoming::Response(_)) => {}
            Err(CallError { id: Some(id), .. }) => self.asked.push_back((id.clone(), false)),
            Err(_) => {}
        }
    }

    /// Takes bytes from the server, whole lines of them.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        assert!(self.closed.is_none(), "nothing is said to a closed miner");
        assert!(
            bytes.is_empty() || bytes.ends_with(b"\n"),
            "lines are whole"
        );
        for line in str::from_utf8(bytes).expect("UTF-8").lines() {
            assert!(
                serde_json::from_str::<&serde_json::value::RawValue>(line).is_ok(),
                "JSON: {line}"
            );
            self.heard.push(line.into());
            match parse_from_server(line.as_bytes()).expect("a line that a miner understands") {
                FromServer::Response(response) => self.hear_reply(&response),
                FromServer::Notification(notification) => self.hear_notification(notification),
                FromServer::Call { .. } => panic!("nothing is asked of miners: {line}"),
            }
        }
    }

    fn hear_reply(&mut self, response: &sv1::Response) {
        let (id, subscribe) = self.asked.pop_front().expect("a reply answers a request");
        assert_eq!(response.id, id, "replies come in the order of the requests");
        if let Some(reply) = SubscribeReply::parse(&response.result).filter(|_| subscribe) {
            self.subscribed = true;
            self.extranonce1 = reply.extranonce1.as_bytes().to_vec();
            self.extranonce2_size = usize::from(reply.extranonce2_size);
            self.session_id = reply.session_id.into();
        }
    }

    fn hear_notification(&mut self, notification: Notification) {
        assert!(
            self.subscribed,
            "nothing but replies before the subscribe reply"
        );
        assert!(
            self.asked.is_empty(),
            "a reply goes out before what follows from it"
        );
        match notification {
            Notification::SetDifficulty(difficulty) => {
                assert!(
                    !self.difficulty_waits,
                    "two difficulties between two notifies"
                );
                self.difficulty_waits = true;
                self.difficulty = difficulty;
            }
            Notification::SetVersionMask(mask) => {
                assert!(
                    !self.mask_waits && !self.difficulty_waits,
                    "the mask comes first, once"
                );
                self.mask_waits = true;
                self.version_mask = Some(mask);
            }
            Notification::Notify(work) => {
                let again = self
                    .notified
                    .last()
                    .is_some_and(|before| before.job_id == work.job_id);
                assert!(
                    !again || work.clean_jobs,
                    "a job id that is repeated is clean"
                );
                assert!(
                    self.difficulty > 0.0,
                    "a difficulty comes before the first work"
                );
                assert!(
                    !self.extranonce_waits || work.clean_jobs,
                    "another extranonce counts for clean work"
                );
                self.extranonce_waits = false;
                (self.difficulty_waits, self.mask_waits) = (false, false);
                self.notified.push(*work);
            }
            Notification::SetExtranonce {
                extranonce1,
                extranonce2_size,
            } => {
                assert!(
                    !self.extranonce_waits && !self.mask_waits && !self.difficulty_waits,
                    "the extranonce comes first, once"
                );
                self.extranonce_waits = true;
                self.extranonce1 = extranonce1.as_bytes().to_vec();
                self.extranonce2_size = usize::from(extranonce2_size);
            }
            Notification::Reconnect(place) => self.reconnect = Some(place),
            other => panic!("{other:?} is not sent"),
        }
    }

    /// Every request has its reply, and what was announced was followed by work.
    pub fn is_settled(&self) -> bool {
        self.asked.is_empty()
            && !self.difficulty_waits
            && !self.mask_waits
            && !self.extranonce_waits
    }

    pub fn work(&self) -> &Notify {
        self.notified.last().expect("the miner has work")
    }
}

/// A line in a word.
pub(super) fn outline(line: &str) -> String {
    match parse_from_server(line.as_bytes()) {
        Ok(FromServer::Response(response)) => {
            let mut id = Vec::new();
            response.id.encode_into(&mut id);
            let id = String::from_utf8(id).unwrap();
            match response.error {
                Some(error) => format!("{id}!{}", error.code),
                None => format!("{id}="),
            }
        }
        Ok(FromServer::Notification(notification)) => match notification {
            Notification::SetDifficulty(_) => "difficulty".into(),
            Notification::SetVersionMask(mask) => format!("mask:{mask:08x}"),
            Notification::SetExtranonce { .. } => "extranonce".into(),
            Notification::Reconnect(_) => "reconnect".into(),
            Notification::Notify(work) if work.clean_jobs => "work:clean".into(),
            Notification::Notify(_) => "work".into(),
            other => format!("{other:?}"),
        },
        other => format!("{other:?}"),
    }
}
