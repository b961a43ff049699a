//! Every firmware of the table in a conversation with the brain, on a virtual clock. `conversation.rs` says how the
//! files in `conversations/` are written; the program itself plays some of them in the tests of the appliance.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is a failed test"
)]
#![allow(
    unreachable_pub,
    missing_docs,
    reason = "the bench is public to the tests only"
)]

#[path = "../bench/mod.rs"]
mod bench;
mod conversation;
mod player;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sv1::{Incoming, Request, parse_call};
use translate::{Config, DifficultyPolicy, Firmware};

use bench::{Bench, NTIME, config, difficulty, difficulty_target, job};
use conversation::{Conversation, Step};
use player::{POOL, Place, play};

/// Reads every file, in the order of their names.
fn conversations() -> Vec<Conversation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/firmware/conversations");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &PathBuf| Conversation::read(path).unwrap();
    paths.iter().map(read).collect()
}

/// Gives what a miner says of itself wherever it subscribes.
fn user_agents(conversation: &Conversation) -> Vec<String> {
    let said = conversation
        .steps
        .iter()
        .filter_map(|(_, step)| match step {
            Step::Say(line) => parse_call(line.as_bytes()).ok(),
            _ => None,
        });
    let subscribed = said.filter_map(|call| match call {
        Incoming::Call {
            request: Request::Subscribe(subscribe),
            ..
        } => Some(subscribe.user_agent.unwrap_or_default().into()),
        _ => None,
    });
    subscribed.collect()
}

/// A farm with one miner, and how much of what it heard has been looked at.
struct Farm {
    bench: Bench,
    rig: usize,
    heard: usize,
    jobs: u32,
}

impl Farm {
    fn new() -> Self {
        let mut bench = Bench::new(Config {
            difficulty: DifficultyPolicy {
                start: Some(difficulty(POOL)),
                min: difficulty(POOL),
                ..config().difficulty
            },
            ..config()
        });
        bench.pools[0].target = difficulty_target(POOL);
        bench.open(0);
        bench.deal_block(0, 1);
        bench.sent(0);
        let rig = bench.connect();
        Self {
            bench,
            rig,
            heard: 0,
            jobs: 1,
        }
    }

    fn next_job(&mut self) -> u32 {
        self.jobs += 1;
        self.jobs
    }
}

impl Place for Farm {
    fn send(&mut self, lines: &[String]) {
        for line in lines {
            self.bench.say(self.rig, line);
        }
    }

    fn hear(&mut self) -> Option<String> {
        let line = self.bench.rigs[self.rig].heard.get(self.heard)?;
        self.heard += 1;
        Some(line.clone())
    }

    fn unheard(&mut self) -> Option<String> {
        self.hear()
    }

    fn merges(&self) -> bool {
        false
    }

    fn wait(&mut self, time: Duration) -> bool {
        self.bench.wait(time.as_secs_f64());
        true
    }

    fn new_job(&mut self) {
        let id = self.next_job();
        let elapsed = self.bench.now.duration_since(self.bench.start).as_secs();
        let min_ntime = NTIME + u32::try_from(elapsed).unwrap();
        let channel = self.bench.pools[0].channel;
        // A job of now, as real pools deal it.
        self.bench.tell(0, job(channel, id, Some(min_ntime + 1)));
    }

    fn new_block(&mut self) {
        let job = self.next_job();
        self.bench.deal_block(0, job);
    }

    fn reconnect(&mut self) {
        self.bench.leave(self.rig);
        self.rig = self.bench.connect();
        self.heard = 0;
    }

    fn pool_got_share(&mut self) -> bool {
        !self.bench.shares(0).is_empty()
    }
}

#[test]
fn every_firmware_has_the_conversation_of_its_file() {
    let mut failures = Vec::new();
    for conversation in conversations() {
        let mut farm = Farm::new();
        let played = play(&conversation, &mut farm);
        failures.extend(played.err());
        assert_eq!(farm.bench.closed(farm.rig), None);
        assert!(farm.bench.rigs[farm.rig].is_settled());
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

#[test]
fn every_row_of_the_table_has_a_conversation_and_every_conversation_a_row() {
    let conversations = conversations();
    for row in Firmware::TABLE {
        let found = conversations.iter().filter(|it| it.firmware == row.name);
        assert!(found.count() > 0, "{} has no conversation", row.name);
    }
    for conversation in &conversations {
        let mut rows = Firmware::TABLE.iter();
        let row = rows.find(|row| row.name == conversation.firmware);
        let row = row.unwrap_or_else(|| panic!("{}: not in the table", conversation.place(1)));
        // A row without any known user agent says so by having no marks.
        let expected = (!row.marks.is_empty()).then_some(row.name);
        let user_agents = user_agents(conversation);
        assert!(!user_agents.is_empty(), "{}", conversation.place(1));
        for user_agent in user_agents {
            let recognised = Firmware::of(&user_agent).map(|row| row.name);
            assert_eq!(recognised, expected, "{}", conversation.place(1));
        }
    }
}

#[test]
fn every_conversation_mines_falls_silent_and_sees_a_new_job_and_block() {
    for conversation in conversations() {
        let has = |wanted: &dyn Fn(&Step) -> bool| {
            conversation.steps.iter().any(|(_, step)| wanted(step))
        };
        let place = conversation.place(1);
        assert!(has(&|step| matches!(step, Step::Share(_))), "{place}");
        assert!(has(&|step| *step == Step::NewBlock), "{place}");
        assert!(has(&|step| *step == Step::NewJob), "{place}");
        let silence = Step::Wait(Duration::from_secs(30));
        assert!(has(&|step| *step == silence), "{place}");
    }
}

#[test]
fn the_operator_sees_which_firmware_a_miner_runs() {
    let mut farm = Farm::new();
    let lines = [
        r#"{"id":1,"method":"mining.subscribe","params":["bitaxe/BM1370/v2.9.0"]}"#,
        r#"{"id":2,"method":"mining.authorize","params":["farm.rig","x"]}"#,
    ];
    farm.send(&lines.map(str::to_owned));
    let miner = farm
        .bench
        .brain
        .miner_statistics(farm.bench.now)
        .next()
        .unwrap();
    assert_eq!(miner.firmware, Some("Bitaxe"));
    let log = farm.bench.log().join("\n");
    assert!(
        log.contains(r#"with "bitaxe/BM1370/v2.9.0" (Bitaxe) at"#),
        "{log}"
    );
}

#[test]
fn a_firmware_that_reads_whole_numbers_never_gets_a_fraction() {
    for user_agent in ["NerdQAxe++/BM1370/v1.0.36", "bosminer-plus-tuner 0.9.0"] {
        let mut farm = Farm::new();
        let lines = [
            r#"{"id":1,"method":"mining.suggest_difficulty","params":[0.25]}"#.to_owned(),
            format!(r#"{{"id":2,"method":"mining.subscribe","params":["{user_agent}"]}}"#),
            r#"{"id":3,"method":"mining.authorize","params":["farm.rig","x"]}"#.to_owned(),
        ];
        farm.send(&lines);
        assert_eq!(farm.bench.rigs[farm.rig].difficulty, 1.0, "{user_agent}");
        let wish = r#"{"id":4,"method":"mining.suggest_difficulty","params":[0.5]}"#;
        farm.send(&[wish.to_owned()]);
        assert_eq!(farm.bench.rigs[farm.rig].difficulty, 1.0, "{user_agent}");
    }
}

// The format itself.

const HEADER: &str = "firmware: Bitaxe\nsource: a test\n";

fn failure(steps: &str) -> String {
    let text = format!("{HEADER}{steps}");
    match Conversation::parse(Path::new("some.txt"), &text) {
        Ok(conversation) => play(&conversation, &mut Farm::new()).err(),
        Err(error) => Some(error),
    }
    .unwrap_or_default()
}

#[test]
fn a_failure_names_file_and_line_what_was_expected_and_what_came() {
    let subscribe = r#"> {"id":1,"method":"mining.subscribe","params":[]}"#;
    let reply = r#"< {"id":1,"result":[[["mining.set_difficulty","{session}"],["mining.notify","{session}"]],"00100000",4],"error":null}"#;
    assert_eq!(failure(&format!("{subscribe}\n{reply}\n")), "");
    let wrong = reply.replace("00100000", "00010001");
    let words = failure(&format!("{subscribe}\n\n{wrong}\n"));
    assert!(
        words.starts_with("some.txt:5: expected\n  {\"id\":1"),
        "{words}"
    );
    assert!(
        words.contains("\"00010001\"") && words.contains("\"00100000\""),
        "{words}"
    );
    let words = failure(&format!("{subscribe}\n{reply}\n{reply}\n"));
    assert!(words.ends_with("and nothing came"), "{words}");
    let words = failure(&format!("{subscribe}\nwait 1s\n"));
    assert!(
        words.starts_with("some.txt:4: before this came also"),
        "{words}"
    );
    let words = failure("speak {}\n");
    assert_eq!(words, "some.txt:3: no step of a conversation: speak {}");
    let words = failure("share {\"{job}\"}\n");
    assert_eq!(words, "some.txt:3: there is nothing to mine");
}

#[test]
fn a_name_stands_only_for_what_can_stand_there() {
    let conversation = |notify: &str| {
        format!(
            r#"> {{"id":1,"method":"mining.subscribe","params":[]}}
> {{"id":2,"method":"mining.authorize","params":["farm.rig","x"]}}
< {{"id":1,"result":[[["mining.set_difficulty","{{session}}"],["mining.notify","{{session}}"]],"00100000",4],"error":null}}
< {{"id":2,"result":true,"error":null}}
< {{"id":null,"method":"mining.set_difficulty","params":[0.00000095367431640625]}}
< {notify}
"#
        )
    };
    let right = r#"{"id":null,"method":"mining.notify","params":["{job}","{prevhash}","{coinb1}","{coinb2}",[{branches}],"{version}","{nbits}","{ntime}",true]}"#;
    assert_eq!(failure(&conversation(right)), "");
    for (from, to) in [
        ("{job}", "{prevhash}"),
        ("{prevhash}", "{job}"),
        ("{coinb1}", "{ntime}"),
        ("{nbits}", "{session}"),
        ("{version}", "{unknown}"),
    ] {
        let words = failure(&conversation(&right.replace(from, to)));
        assert!(words.contains(&format!("stand for {to} here")), "{words}");
    }
    let words = failure(&conversation(&right.replace("true", "false")));
    assert!(words.contains("another line"), "{words}");
}
